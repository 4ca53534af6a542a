"""The tables of blocks, disclosed parts and fork proofs, and how their rows become whole blocks.

Keys and hashes are long and random, so each is kept once and stands as a small number everywhere else. A hash that is
only mentioned has a number too: its row is filled in when the block arrives. The index of hashes holds their first 8
bytes, a third of the size and of the pages that each new block dirties; whoever finds two blocks with the same 8 bytes
(2^32 tries) makes one lookup a little slower.
"""

import sqlite3
import struct
from collections.abc import Sequence
from typing import Any

from overlay.trustchain.block import HalfBlock, stored
from overlay.trustchain.connection import Connection
from overlay.trustchain.sealing import Seal

# Of each agent's chain: how far it is known without a gap, and the highest number known at all.
# `tail` is a block's wire form from its previous hash on; what stands before it, the other columns say. The views
# `block` and `fork` show rows as whole blocks, for reading.
SCHEMA = """
CREATE TABLE IF NOT EXISTS agent (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, contiguous INTEGER NOT NULL DEFAULT 0,
    highest INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS half (
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL, agent INTEGER, sequence INTEGER, link_agent INTEGER,
    link_sequence INTEGER, tail BLOB);
CREATE INDEX IF NOT EXISTS half_hash ON half (substr(hash, 1, 8));
CREATE INDEX IF NOT EXISTS half_place ON half (agent, sequence) WHERE agent IS NOT NULL;
CREATE INDEX IF NOT EXISTS half_link ON half (link_agent, link_sequence) WHERE link_sequence > 0;
CREATE TABLE IF NOT EXISTS part (
    block INTEGER NOT NULL, position INTEGER NOT NULL, count INTEGER NOT NULL, path BLOB NOT NULL,
    sealed BLOB NOT NULL, PRIMARY KEY (block, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forked (
    agent INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (agent, sequence)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS block AS
    SELECT half.id, half.agent, half.sequence, half.hash, half.link_agent, half.link_sequence,
    half_type(half.tail) AS type, half_raw(author.key, half.sequence, link.key, half.link_sequence, half.tail) AS raw
    FROM half LEFT JOIN agent author ON author.id = half.agent LEFT JOIN agent link ON link.id = half.link_agent
    WHERE half.agent IS NOT NULL;
CREATE VIEW IF NOT EXISTS fork AS
    SELECT agent, sequence,
    (SELECT raw FROM block b WHERE b.agent = f.agent AND b.sequence = f.sequence ORDER BY hash LIMIT 1) AS first,
    (SELECT raw FROM block b WHERE b.agent = f.agent AND b.sequence = f.sequence ORDER BY hash LIMIT 1 OFFSET 1)
    AS second FROM forked f;
"""

# Of the tables here. The tables of views need none: they are folded anew when they differ.
VERSION = 2

# What a row's block is read from, in a query where `h` is the half, `author` and `link` are its agents.
COLUMNS = "author.key, h.sequence, link.key, h.link_sequence, h.tail"

_PLACE = struct.Struct(">I")
_TAIL_FROM = 2 * (74 + 4)
# In a tail: previous hash and signature, then the length of the type in 4 bytes.
_TYPE_LENGTH_FROM = 32 + 64


def prepare(db: sqlite3.Connection, seal: Seal | None = None) -> None:
    """Teach a connection how rows become whole blocks, and parts readable; every connection to a ledger's file needs
    it."""
    if isinstance(db, Connection):
        db.seal = seal
    db.create_function("half_raw", 5, _raw, deterministic=True)
    db.create_function("half_type", 1, _type, deterministic=True)


def check_version(db: sqlite3.Connection) -> None:
    """Mark a new file with the version of these tables; raises sqlite3.DatabaseError for a file with other ones."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0 and not db.execute("SELECT 1 FROM half LIMIT 1").fetchone():
        db.execute(f"PRAGMA user_version = {VERSION}")
    elif version != VERSION:
        raise sqlite3.DatabaseError(f"it was written by another version of this program ({version}, not {VERSION})")


def read(columns: Sequence[Any]) -> HalfBlock:
    """The block of a row of COLUMNS. It was checked before it was stored."""
    return stored(*columns)


def tail_of(block: HalfBlock) -> bytes:
    """What of a block stands in its row as it travels."""
    return block.pack()[_TAIL_FROM:]


def _raw(key: bytes, sequence: int, link_key: bytes, link_sequence: int, tail: bytes) -> bytes:
    return b"".join((key, _PLACE.pack(sequence), link_key, _PLACE.pack(link_sequence), tail))


def _type(tail: bytes) -> bytes:
    start = _TYPE_LENGTH_FROM + 4
    return tail[start : start + int.from_bytes(tail[_TYPE_LENGTH_FROM:start], "big")]
