"""A peer that lies, stalls or floods gains nothing but being left aside."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from overlay.keys import PublicKey
from overlay.network import comparison
from overlay.network import network as network_module
from overlay.network import sync as sync_module
from overlay.network.comparison import HEADS, MAX_EMPTY, RANGE
from overlay.network.intake import MANY
from overlay.network.messages import (
    AskRange,
    Head,
    Heads,
    frames,
)
from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock
from tests.network.comparing import LONG, MISLED, Liar, chain_of, forge
from tests.network.village import Host, person


async def test_a_huge_claim_costs_one_question(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert liar.asked == [AskRange(mechanic.key, 1, 0xFFFFFFFF)]


async def test_a_false_charge_of_a_fork_costs_one_question_and_proves_nothing(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 0, 0, 64))
    liar.show = lambda ask: chain_of(mechanic.identity, 2)
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert not blocks.has_forked(farmer.ledger.db, mechanic.key)
    assert farmer.length(mechanic) == 2  # they are true blocks all the same


def _swap(found: list[HalfBlock]) -> list[HalfBlock]:
    return [found[1], found[0], *found[2:]]


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (lambda found: found[1:], 0),  # a gap at the beginning
        (lambda found: [*found[:2], *found[3:]], 0),  # a gap in the middle
        (_swap, 0),
        (lambda found: [found[0], *found], 0),  # one twice
        (lambda found: [*found[:2], *chain_of(person("stranger"), 1, first=3)], 0),
        (lambda found: [*found, *chain_of(person("mechanic"), 5, found[-1].hash, 5)], 0),  # more than was asked for
        (forge, 3),
    ],
)
async def test_a_range_that_is_not_what_was_asked_for_is_a_strike(
    hosts: list[Host], spoil: Callable[[list[HalfBlock]], list[HalfBlock]], kept: int
) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 4, 4, 0))
    liar.show = lambda ask: spoil(chain_of(mechanic.identity, 4))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert farmer.network.drops[MISLED] == 1
    assert farmer.length(mechanic) == kept
    assert farmer.length(person("stranger")) == 0


async def test_claims_of_many_chains_with_nothing_behind_them_are_a_strike(tmp_path: Path) -> None:
    farmer, baker, *crowd = [Host(role, tmp_path) for role in ("farmer", "baker", *map(str, range(MAX_EMPTY + 5)))]
    await farmer.found(baker, *crowd, syncing=False)
    liar = Liar(baker)
    keys = sorted((each.key for each in crowd), key=lambda key: (key[-1] % 64, key))
    liar.claim(*(Head(key, 9, 9, 0) for key in keys))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert len(liar.asked) == MAX_EMPTY + 1
    assert farmer.network.drops[MISLED] == 1
    for host in (farmer, baker, *crowd):
        await host.close()


async def test_pages_of_heads_that_do_not_go_on_are_a_strike(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.pages = [Heads((Head(mechanic.key, 0, 0, 0),), more=True)]
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert farmer.network.drops[MISLED] == 1


async def test_a_peer_that_always_fails_at_the_last_block_does_not_keep_the_others_from_giving_it(
    hosts: list[Host],
) -> None:
    farmer, baker, mechanic = hosts
    chain = chain_of(person("mechanic"), LONG)
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, LONG, LONG, 0))
    liar.show = lambda ask: forge(chain[ask.first - 1 :])
    farmer.meet(baker, mechanic)
    await mechanic.ledger.ingest(chain)
    for _ in range(3):
        await farmer.sync.with_peer(baker.key)
    assert farmer.length(mechanic) == LONG - 1
    assert [ask.first for ask in liar.asked] == [1, LONG - 1, LONG - 1]
    await farmer.sync.with_peer(mechanic.key)
    assert farmer.length(mechanic) == LONG


async def test_a_peer_with_strikes_waits_for_its_turn(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    farmer.meet(baker, mechanic)
    sync = farmer.sync
    assert {sync._next_peer() for _ in range(4)} == {baker.key, mechanic.key}
    for _ in range(3):
        sync._strike(baker.key, ValueError("lied"))
    assert [sync._next_peer() for _ in range(12)].count(baker.key) == 0
    assert baker.key in [sync._next_peer() for _ in range(12)]


async def test_a_peer_that_drips_loses_its_turn_and_what_it_gave_is_kept(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic = hosts
    chain, first = chain_of(mechanic.identity, 2 * MANY), asyncio.Event()

    async def drip(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
        yield frames(block.pack() for block in chain[:MANY])
        first.set()
        await asyncio.Event().wait()  # for ever

    monkeypatch.setattr(sync_module, "TURN_SECONDS", 0.5)
    monkeypatch.setattr(comparison, "RANGE_PATIENCE", 60.0)
    Liar(baker).claim(Head(mechanic.key, 2 * MANY, 2 * MANY, 0))
    baker.network.serve_blocks(RANGE, drip)
    farmer.meet(baker)
    async with asyncio.timeout(20):
        await farmer.sync.with_peer(baker.key)
    assert first.is_set()
    assert farmer.length(mechanic) == MANY


async def test_a_chain_without_end_ends_with_the_turn(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    farmer, baker, mechanic = hosts
    monkeypatch.setattr(sync_module, "TURN_SECONDS", 0.5)
    chain = chain_of(mechanic.identity, 1)

    def more(ask: AskRange) -> list[HalfBlock]:
        while len(chain) < ask.first + 7:
            chain.extend(chain_of(mechanic.identity, 8, chain[-1].hash, len(chain) + 1))
        liar.claim(Head(mechanic.key, ask.last + 8, ask.last + 8, 0))
        return chain[ask.first - 1 : ask.last]

    liar = Liar(baker)
    liar.show = more
    liar.claim(Head(mechanic.key, 8, 8, 0))
    farmer.meet(baker)
    async with asyncio.timeout(10):
        await farmer.sync.with_peer(baker.key)
    assert 0 < farmer.length(mechanic) <= len(chain)  # it is a true chain, and there will be other turns


async def test_nonsense_is_a_strike_and_silence_is_none(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    farmer, baker, mechanic = hosts
    monkeypatch.setattr(network_module, "HELLO_SECONDS", 0.2)
    monkeypatch.setattr(comparison, "PATIENCE_SECONDS", 0.2)

    async def nonsense(peer: PublicKey, payload: bytes) -> bytes:
        return b"\xc1"

    baker.network.serve(HEADS, nonsense)
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert farmer.network.drops[MISLED] == 1
    await mechanic.network.close()
    await farmer.sync.with_peer(mechanic.key)
    assert farmer.network.drops[MISLED] == 1
