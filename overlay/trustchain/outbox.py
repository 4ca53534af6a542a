"""What this node still owes to whom: rows written in the same transaction as the block that they concern.

The network drains the outbox and deletes a row when its receiver has confirmed it, so nothing that was decided is
forgotten in a crash, and a member who is offline gets it later. `parts` is a bit mask over the parts of the body.
Rows go out in the order in which this node came to know their blocks, so what is referred to mostly goes first.
"""

import sqlite3
from dataclasses import dataclass

from overlay.keys import PublicKey
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    receiver INTEGER NOT NULL, block INTEGER NOT NULL, parts INTEGER NOT NULL, PRIMARY KEY (receiver, block)
) WITHOUT ROWID;
"""

ALL_PARTS = (1 << 32) - 1

_FROM = (
    "FROM outbox o JOIN half h ON h.id = o.block LEFT JOIN agent author ON author.id = h.agent"
    " LEFT JOIN agent link ON link.id = h.link_agent WHERE o.receiver = ? AND o.block > ? ORDER BY o.block LIMIT ?"
)
_OWED = " ".join(("SELECT o.block, h.hash, o.parts,", block_tables.COLUMNS, _FROM))


@dataclass(frozen=True, slots=True)
class Parcel:
    """What to hand to one receiver; `receipts` names the rows that a confirmation deletes."""

    blocks: tuple[HalfBlock, ...]
    disclosures: tuple[Disclosure, ...]
    receipts: tuple[tuple[BlockHash, int], ...]


def post(db: sqlite3.Connection, receiver: PublicKey, block: bytes, parts: int = 0) -> None:
    """Owe `receiver` a block and the parts of its body whose bits are set."""
    db.execute(
        "INSERT INTO outbox (receiver, block, parts) VALUES (?,?,?)"
        " ON CONFLICT DO UPDATE SET parts = parts | excluded.parts",
        (blocks.agent_id(db, receiver), blocks.block_id(db, block), parts),
    )


def receivers(db: sqlite3.Connection) -> list[PublicKey]:
    """Everyone to whom something is owed."""
    rows = db.execute("SELECT key FROM agent WHERE id IN (SELECT DISTINCT receiver FROM outbox) ORDER BY id")
    return [PublicKey(key) for (key,) in rows]


def is_owed(db: sqlite3.Connection, receiver: PublicKey) -> bool:
    """Whether anything is owed to `receiver`."""
    row = db.execute("SELECT 1 FROM outbox WHERE receiver = ? LIMIT 1", (blocks.agent_of(db, receiver),)).fetchone()
    return row is not None


def parcel(db: sqlite3.Connection, receiver: PublicKey, limit: int, after: int = 0) -> Parcel | None:
    """The next at most `limit` blocks owed to `receiver` behind the small number `after`, with their disclosed parts;
    None when nothing is."""
    rows = db.execute(_OWED, (blocks.agent_of(db, receiver), after, limit)).fetchall()
    if not rows:
        return None
    return Parcel(
        tuple(block_tables.read(columns) for _, _, _, *columns in rows if columns[0] is not None),
        tuple(part for number, hash_, mask, *_ in rows if mask for part in _chosen(db, number, hash_, mask)),
        tuple((BlockHash(hash_), mask) for _, hash_, mask, *_ in rows),
    )


def _chosen(db: sqlite3.Connection, number: int, block: bytes, mask: int) -> list[Disclosure]:
    return [part for part in blocks.parts_of(db, number, block) if mask >> part.index & 1]


def confirm(db: sqlite3.Connection, receiver: PublicKey, parcel_: Parcel) -> None:
    """The receiver has it: forget the rows, unless more parts were added meanwhile."""
    agent = blocks.agent_id(db, receiver)
    db.executemany(
        "DELETE FROM outbox WHERE receiver = ? AND block = ? AND parts = ?",
        [(agent, blocks.find_id(db, block), mask) for block, mask in parcel_.receipts],
    )
