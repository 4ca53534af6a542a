"""Statements and parts: exactly what encoding makes is read back, everything else is refused as malformed."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.trustchain.block import MAX_CONTENT_BYTES
from overlay.trustchain.statements import (
    KINDS,
    MAX_INPUTS,
    MAX_ISSUERS,
    MAX_MEMBERS,
    MAX_QUANTITY,
    AgreeExchange,
    AmendCharter,
    Anything,
    CancelExchange,
    CastVote,
    ClassRule,
    Comment,
    Decide,
    Deed,
    Delegate,
    DeliverWork,
    FoundAssembly,
    InstructVote,
    Issuer,
    Leg,
    MalformedStatement,
    Media,
    Mint,
    Note,
    Part,
    Profile,
    ProposeDocument,
    ProposeExchange,
    ProposeWork,
    Rule,
    Source,
    Want,
    Witness,
    decode,
    decode_part,
    encode,
    encode_part,
)

HASH, KEY = b"h" * 32, b"k" * 74
SAMPLES: list[Anything] = [
    Mint("bread", "loaf", 1, "", 0, None),
    Mint("bread" * 12, "x" * 20, MAX_QUANTITY, "ü" * 280, MAX_QUANTITY, Media(HASH, HASH, 1 << 40)),
    ProposeExchange(0, HASH, 0, None),
    ProposeExchange(MAX_QUANTITY, HASH, MAX_QUANTITY, HASH),
    AgreeExchange(HASH, 7),
    CancelExchange(HASH, "no bread today"),
    Witness(HASH, HASH, 0xFFFFFFFF, True),
    CastVote(HASH, "yes", ""),
    FoundAssembly("farm", "", (KEY,) * 10, 10, *(Rule("majority"),) * 4, limits=None),
    AmendCharter(HASH, "x" * 60, "x" * 60, (KEY,) * 10, (), 10, (ClassRule("texts", Rule("majority")),), 0),
    ProposeDocument(HASH, "x" * 60, "x" * 280, MAX_QUANTITY, Media(HASH, HASH, 1)),
    ProposeWork(HASH, "x" * 60, "ü" * 280, KEY, bytes(42), 1, Media(HASH, HASH, 1), MAX_QUANTITY),
    DeliverWork(HASH, Media(HASH, HASH, 1), "ü" * 280),
    InstructVote(HASH, HASH, "block", "ü" * 280, MAX_QUANTITY),
    Delegate(HASH, "amendments", KEY),
    Delegate(HASH, "texts", None),
    Comment(HASH, "ü" * 280),
    Profile("farmer", "", True),
]
LEG = Leg(True, HASH, (Source(HASH, 0),), 1, 0, 1, ())
PARTS: list[Part] = [
    LEG,
    Leg(
        False,
        HASH,
        tuple(Source(bytes([at]) * 32, 255) for at in range(MAX_INPUTS)),
        MAX_QUANTITY,
        MAX_QUANTITY,
        0xFFFFFFFF,
        tuple(Issuer(bytes([at]) * 74, 0xFFFFFFFF) for at in range(MAX_ISSUERS - 1)),
    ),
    Deed(False, "repaired the gearbox"),
    Want(HASH, 3),
    Note(""),
]
encoder = msgspec.msgpack.Encoder()


@pytest.mark.parametrize("statement", SAMPLES)
def test_what_is_said_is_read_back(statement: Anything) -> None:
    kind, raw = encode(statement)
    assert decode(kind, raw) == statement
    assert len(kind) + len(raw) <= 1_173


@pytest.mark.parametrize("part", PARTS)
def test_what_a_part_says_is_read_back(part: Part) -> None:
    content = encode_part(part)
    assert decode_part(content) == part
    assert len(content) <= 4_096


def test_blocks_of_foreign_types_mean_nothing_and_raise_nothing() -> None:
    assert decode(b"tribler_bandwidth", b"a4d4bdown1i0") is None


def test_a_statement_of_one_kind_is_none_of_another() -> None:
    _, raw = encode(AgreeExchange(HASH, 7))
    for kind in KINDS:
        if kind != b"exchange":
            with pytest.raises(MalformedStatement):
                decode(kind, raw)


def refused(kind: bytes, fields: list[Any]) -> bool:
    try:
        decode(kind, encoder.encode(fields))
    except MalformedStatement:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (b"exchange", ["agreement", HASH]),  # a field is missing
        (b"exchange", ["agreement", HASH, 7, 0]),  # one too many
        (b"exchange", ["agreements", HASH, 7]),  # no such statement
        (b"exchange", ["agreement", HASH[:-1], 7]),
        (b"exchange", ["agreement", HASH + b"h", 7]),
        (b"exchange", ["agreement", HASH.decode(), 7]),  # text for bytes
        (b"exchange", ["agreement", HASH, -1]),
        (b"exchange", ["agreement", HASH, MAX_QUANTITY + 1]),
        (b"exchange", ["agreement", HASH, 7.0]),
        (b"exchange", ["agreement", HASH, True]),
        (b"exchange", ["agreement", HASH, None]),
        (b"exchange", ["proposal", 0, HASH + b"h", 0, None]),
        (b"attest", ["witness", HASH, HASH, 0, True]),
        (b"attest", ["witness", HASH, HASH, 1 << 32, True]),
        (b"attest", ["witness", HASH, HASH, 1, 1]),
        (b"mint", ["mint", "", "loaf", 1, "", 0, None]),
        (b"mint", ["mint", "b" * 61, "loaf", 1, "", 0, None]),
        (b"mint", ["mint", "bread", "loaf", 0, "", 0, None]),
        (b"mint", ["mint", "bread", "loaf", 1, "t" * 281, 0, None]),
        (b"mint", ["mint", "bread", "loaf", 1, "", 0, [HASH, HASH, 0]]),
        (b"mint", ["mint", "bread", "loaf", 1, "", 0, [HASH, HASH, (1 << 40) + 1]]),
        (b"vote", ["vote", HASH, "maybe", ""]),
        (b"declare", ["profile", "farmer", ""]),  # a default that is left out is a second encoding
    ],
)
def test_fields_out_of_bounds_are_refused(kind: bytes, fields: list[Any]) -> None:
    assert refused(kind, fields)


@pytest.mark.parametrize(
    "part",
    [
        ["leg", True, HASH, [], 1, 0, 1, []],
        ["leg", True, HASH, [[HASH, 0]] * 2, 1, 0, 1, []],  # one input twice
        ["leg", True, HASH, [[b"i" * 32, 0], [HASH, 0]], 1, 0, 1, []],  # not in rising order
        ["leg", True, HASH, [[HASH, 1], [HASH, 0]], 1, 0, 1, []],
        ["leg", True, HASH, [[HASH, 256]], 1, 0, 1, []],
        ["leg", True, HASH, [[HASH, 0]], 0, 0, 1, []],
        ["leg", True, HASH, [[HASH, 0]], -1, 2, 1, []],
        ["leg", True, HASH, [[HASH, 0]], 1, -1, 1, []],
        ["leg", True, HASH, [[HASH, 0]], 1, 0, 0, []],
        ["leg", True, HASH, [[HASH, 0]], 1, 0, 1 << 32, []],
        ["leg", True, HASH, [[HASH, 0]], 1, 0, 1, [[KEY, 1], [KEY, 2]]],
        ["leg", True, HASH, [[HASH, 0]], 1, 0, 1, [[b"z" * 74, 1], [KEY, 2]]],
        ["leg", True, HASH, [[bytes([at]) * 32, 0] for at in range(MAX_INPUTS + 1)], 1, 0, 1, []],
        ["leg", True, HASH, [[HASH, 0]], 1, 0, 1, [[bytes([at]) * 74, 1] for at in range(MAX_ISSUERS)]],
        ["want", HASH, 0],
        ["note", "x" * 281],
        ["nota", "x"],
        "note",
        7,
    ],
)
def test_a_part_out_of_bounds_is_refused(part: Any) -> None:
    with pytest.raises(MalformedStatement):
        decode_part(encoder.encode(part))


def test_what_cannot_be_read_back_is_not_encoded() -> None:
    with pytest.raises(MalformedStatement):
        encode(Mint("", "loaf", 1, "", 0, None))
    with pytest.raises(MalformedStatement):
        encode_part(Note("x" * 281))
    with pytest.raises(MalformedStatement, match="rising order"):
        Leg(True, HASH, (Source(HASH, 1), Source(HASH, 0)), 1, 0, 1, ())


def test_a_word_on_the_votes_of_the_largest_group_fits_a_block() -> None:
    votes = tuple(bytes([number]) * 32 for number in range(MAX_MEMBERS))
    kind, content = encode(Decide(b"p" * 32, True, votes))
    assert len(kind) + len(content) <= MAX_CONTENT_BYTES
    assert decode(kind, content) == Decide(b"p" * 32, True, votes)
    with pytest.raises(MalformedStatement):
        encode(Decide(b"p" * 32, True, (*votes, b"v" * 32)))


def test_longer_encodings_of_the_same_are_refused() -> None:
    kind, raw = encode(AgreeExchange(HASH, 7))
    head, weight = raw[:-1], raw[-1:]
    assert weight == b"\x07"
    for longer in (b"\xcc\x07", b"\xcd\x00\x07", b"\xce\x00\x00\x00\x07", b"\xcf" + bytes(7) + b"\x07", b"\xd0\x07"):
        with pytest.raises(MalformedStatement, match="shortest"):
            decode(kind, head + longer)
    for array in (b"\xdc\x00\x03", b"\xdd\x00\x00\x00\x03"):
        with pytest.raises(MalformedStatement, match="shortest"):
            decode(kind, array + raw[1:])
    with pytest.raises(MalformedStatement, match="shortest"):
        decode(kind, raw.replace(b"\xa9agreement", b"\xd9\x09agreement"))


def test_bytes_behind_a_statement_and_depth_without_end_are_refused() -> None:
    kind, raw = encode(AgreeExchange(HASH, 7))
    for wrong in (raw + b"\x00", raw[:-1], b"", b"\x91" * 1_173, b"\x81\x01" * 500, b"\xdf\xff\xff\xff\xff"):
        with pytest.raises(MalformedStatement):
            decode(kind, wrong)
        with pytest.raises(MalformedStatement):
            decode_part(wrong)


def test_text_must_be_text() -> None:
    kind, raw = encode(CancelExchange(HASH, "ab"))
    for wrong in (b"\xff\xfe", b"\xed\xa0", b"\xc0\x80"):
        with pytest.raises(MalformedStatement):
            decode(kind, raw.replace(b"ab", wrong))


@settings(deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=200))
def test_random_bytes_are_malformed_or_mean_exactly_themselves(kind: bytes, raw: bytes) -> None:
    try:
        statement = decode(kind, raw)
    except MalformedStatement:
        return
    assert statement is not None
    assert encode(statement) == (kind, raw)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_parts_are_malformed_or_mean_exactly_themselves(raw: bytes) -> None:
    try:
        part = decode_part(raw)
    except MalformedStatement:
        return
    assert encode_part(part) == raw


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from(range(len(SAMPLES))))
def test_damaged_statements_are_malformed_or_mean_exactly_themselves(
    chance: random.Random, hits: int, which: int
) -> None:
    kind, good = encode(SAMPLES[which])
    raw = bytearray(good)
    for _ in range(hits):
        if chance.random() < 0.5:
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        else:
            raw.insert(chance.randrange(len(raw)), chance.randrange(256))
    try:
        statement = decode(kind, bytes(raw))
    except MalformedStatement:
        return
    assert statement is not None
    assert encode(statement) == (kind, bytes(raw))
