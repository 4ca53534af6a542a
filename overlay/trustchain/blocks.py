"""Blocks, disclosed parts and fork proofs in their tables: plain functions over one SQLite connection.

A key or hash stands as a small number everywhere but in its own row (`agent_id`, `block_id`): see `block_tables`.
"""

import sqlite3
from collections.abc import Iterator

from overlay.keys import PublicKey
from overlay.trustchain import block_tables, growth
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.block_tables import read
from overlay.trustchain.commitment import ROOT_BYTES, Disclosure
from overlay.trustchain.connection import agents, halves, seal_of
from overlay.trustchain.sealing import Seal

_HALF = " ".join(
    (
        "SELECT",
        block_tables.COLUMNS,
        "FROM half h JOIN agent author ON author.id = h.agent JOIN agent link ON link.id = h.link_agent",
    )
)


def agent_id(db: sqlite3.Connection, key: bytes) -> int:
    """The small number that stands for a key in this file; made when new."""
    return agent_of(db, key) or agents(db).keep(key, _new(db.execute("INSERT INTO agent (key) VALUES (?)", (key,))))


def agent_of(db: sqlite3.Connection, key: bytes) -> int:
    """The small number of a key; 0, which is nobody's, when it is not known."""
    known = agents(db)
    found = known.get(key)
    if found is not None:
        return found
    row = db.execute("SELECT id FROM agent WHERE key = ?", (key,)).fetchone()
    return known.keep(key, row[0]) if row else 0


def _new(inserted: sqlite3.Cursor) -> int:
    return int(inserted.lastrowid or 0)


def key_of(db: sqlite3.Connection, agent: int) -> PublicKey:
    """The key behind a small number."""
    (key,) = db.execute("SELECT key FROM agent WHERE id = ?", (agent,)).fetchone()
    return PublicKey(key)


def find_id(db: sqlite3.Connection, block: bytes) -> int | None:
    """The small number of a hash that is stored or mentioned; None otherwise."""
    known = halves(db)
    found = known.get(block)
    if found is not None:
        return found
    row = db.execute("SELECT id FROM half WHERE substr(hash, 1, 8) = substr(?1, 1, 8) AND hash = ?1", (block,))
    stored = row.fetchone()
    return known.keep(block, stored[0]) if stored else None


def block_id(db: sqlite3.Connection, block: bytes) -> int:
    """The small number that stands for a hash in this file; made when new, so that unknown blocks can be mentioned."""
    found = find_id(db, block)
    if found is not None:
        return found
    return halves(db).keep(block, _new(db.execute("INSERT INTO half (hash) VALUES (?)", (block,))))


def hash_of(db: sqlite3.Connection, block: int) -> BlockHash:
    """The hash behind a small number."""
    (found,) = db.execute("SELECT hash FROM half WHERE id = ?", (block,)).fetchone()
    return BlockHash(found)


def insert(db: sqlite3.Connection, block: HalfBlock) -> HalfBlock | bool:
    """Store one valid block. False when it was known; the other block, when that proves for the first time that its
    author signed two at this place; True otherwise."""
    agent, link = agent_id(db, block.public_key), agent_id(db, block.link_public_key)
    columns = (agent, block.sequence_number, link, block.link_sequence_number, block_tables.tail_of(block))
    number = find_id(db, block.hash)
    if number is None:
        inserted = db.execute(
            "INSERT INTO half (hash, agent, sequence, link_agent, link_sequence, tail) VALUES (?,?,?,?,?,?)",
            (block.hash, *columns),
        )
        number = halves(db).keep(block.hash, _new(inserted))
    elif not db.execute(
        "UPDATE half SET agent = ?, sequence = ?, link_agent = ?, link_sequence = ?, tail = ?"
        " WHERE id = ? AND agent IS NULL",
        (*columns, number),
    ).rowcount:
        return False
    return _place(db, agent, block.sequence_number, number) or True


def _place(db: sqlite3.Connection, agent: int, sequence: int, number: int) -> HalfBlock | None:
    """Keep how far the chain is known; the other block at this place, if that proves a fork for the first time."""
    if growth.grow(db, agent, sequence):
        return None
    rival = db.execute(
        "SELECT id FROM half WHERE agent = ? AND sequence = ? AND id <> ? LIMIT 1", (agent, sequence, number)
    ).fetchone()
    if rival is None:
        return None
    kept = db.execute("INSERT OR IGNORE INTO forked (agent, sequence) VALUES (?,?)", (agent, sequence)).rowcount
    return by_id(db, rival[0]) if kept else None


def contains(db: sqlite3.Connection, block: bytes) -> bool:
    row = db.execute(
        "SELECT agent FROM half WHERE substr(hash, 1, 8) = substr(?1, 1, 8) AND hash = ?1", (block,)
    ).fetchone()
    return row is not None and row[0] is not None


def by_hash(db: sqlite3.Connection, block: bytes) -> HalfBlock | None:
    row = db.execute(f"{_HALF} WHERE substr(h.hash, 1, 8) = substr(?1, 1, 8) AND h.hash = ?1", (block,)).fetchone()
    return read(row) if row else None


def by_id(db: sqlite3.Connection, block: int) -> HalfBlock | None:
    """The block with a small number; None where it is only mentioned."""
    row = db.execute(f"{_HALF} WHERE h.id = ?", (block,)).fetchone()
    return read(row) if row else None


def at(db: sqlite3.Connection, key: PublicKey, sequence: int) -> list[HalfBlock]:
    """The blocks at one place of a chain, in the order of their hashes: one for the honest, more after a fork."""
    rows = db.execute(f"{_HALF} WHERE author.key = ? AND h.sequence = ? ORDER BY h.hash", (key, sequence))
    return [read(row) for row in rows]


def linked_to(db: sqlite3.Connection, block: HalfBlock) -> list[HalfBlock]:
    """The agreement halves that name this block's place, in the order of their hashes."""
    rows = db.execute(
        f"{_HALF} WHERE link.key = ? AND h.link_sequence = ? AND h.link_sequence > 0 ORDER BY h.hash",
        (block.public_key, block.sequence_number),
    )
    return [read(row) for row in rows]


def head(db: sqlite3.Connection, key: PublicKey) -> tuple[int, BlockHash] | None:
    """The highest sequence number stored of a chain and its block's hash (the lowest); None for an empty chain."""
    growth.settle(db)
    rows = db.execute(
        "SELECT h.sequence, h.hash FROM agent a JOIN half h ON h.agent = a.id AND h.sequence = a.highest"
        " WHERE a.id = ?",
        (agent_of(db, key),),
    ).fetchall()
    return min(((int(sequence), BlockHash(hash_)) for sequence, hash_ in rows), default=None)


def chain(db: sqlite3.Connection, key: PublicKey, first: int, last: int, limit: int) -> list[HalfBlock]:
    """At most `limit` blocks of a chain with sequence numbers first..last, in order."""
    rows = db.execute(
        f"{_HALF} WHERE author.key = ? AND h.sequence BETWEEN ? AND ? ORDER BY h.sequence, h.hash LIMIT ?",
        (key, first, last, limit),
    )
    return [read(row) for row in rows]


def first_gap(db: sqlite3.Connection, key: PublicKey) -> int:
    """The lowest sequence number of a chain that is not stored (1 for an empty chain)."""
    growth.settle(db)
    row = db.execute("SELECT contiguous FROM agent WHERE key = ?", (key,)).fetchone()
    return int(row[0]) + 1 if row else 1


def count(db: sqlite3.Connection) -> int:
    """How many blocks are stored."""
    (found,) = db.execute("SELECT count(*) FROM half WHERE agent IS NOT NULL").fetchone()
    return int(found)


def everything(db: sqlite3.Connection) -> Iterator[HalfBlock]:
    """All blocks, in the order in which they were stored or first mentioned."""
    for row in db.execute(f"{_HALF} ORDER BY h.id"):
        yield read(row)


def insert_part(db: sqlite3.Connection, disclosure: Disclosure) -> bool:
    """Store a part whose commitment was checked; False when it is known."""
    sealed = seal_of(db).close(disclosure.block, disclosure.index, disclosure.salt, disclosure.content)
    columns = (disclosure.index, disclosure.count, b"".join(disclosure.path), sealed)
    cursor = db.execute(
        "INSERT OR IGNORE INTO part (block, position, count, path, sealed) VALUES (?,?,?,?,?)",
        (block_id(db, disclosure.block), *columns),
    )
    return cursor.rowcount == 1


def parts(db: sqlite3.Connection, block: bytes) -> list[Disclosure]:
    """The parts of a block's body that this node knows, in order."""
    number = find_id(db, block)
    return [] if number is None else parts_of(db, number, block)


def parts_of(db: sqlite3.Connection, number: int, block: bytes) -> list[Disclosure]:
    """The same, of a block whose small number is known, too."""
    query = "SELECT position, count, path, sealed FROM part WHERE block = ? ORDER BY position"
    rows = db.execute(query, (number,)).fetchall()
    return [_disclosure(seal_of(db), block, *row) for row in rows]


def _disclosure(seal: Seal, block: bytes, position: int, count: int, path: bytes, sealed: bytes) -> Disclosure:
    salt, content = seal.open(block, position, sealed)
    return Disclosure(block, position, count, salt, content, _steps(path))


def forks(db: sqlite3.Connection) -> list[tuple[HalfBlock, HalfBlock]]:
    """Every fork proof that this node holds: of each place the two blocks with the lowest hashes."""
    rows = db.execute("SELECT key, sequence FROM forked JOIN agent ON agent.id = agent ORDER BY key, sequence")
    pairs = (at(db, PublicKey(key), sequence)[:2] for key, sequence in rows.fetchall())
    return [(first, second) for first, second in pairs]


def has_forked(db: sqlite3.Connection, key: PublicKey) -> bool:
    row = db.execute("SELECT 1 FROM forked WHERE agent = ? LIMIT 1", (agent_of(db, key),))
    return row.fetchone() is not None


def _steps(path: bytes) -> tuple[bytes, ...]:
    return tuple(path[at : at + ROOT_BYTES] for at in range(0, len(path), ROOT_BYTES))
