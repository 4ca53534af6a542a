"""Messages: exactly what encoding makes is read, limits hold at the limit and one beyond, garbage is one error."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.network.messages import (
    HEAD_BUCKETS,
    MAX_FORKS,
    MAX_FRAME_BYTES,
    MAX_HEADS,
    MAX_KNOWN,
    MAX_PARCEL_BLOCKS,
    MAX_PARCEL_PARTS,
    MAX_REFUSAL,
    Answer,
    AskHeads,
    AskRange,
    AskToJoin,
    BadMessage,
    Facts,
    Head,
    Heads,
    Hello,
    Known,
    Receipt,
    Refused,
    Request,
    Unframer,
    Welcome,
    Wire,
    decode,
    encode,
    frames,
    unpack_all,
)
from overlay.trustchain.block import MAX_BLOCK_BYTES
from overlay.trustchain.commitment import Disclosure

KEY, DIGESTS = b"k" * 74, (b"8 bytes.",) * HEAD_BUCKETS
PART = Disclosure(b"b" * 32, 0, 1, b"s" * 16, b"", ())
HEAD, KNOWN = Head(KEY, 1, 1, 0), Known(KEY, "10.0.0.1", 1)
KINDS = [Request, Answer, Facts, Receipt, Hello, AskHeads, Heads, AskRange, AskToJoin, Welcome]


@pytest.mark.parametrize(
    ("most", "one_more"),
    [
        (Facts((b"",) * MAX_PARCEL_BLOCKS), Facts((b"",) * (MAX_PARCEL_BLOCKS + 1))),
        (Facts((b"b" * MAX_BLOCK_BYTES,)), Facts((b"b" * (MAX_BLOCK_BYTES + 1),))),
        (Facts((), (PART,) * MAX_PARCEL_PARTS), Facts((), (PART,) * (MAX_PARCEL_PARTS + 1))),
        (Receipt((Refused(MAX_PARCEL_BLOCKS - 1, ""),)), Receipt((Refused(MAX_PARCEL_BLOCKS, ""),))),
        (Answer(False, b"", "x" * MAX_REFUSAL), Answer(False, b"", "x" * (MAX_REFUSAL + 1))),
        (Heads((HEAD,) * MAX_HEADS), Heads((HEAD,) * (MAX_HEADS + 1))),
        (Heads((Head(KEY, 0, 0, MAX_FORKS),)), Heads((Head(KEY, 0, 0, MAX_FORKS + 1),))),
        (Heads((Head(KEY, 0, 0xFFFFFFFF, 0),)), Heads((Head(KEY, 0, 0x100000000, 0),))),
        (Heads((Head(KEY, 0, 0, 0, bytes(8)),)), Heads((Head(KEY, 0, 0, 0, bytes(9)),))),
        (Hello((KNOWN,) * MAX_KNOWN), Hello((KNOWN,) * (MAX_KNOWN + 1))),
        (Hello((Known(KEY, "x", 65_535),)), Hello((Known(KEY, "x", 65_536),))),
        (AskHeads(DIGESTS), AskHeads((*DIGESTS, b""))),
        (AskHeads(DIGESTS, KEY), AskHeads(DIGESTS, KEY + b"k")),
        (Request("s" * 32, b""), Request("s" * 33, b"")),
        (AskToJoin(b"c" * 16), AskToJoin(b"c" * 17)),
    ],
)
def test_a_message_is_read_at_its_limit_and_not_beyond(most: Wire, one_more: Wire) -> None:
    assert decode(encode(most), type(most)) == most
    with pytest.raises(BadMessage):
        decode(encode(one_more), type(one_more))


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_garbage_raises_the_decoders_own_error_or_is_a_message(kind: type[Wire], garbage: bytes) -> None:
    try:
        message = decode(garbage, kind)
    except BadMessage:
        return
    assert isinstance(message, kind)


def test_unknown_fields_trailing_bytes_and_deep_nesting_are_refused() -> None:
    whole = encode(Receipt())
    for raw in (whole + b"\x00", msgspec.msgpack.encode([[], 1]), b"\x91" * 100_000):
        with pytest.raises(BadMessage):
            decode(raw, Receipt)


def test_the_first_malformed_block_of_a_message_is_named() -> None:
    with pytest.raises(BadMessage, match="block 0 of a message is malformed"):
        unpack_all([b"no block"])


@given(st.lists(st.binary(max_size=MAX_FRAME_BYTES), max_size=20), st.lists(st.integers(1, 5_000), max_size=20))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    stream, unframer, found = frames(parts), Unframer(), list[bytes]()
    for cut in [*cuts, len(stream)]:
        found += unframer.feed(stream[:cut])
        stream = stream[cut:]
    assert found == parts
    assert unframer.is_whole


def test_a_frame_may_have_so_many_bytes_and_not_one_more() -> None:
    assert Unframer().feed(frames([bytes(MAX_FRAME_BYTES)])) == [bytes(MAX_FRAME_BYTES)]
    with pytest.raises(BadMessage):
        Unframer().feed((MAX_FRAME_BYTES + 1).to_bytes(4))


def test_an_unfinished_frame_holds_no_more_than_its_own_bytes() -> None:
    unframer = Unframer()
    unframer.feed(frames([b"done"] * 1_000) + b"\x00\x00\x00\x09rest")
    assert not unframer.is_whole
    assert len(unframer._rest) == 8
