"""Which proposals this node has seen paid in the chain, and which coins that took: kept on disk."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.transaction import Txid, parse
from overlay.trustchain.block import BlockHash

SCHEMA = """
CREATE TABLE IF NOT EXISTS treasury_mined (
    proposal BLOB PRIMARY KEY, charter BLOB NOT NULL, txid TEXT NOT NULL, raw BLOB NOT NULL, height INTEGER NOT NULL,
    settled INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS treasury_mined_txid ON treasury_mined (txid);
CREATE INDEX IF NOT EXISTS treasury_mined_height ON treasury_mined (charter, height);
CREATE INDEX IF NOT EXISTS treasury_mined_unsettled ON treasury_mined (charter) WHERE NOT settled;
CREATE TABLE IF NOT EXISTS treasury_spent (
    txid TEXT NOT NULL, vout INTEGER NOT NULL, proposal BLOB NOT NULL, PRIMARY KEY (txid, vout)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS treasury_coin (
    script BLOB NOT NULL, txid TEXT NOT NULL, vout INTEGER NOT NULL, amount INTEGER NOT NULL, height INTEGER NOT NULL,
    PRIMARY KEY (script, txid, vout)) WITHOUT ROWID;
"""

# After so many blocks, its own among them, no reorganisation is expected to undo a payment: six blocks may change.
SETTLED_DEPTH = 7


@dataclass(frozen=True, slots=True)
class Mined:
    """The payment of a proposal, found in the chain at `height`."""

    proposal: BlockHash
    txid: Txid
    raw: bytes
    height: int


def mined(db: sqlite3.Connection, proposal: bytes) -> Mined | None:
    """The payment of a proposal that our own chain backend has shown."""
    row = db.execute(
        "SELECT proposal, txid, raw, height FROM treasury_mined WHERE proposal = ?", (proposal,)
    ).fetchone()
    return _mined(row) if row else None


def paid_by(db: sqlite3.Connection, txid: Txid) -> list[Mined]:
    """The proposals that a transaction may have paid: several where they look alike."""
    rows = db.execute(
        "SELECT proposal, txid, raw, height FROM treasury_mined WHERE txid = ? ORDER BY proposal", (txid,)
    )
    return [_mined(row) for row in rows]


def between(db: sqlite3.Connection, group: Charter, first: bytes, behind: bytes) -> list[Mined]:
    """The payments of a group whose proposals' ids lie between two; for one that shares its lock time."""
    rows = db.execute(
        "SELECT proposal, txid, raw, height FROM treasury_mined WHERE proposal >= ? AND proposal < ? AND charter = ?",
        (first, behind, group.id),
    )
    return [_mined(row) for row in rows]


def name(db: sqlite3.Connection, late: Mined) -> None:
    """A known payment was this proposal's, which our ledger did not know when it was mined."""
    db.execute(
        "INSERT OR IGNORE INTO treasury_mined SELECT ?1, charter, txid, raw, height, settled FROM treasury_mined"
        " WHERE txid = ?2 ORDER BY settled LIMIT 1",
        (late.proposal, late.txid),
    )


def unsettled(db: sqlite3.Connection, group: Charter) -> list[Mined]:
    """The payments of a group that a reorganisation may still undo."""
    rows = db.execute(
        "SELECT proposal, txid, raw, height FROM treasury_mined WHERE charter = ? AND NOT settled", (group.id,)
    )
    return [_mined(row) for row in rows]


def above(db: sqlite3.Connection, group: Charter, height: int) -> list[Mined]:
    """The payments of a group mined above `height`, the earliest first."""
    rows = db.execute(
        "SELECT proposal, txid, raw, height FROM treasury_mined WHERE charter = ? AND height > ? ORDER BY height, txid",
        (group.id, height),
    )
    return [_mined(row) for row in rows]


def is_settled(db: sqlite3.Connection, txid: Txid) -> bool:
    """Whether this is a payment that no reorganisation is expected to undo; then those before it are, too."""
    return db.execute("SELECT 1 FROM treasury_mined WHERE txid = ? AND settled", (txid,)).fetchone() is not None


def is_settled_as_paid(db: sqlite3.Connection, proposal: bytes) -> bool:
    """Whether no reorganisation is expected to undo the payment of this proposal."""
    query = "SELECT 1 FROM treasury_mined WHERE proposal = ? AND settled"
    return db.execute(query, (proposal,)).fetchone() is not None


def is_spent(db: sqlite3.Connection, txid: str, vout: int) -> bool:
    """Whether a mined payment has spent this coin."""
    return db.execute("SELECT 1 FROM treasury_spent WHERE txid = ? AND vout = ?", (txid, vout)).fetchone() is not None


def would_change(db: sqlite3.Connection, group: Charter, found: Mapping[BlockHash, Mined], height: int) -> bool:
    """Whether `write` would change anything."""
    known = {each.proposal: each for each in unsettled(db, group)}
    return known != dict(found) or any(_is_deep(each, height) for each in found.values())


def write(db: sqlite3.Connection, group: Charter, found: Mapping[BlockHash, Mined], height: int) -> None:
    """Let `found` be the payments of a group that are not settled, as seen at `height`; the deep ones settle."""
    for gone in unsettled(db, group):
        db.execute("DELETE FROM treasury_mined WHERE proposal = ?", (gone.proposal,))
        db.execute("DELETE FROM treasury_spent WHERE proposal = ?", (gone.proposal,))
    for each in found.values():
        row = (each.proposal, group.id, each.txid, each.raw, each.height, _is_deep(each, height))
        db.execute("INSERT OR IGNORE INTO treasury_mined VALUES (?,?,?,?,?,?)", row)
        spent = [(coin.txid, coin.vout, each.proposal) for coin in parse(each.raw).inputs]
        db.executemany("INSERT OR REPLACE INTO treasury_spent VALUES (?,?,?)", spent)


def coins(db: sqlite3.Connection, script: bytes) -> list[Coin]:
    """All coins of a treasury that this node has ever seen, spent or not, the oldest first; for people to look at."""
    query = "SELECT txid, vout, amount, height FROM treasury_coin WHERE script = ? ORDER BY height, txid, vout"
    rows = db.execute(query, (script,))
    return [Coin(Txid(txid), vout, Sats(amount), script, height) for txid, vout, amount, height in rows]


def keep_coins(db: sqlite3.Connection, seen: Iterable[Coin]) -> None:
    """Remember coins: a chain backend without an index finds none that is spent."""
    rows = [(each.script_pubkey, each.txid, each.vout, each.amount, each.height) for each in seen]
    db.executemany("INSERT OR REPLACE INTO treasury_coin VALUES (?,?,?,?,?)", rows)


def unfinished(db: sqlite3.Connection, now: int) -> list[BlockHash]:
    """The proposals that may still need something done: open ones, and payments counted and not settled as paid."""
    rows = db.execute(
        "SELECT id FROM group_payment WHERE (deadline >= :now OR EXISTS ("
        " SELECT 1 FROM group_decision WHERE proposal = id AND approved"
        ")) AND NOT EXISTS (SELECT 1 FROM treasury_mined WHERE proposal = id AND settled)"
        " UNION ALL SELECT id FROM group_text WHERE deadline >= :now",
        {"now": now},
    )
    return [BlockHash(id_) for (id_,) in rows]


def _is_deep(each: Mined, height: int) -> bool:
    return height - each.height + 1 >= SETTLED_DEPTH


def _mined(row: tuple[bytes, str, bytes, int]) -> Mined:
    return Mined(BlockHash(row[0]), Txid(row[1]), row[2], row[3])
