"""What is sealed opens for its owner, at its place, unaltered, and nowhere else."""

import sqlite3

import pytest

from overlay.keys import Identity
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.commitment import MAX_PART_BYTES, MAX_PARTS, Disclosure
from overlay.trustchain.connection import Connection
from overlay.trustchain.sealing import Seal, Unreadable

BLOCK, SALT = bytes(range(32)), b"s" * 16
OWN = Seal(Identity.from_seed(b"o" * 64))


@pytest.mark.parametrize("content", [b"", b"a deed", b"x" * MAX_PART_BYTES])
def test_what_is_closed_opens_again_sixteen_bytes_longer(content: bytes) -> None:
    sealed = OWN.close(BLOCK, MAX_PARTS - 1, SALT, content)
    assert len(sealed) == len(SALT) + len(content) + 16
    assert OWN.open(BLOCK, MAX_PARTS - 1, sealed) == (SALT, content)
    assert not content or content not in sealed
    assert SALT not in sealed


def test_equal_contents_look_different_at_each_place() -> None:
    places = [(bytes([block]) + BLOCK[1:], index) for block in range(4) for index in range(MAX_PARTS)]
    assert len({OWN.close(*place, SALT, b"bread") for place in places}) == len(places)


def test_another_identity_place_or_byte_opens_nothing() -> None:
    sealed = OWN.close(BLOCK, 0, SALT, b"bread")
    other = Seal(Identity.from_seed(b"p" * 64))
    wrong = [(other, BLOCK, 0, sealed), (OWN, BLOCK, 1, sealed), (OWN, BLOCK[::-1], 0, sealed), (OWN, BLOCK, 0, b"")]
    wrong += [(OWN, BLOCK, 0, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) for at in range(len(sealed))]
    for seal, block, index, raw in wrong:
        with pytest.raises(Unreadable):
            seal.open(block, index, raw)


def test_a_connection_without_an_identity_neither_writes_nor_reads_parts() -> None:
    db = sqlite3.connect(":memory:", factory=Connection)
    block_tables.prepare(db)
    db.executescript(block_tables.SCHEMA)
    with pytest.raises(Unreadable, match="no identity"):
        blocks.insert_part(db, Disclosure(BLOCK, 0, 1, SALT, b"bread", ()))
    db.close()
