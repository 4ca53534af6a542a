"""Saved walks come back whole, or not at all."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.meritrank import DamagedWalks, Decay, FeedbackGraph, Reputation, ReputationError, StaleWalks
from overlay.meritrank.exact import scores
from overlay.meritrank.persist import MAGIC

FARMER, BAKER, MECHANIC = b"farmer", b"baker", b"mechanic"


def village(order: int = 1) -> FeedbackGraph:
    graph = FeedbackGraph()
    said = [
        (FARMER, BAKER, 3, b"bread"),
        (BAKER, MECHANIC, 2, b"oven"),
        (MECHANIC, FARMER, 1, b"milk"),
        (BAKER, FARMER, 5, b"flour"),
    ]
    for one in said[::order]:
        graph.record(*one)
    return graph


def test_a_restart_takes_up_the_same_walks_in_whatever_order_the_ledger_is_read() -> None:
    graph = village()
    graph.record(FARMER, MECHANIC, 1, b"tractor")
    reputation = Reputation(graph, FARMER, b"seed", 500)
    graph.forget(b"tractor")
    saved = reputation.to_bytes()
    again = Reputation.from_bytes(saved, village(-1), FARMER, b"seed")
    assert again.scores() == reputation.scores()
    assert again.to_bytes() == saved
    assert again.scores() != Reputation(village(), FARMER, b"seed", 500).scores()


def test_walks_go_on_being_repaired_after_a_restart() -> None:
    reputation = Reputation.from_bytes(Reputation(village(), FARMER, b"seed").to_bytes(), village(), FARMER, b"seed")
    reputation.graph.record(FARMER, MECHANIC, 3, b"tractor")
    exact = scores(reputation.graph.table(), reputation.graph.find(FARMER), Decay())
    assert np.allclose(reputation.values(), exact, atol=0.02)


def test_a_viewer_without_feedback_can_be_saved() -> None:
    saved = Reputation(FeedbackGraph(), FARMER, b"seed", 3).to_bytes()
    assert Reputation.from_bytes(saved, FeedbackGraph(), FARMER, b"seed").scores() == {}


def test_walks_of_another_state_viewer_seed_or_decay_are_stale() -> None:
    saved = Reputation(village(), FARMER, b"seed", 100).to_bytes()
    changed = village()
    changed.record(FARMER, MECHANIC, 1, b"tractor")
    for graph, ego, seed, decay in [
        (changed, FARMER, b"seed", Decay()),
        (village(), BAKER, b"seed", Decay()),
        (village(), FARMER, b"another", Decay()),
        (village(), FARMER, b"seed", Decay(alpha=0.2)),
        (village(), FARMER, b"seed", Decay(gamma=0.2)),
    ]:
        with pytest.raises(StaleWalks, match="calculate afresh"):
            Reputation.from_bytes(saved, graph, ego, seed, decay)
    assert Reputation.from_bytes(saved, village(), FARMER, b"seed", Decay(beta=0.5)).decay.beta == 0.5


def signed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def test_forged_contents_with_a_fitting_checksum_are_refused() -> None:
    saved = Reputation(village(), FARMER, b"seed", 10).to_bytes()[:-32]
    head = struct.calcsize(">8s32s32sddqIQ")
    count = head - 12
    forgeries = {
        "announced": saved[:count] + struct.pack(">I", 0) + saved[count + 4 :],
        "announced ": saved[:count] + struct.pack(">I", 2**32 - 1) + saved[count + 4 :],
        "lengths": saved[:head] + struct.pack(">I", 2**31) + saved[head + 4 :],
        "fit the lengths": saved[:-4],
        "ledger does not have": saved[:-4] + struct.pack(">I", 99),
        "begin at the viewer": saved[: head + 40] + struct.pack(">I", 2) + saved[head + 44 :],
    }
    for why, body in forgeries.items():
        with pytest.raises(DamagedWalks, match=why.strip()):
            Reputation.from_bytes(signed(body), village(), FARMER, b"seed")


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    saved = bytearray(Reputation(village(), FARMER, b"seed", 5).to_bytes())
    saved[data.draw(st.integers(0, len(saved) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedWalks):
        Reputation.from_bytes(bytes(saved), village(), FARMER, b"seed")


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_raise_only_errors_of_reputation(data: bytes, dressed: bool) -> None:
    with pytest.raises(ReputationError):
        Reputation.from_bytes(signed(MAGIC + data) if dressed else data, village(), FARMER, b"seed")


def test_memory_per_walk_is_what_the_documentation_says() -> None:
    """19 bytes a place and 1/alpha places a walk; the graph is small, so walks are all there is."""
    walks = Reputation(village(), FARMER, b"seed", 10_000).walks()
    arrays = [value for value in vars(walks).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) / walks.count == pytest.approx(19 / 0.15, rel=0.15)
