"""The tables of blocks, disclosed parts and fork proofs: plain functions over one SQLite connection."""

import sqlite3
from collections.abc import Iterator

import msgspec

from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash, HalfBlock, unpack
from overlay.trustchain.commitment import Disclosure

SCHEMA = """
CREATE TABLE IF NOT EXISTS agent (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS block (
    id INTEGER PRIMARY KEY, agent INTEGER NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE,
    link_agent INTEGER NOT NULL, link_sequence INTEGER NOT NULL, type BLOB NOT NULL, raw BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS block_place ON block (agent, sequence);
CREATE INDEX IF NOT EXISTS block_link ON block (link_agent, link_sequence) WHERE link_sequence > 0;
CREATE TABLE IF NOT EXISTS part (
    block BLOB NOT NULL, position INTEGER NOT NULL, disclosure BLOB NOT NULL, PRIMARY KEY (block, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fork (
    agent INTEGER NOT NULL, sequence INTEGER NOT NULL, first BLOB NOT NULL, second BLOB NOT NULL,
    PRIMARY KEY (agent, sequence)) WITHOUT ROWID;
"""

_disclosure_decoder = msgspec.msgpack.Decoder(Disclosure)


def agent_id(db: sqlite3.Connection, key: PublicKey) -> int:
    """The small number that stands for a key in this file; made when new."""
    row = db.execute("SELECT id FROM agent WHERE key = ?", (key,)).fetchone()
    if row is None:
        row = db.execute("INSERT INTO agent (key) VALUES (?) RETURNING id", (key,)).fetchone()
    return int(row[0])


def insert(db: sqlite3.Connection, block: HalfBlock) -> None:
    """Store one block; the caller has checked that it is new and valid."""
    db.execute(
        "INSERT INTO block (agent, sequence, hash, link_agent, link_sequence, type, raw) VALUES (?,?,?,?,?,?,?)",
        (
            agent_id(db, block.public_key),
            block.sequence_number,
            block.hash,
            agent_id(db, block.link_public_key),
            block.link_sequence_number,
            block.type,
            block.pack(),
        ),
    )


def contains(db: sqlite3.Connection, block: BlockHash) -> bool:
    return db.execute("SELECT 1 FROM block WHERE hash = ?", (block,)).fetchone() is not None


def by_hash(db: sqlite3.Connection, block: bytes) -> HalfBlock | None:
    row = db.execute("SELECT raw FROM block WHERE hash = ?", (block,)).fetchone()
    return unpack(row[0]) if row else None


def at(db: sqlite3.Connection, key: PublicKey, sequence: int) -> list[HalfBlock]:
    """The blocks at one place of a chain: one for the honest, more after a fork."""
    rows = db.execute(
        "SELECT raw FROM block JOIN agent ON agent.id = block.agent WHERE key = ? AND sequence = ? ORDER BY hash",
        (key, sequence),
    )
    return [unpack(raw) for (raw,) in rows]


def linked_to(db: sqlite3.Connection, block: HalfBlock) -> list[HalfBlock]:
    """The agreement halves that name this block's place, in the order of their hashes."""
    rows = db.execute(
        "SELECT raw FROM block JOIN agent ON agent.id = link_agent"
        " WHERE key = ? AND link_sequence = ? AND link_sequence > 0 ORDER BY hash",
        (block.public_key, block.sequence_number),
    )
    return [unpack(raw) for (raw,) in rows]


def head(db: sqlite3.Connection, key: PublicKey) -> tuple[int, BlockHash] | None:
    """The highest sequence number stored of a chain and its block's hash; None for an empty chain."""
    row = db.execute(
        "SELECT sequence, hash FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?)"
        " ORDER BY sequence DESC, hash LIMIT 1",
        (key,),
    ).fetchone()
    return (int(row[0]), BlockHash(row[1])) if row else None


def chain(db: sqlite3.Connection, key: PublicKey, first: int, last: int, limit: int) -> list[HalfBlock]:
    """At most `limit` blocks of a chain with sequence numbers first..last, in order."""
    rows = db.execute(
        "SELECT raw FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?)"
        " AND sequence BETWEEN ? AND ? ORDER BY sequence, hash LIMIT ?",
        (key, first, last, limit),
    )
    return [unpack(raw) for (raw,) in rows]


def first_gap(db: sqlite3.Connection, key: PublicKey) -> int:
    """The lowest sequence number of a chain that is not stored (1 for an empty chain)."""
    row = db.execute(
        "WITH own AS (SELECT sequence FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?))"
        " SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM own WHERE sequence = 1) THEN 1 ELSE"
        " (SELECT min(sequence) + 1 FROM own WHERE sequence + 1 NOT IN own) END",
        (key,),
    ).fetchone()
    return int(row[0])


def everything(db: sqlite3.Connection) -> Iterator[HalfBlock]:
    """All blocks, in the order in which they were stored."""
    for (raw,) in db.execute("SELECT raw FROM block ORDER BY id"):
        yield unpack(raw)


def insert_part(db: sqlite3.Connection, disclosure: Disclosure) -> bool:
    """Store a part whose commitment was checked; False when it is known."""
    cursor = db.execute(
        "INSERT OR IGNORE INTO part (block, position, disclosure) VALUES (?,?,?)",
        (disclosure.block, disclosure.index, msgspec.msgpack.encode(disclosure)),
    )
    return cursor.rowcount == 1


def parts(db: sqlite3.Connection, block: bytes) -> list[Disclosure]:
    """The parts of a block's body that this node knows, in order."""
    rows = db.execute("SELECT disclosure FROM part WHERE block = ? ORDER BY position", (block,))
    return [_disclosure_decoder.decode(raw) for (raw,) in rows]


def insert_fork(db: sqlite3.Connection, first: HalfBlock, second: HalfBlock) -> bool:
    """Keep the proof that a key signed two blocks at one place, for ever; False when that place is proven."""
    low, high = sorted((first, second), key=lambda block: block.hash)
    cursor = db.execute(
        "INSERT OR IGNORE INTO fork (agent, sequence, first, second) VALUES (?,?,?,?)",
        (agent_id(db, first.public_key), first.sequence_number, low.pack(), high.pack()),
    )
    return cursor.rowcount == 1


def forks(db: sqlite3.Connection) -> list[tuple[HalfBlock, HalfBlock]]:
    """Every fork proof that this node holds."""
    rows = db.execute("SELECT first, second FROM fork ORDER BY agent, sequence")
    return [(unpack(first), unpack(second)) for first, second in rows]


def has_forked(db: sqlite3.Connection, key: PublicKey) -> bool:
    row = db.execute("SELECT 1 FROM fork JOIN agent ON agent.id = agent WHERE key = ? LIMIT 1", (key,)).fetchone()
    return row is not None
