"""Commitments to a private body: every part can be shown alone, at its own place, and tells nothing of the others."""

import contextlib
import hashlib
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.trustchain.commitment import MAX_PART_BYTES, MAX_PARTS, BadDisclosure, Body, Disclosure

BLOCK = b"b" * 32
parts_of_bodies = st.lists(st.binary(max_size=64), min_size=1, max_size=MAX_PARTS)


@dataclass
class Counting:
    """Salts that never repeat."""

    drawn: int = 0

    def bytes(self, count: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_128(b"salt %d" % self.drawn).digest(count)


def changed(part: Disclosure, **fields: object) -> Disclosure:
    return msgspec.structs.replace(part, **fields)


def proves(part: Disclosure, root: bytes) -> bool:
    try:
        return part.root() == root
    except BadDisclosure:
        return False


@settings(deadline=None)
@given(parts_of_bodies)
def test_every_part_proves_itself_alone(parts: list[bytes]) -> None:
    body = Body(parts, Counting())
    shown = body.disclosures(BLOCK)
    assert [part.content for part in shown] == parts
    assert all(part.root() == body.root for part in shown)


@settings(deadline=None, max_examples=30)
@given(parts_of_bodies)
def test_no_part_proves_itself_at_another_place_or_in_a_body_of_another_size(parts: list[bytes]) -> None:
    body = Body(parts, Counting())
    for part in body.disclosures(BLOCK):
        for index in range(MAX_PARTS):
            for count in {len(parts), len(parts) + 1, len(parts) - 1, MAX_PARTS}:
                if (index, count) != (part.index, part.count):
                    assert not proves(changed(part, index=index, count=count), body.root)


@settings(deadline=None)
@given(parts_of_bodies, st.data())
def test_nothing_else_proves_itself(parts: list[bytes], data: st.DataObject) -> None:
    body = Body(parts, Counting())
    part = data.draw(st.sampled_from(body.disclosures(BLOCK)))
    forged = [
        changed(part, content=part.content + b"\x00"),
        changed(part, salt=bytes(16)),
        changed(part, path=(*part.path, bytes(32))),
        *([changed(part, path=part.path[:-1])] if part.path else []),
        *([changed(part, path=(bytes(32), *part.path[1:]))] if part.path else []),
    ]
    assert not any(proves(each, body.root) for each in forged)


def test_bytes_cannot_move_between_salt_and_content() -> None:
    (part,) = Body([b"bread"], Counting()).disclosures(BLOCK)
    with pytest.raises(BadDisclosure, match="salt of 16 bytes"):
        changed(part, salt=part.salt + part.content[:1], content=part.content[1:]).root()


def test_salts_hide_what_could_be_guessed() -> None:
    random = Counting()
    one, other = Body([b"10 loaves"], random), Body([b"10 loaves"], random)
    assert one.root != other.root


def test_an_inner_node_is_no_leaf_and_a_leaf_is_no_inner_node() -> None:
    body = Body([b"one", b"two"], Counting())
    first, second = body.disclosures(BLOCK)
    leaves = [hashlib.sha256(b"\x00" + part.salt + part.content).digest() for part in (first, second)]
    posing = Disclosure(BLOCK, 0, 1, leaves[0][:16], leaves[0][16:] + leaves[1], ())
    assert not proves(posing, body.root)


@pytest.mark.parametrize("count", [0, MAX_PARTS + 1])
def test_a_body_has_one_to_thirty_two_parts(count: int) -> None:
    with pytest.raises(BadDisclosure, match="1 to 32 parts"):
        Body([b"x"] * count, Counting())


def test_a_part_at_the_limit_is_taken_and_one_byte_more_refused() -> None:
    body = Body([b"x" * MAX_PART_BYTES], Counting())
    (part,) = body.disclosures(BLOCK)
    assert part.root() == body.root
    with pytest.raises(BadDisclosure, match="4096"):
        Body([b"x" * (MAX_PART_BYTES + 1)], Counting())
    with pytest.raises(BadDisclosure, match="4,096"):
        changed(part, content=b"x" * (MAX_PART_BYTES + 1)).root()


@settings(deadline=None)
@given(
    st.builds(
        Disclosure,
        st.binary(max_size=40),
        st.integers(-(2**63), 2**64 - 1),
        st.integers(-(2**63), 2**64 - 1),
        st.binary(max_size=20),
        st.binary(max_size=20),
        st.lists(st.binary(min_size=30, max_size=34), max_size=8).map(tuple),
    )
)
def test_whatever_a_peer_discloses_is_a_root_or_a_bad_disclosure(part: Disclosure) -> None:
    with contextlib.suppress(BadDisclosure):
        assert len(part.root()) == 32
