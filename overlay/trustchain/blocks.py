"""The tables of blocks, disclosed parts and fork proofs: plain functions over one SQLite connection.

Keys and hashes are long and random, so each is kept once and stands as a small number everywhere else (`agent_id`,
`block_id`). A hash that is only mentioned has a number too: its row is filled in when the block arrives. The index of
hashes holds their first 8 bytes, a third of the size and of the pages that each new block dirties; whoever finds two
blocks with the same 8 bytes (2^32 tries) makes one lookup a little slower.
"""

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash, HalfBlock, stored
from overlay.trustchain.commitment import ROOT_BYTES, Disclosure
from overlay.trustchain.connection import Connection, agents, growing, halves, seal_of
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

_PLACE = struct.Struct(">I")
_TAIL_FROM = 2 * (74 + 4)
# In a tail: previous hash and signature, then the length of the type in 4 bytes.
_TYPE_LENGTH_FROM = 32 + 64

# What a row's block is read from, in a query where `h` is the half, `author` and `link` are its agents.
COLUMNS = "author.key, h.sequence, link.key, h.link_sequence, h.tail"
_HALF = " ".join(
    (
        "SELECT",
        COLUMNS,
        "FROM half h JOIN agent author ON author.id = h.agent JOIN agent link ON link.id = h.link_agent",
    )
)


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
    columns = (agent, block.sequence_number, link, block.link_sequence_number, block.pack()[_TAIL_FROM:])
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
    grown = growing(db)
    if grown.get(agent) == sequence - 1:
        grown[agent] = sequence
        return None
    settle(db)
    query = "UPDATE agent SET contiguous = ?1, highest = ?1 WHERE id = ?2 AND contiguous = ?1 - 1 AND highest = ?1 - 1"
    if db.execute(query, (sequence, agent)).rowcount:
        grown[agent] = sequence
        return None  # the next block of a chain without gaps
    db.execute("UPDATE agent SET highest = max(highest, ?) WHERE id = ?", (sequence, agent))
    _grow(db, agent)
    rival = db.execute(
        "SELECT id FROM half WHERE agent = ? AND sequence = ? AND id <> ? LIMIT 1", (agent, sequence, number)
    ).fetchone()
    if rival is None:
        return None
    kept = db.execute("INSERT OR IGNORE INTO forked (agent, sequence) VALUES (?,?)", (agent, sequence)).rowcount
    return by_id(db, rival[0]) if kept else None


def settle(db: sqlite3.Connection) -> None:
    """Write down how far chains have grown. Whoever inserts calls it before the transaction ends; who asks in between
    is told rightly."""
    grown = growing(db)
    if grown:
        query = "UPDATE agent SET contiguous = ?1, highest = ?1 WHERE id = ?2 AND highest < ?1"
        db.executemany(query, [(sequence, agent) for agent, sequence in grown.items()])
        grown.clear()


def _grow(db: sqlite3.Connection, agent: int) -> None:
    (last,) = before = db.execute("SELECT contiguous FROM agent WHERE id = ?", (agent,)).fetchone()
    while db.execute("SELECT 1 FROM half WHERE agent = ? AND sequence = ?", (agent, last + 1)).fetchone():
        last += 1
    if last > before[0]:
        db.execute("UPDATE agent SET contiguous = ? WHERE id = ?", (last, agent))


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
    settle(db)
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
    settle(db)
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


def read(columns: Sequence[Any]) -> HalfBlock:
    """The block of a row of COLUMNS. It was checked before it was stored."""
    return stored(*columns)


def _raw(key: bytes, sequence: int, link_key: bytes, link_sequence: int, tail: bytes) -> bytes:
    return b"".join((key, _PLACE.pack(sequence), link_key, _PLACE.pack(link_sequence), tail))


def _type(tail: bytes) -> bytes:
    start = _TYPE_LENGTH_FROM + 4
    return tail[start : start + int.from_bytes(tail[_TYPE_LENGTH_FROM:start], "big")]


def _steps(path: bytes) -> tuple[bytes, ...]:
    return tuple(path[at : at + ROOT_BYTES] for at in range(0, len(path), ROOT_BYTES))
