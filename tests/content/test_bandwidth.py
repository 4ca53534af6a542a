"""Credit for useful bytes: exact, monotonic, and never more than the content has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.content.bandwidth import BLOCK_BYTES, Tally, UsefulBytes, new_token, peer_id

PIECE = 4 * BLOCK_BYTES


class Zeros:
    def bytes(self, count):
        return bytes(count)


def test_blocks_count_only_once_their_piece_has_passed():
    useful = UsefulBytes(PIECE, PIECE)
    for block in range(4):
        useful.block_finished(0, block, "farmer")
    assert useful.received == {}
    assert useful.piece_finished(0) == {"farmer": PIECE}
    assert useful.piece_finished(0) == {}


def test_a_block_sent_again_after_a_failed_check_counts_for_who_sent_it_last():
    useful = UsefulBytes(BLOCK_BYTES, PIECE)
    useful.block_finished(0, 0, "stranger")
    useful.block_finished(0, 0, "farmer")
    assert useful.piece_finished(0) == {"farmer": BLOCK_BYTES}


def test_the_last_block_counts_its_real_length():
    useful = UsefulBytes(PIECE + 5, PIECE)
    useful.block_finished(1, 0, "farmer")
    assert useful.piece_finished(1) == {"farmer": 5}


@pytest.mark.parametrize(("piece", "block"), [(-1, 0), (0, -1), (0, 4), (2, 0), (1, 1), (10**9, 10**9)])
def test_blocks_outside_of_the_content_count_nothing(piece, block):
    useful = UsefulBytes(PIECE + 5, PIECE)
    useful.block_finished(piece, block, "stranger")
    assert useful.piece_finished(piece) == {}


def test_a_content_fetched_again_earns_nobody_anything():
    useful = UsefulBytes(BLOCK_BYTES, PIECE, {"farmer": BLOCK_BYTES - 1})
    useful.block_finished(0, 0, "baker")
    assert useful.piece_finished(0) == {"baker": 1}
    useful.block_finished(0, 0, "baker")
    assert useful.piece_finished(0) == {}


events = st.tuples(st.booleans(), st.integers(-1, 6), st.integers(-1, 5), st.sampled_from(["farmer", "baker", "x"]))


@given(st.integers(1, 5 * PIECE), st.lists(events, max_size=120))
def test_whatever_happens_counters_only_grow_and_add_up_to_at_most_the_size(size, happened):
    useful = UsefulBytes(size, PIECE)
    before: dict[str, int] = {}
    for passed, piece, block, remote in happened:
        if passed:
            gained = useful.piece_finished(piece)
            assert gained == {name: useful.received[name] for name in gained}
        else:
            useful.block_finished(piece, block, remote)
        assert all(useful.received[name] >= count for name, count in before.items())
        assert sum(useful.received.values()) <= size
        before = dict(useful.received)


@given(st.integers(1, 5 * PIECE), st.data())
def test_a_whole_download_from_any_mix_of_remotes_adds_up_to_the_size_exactly(size, data):
    useful = UsefulBytes(size, PIECE)
    blocks = [(start // PIECE, start % PIECE // BLOCK_BYTES) for start in range(0, size, BLOCK_BYTES)]
    for piece, block in data.draw(st.permutations(blocks)):
        useful.block_finished(piece, block, data.draw(st.sampled_from(["farmer", "baker"])))
    for piece in range(-(-size // PIECE)):
        useful.piece_finished(piece)
    assert sum(useful.received.values()) == size


def test_sent_bytes_of_one_content_stop_at_its_size():
    tally = Tally()
    tally.content("a", 2 * BLOCK_BYTES)
    for _ in range(3):
        tally.block_uploaded("a", "baker", 0, 0)
    assert tally.sent() == {"baker": 2 * BLOCK_BYTES}


def test_totals_go_over_all_contents():
    tally = Tally()
    tally.restore("a", 100, {"farmer": 60, "baker": 40})
    tally.restore("b", 100, {"farmer": 1})
    assert tally.received() == {"farmer": 61, "baker": 40}


def test_a_token_is_a_whole_peer_id_of_ours():
    token = new_token(Zeros())
    assert token == (b"-CF0100-" + b"A" * 12).hex()
    assert peer_id(token) == "-CF0100-AAAAAAAAAAAA"


@pytest.mark.parametrize("token", ["", "zz", "00" * 20, (b"-CF0100-" + b"\xff" * 12).hex(), (b"-CF0100-A").hex()])
def test_what_no_session_made_is_no_token(token):
    with pytest.raises(ValueError):
        peer_id(token)
