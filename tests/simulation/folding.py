"""What the views of a node have folded, and folding it again: as it was, and in another order (invariant 3)."""

import sqlite3
from collections.abc import Container, Iterable
from random import Random

from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.view import View
from tests.simulation.member import Member

Rows = dict[str, list[tuple[object, ...]]]
# Columns in which a number stands for a key or for a block.
KEY_COLUMNS = frozenset(("agent", "proposer", "counterparty", "giver", "receiver", "holder", "issuer", "author"))
HASH_COLUMNS = frozenset(("block", "proposal", "offer", "agreement", "voucher", "source"))


def tables(db: sqlite3.Connection, views: Iterable[View], without: Container[str] = ()) -> Rows:
    """Everything that the views have folded but for the columns `without` ("table.column"), in a fixed order, with
    keys and hashes for the numbers of this file."""
    keys = dict(db.execute("SELECT id, key FROM agent").fetchall())
    hashes = dict(db.execute("SELECT id, hash FROM half").fetchall())
    found: Rows = {}
    for view in views:
        names = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ? ESCAPE '\\' ORDER BY name",
            (f"{view.name}\\_%",),
        ).fetchall()
        for (name,) in names:
            rows = db.execute(f"SELECT * FROM {name}")
            columns = ["" if f"{name}.{column}" in without else column for column, *_ in rows.description]
            found[name] = sorted((_spelled(row, columns, keys, hashes) for row in rows), key=repr)
    return found


def _spelled(
    row: tuple[object, ...], columns: list[str], keys: dict[object, bytes], hashes: dict[object, bytes]
) -> tuple[object, ...]:
    """A row with whole keys and hashes: the small numbers depend on the order in which a node met them."""
    spelled = []
    for column, value in zip(columns, row, strict=True):
        if not column:
            continue
        names = keys if column in KEY_COLUMNS else hashes if column in HASH_COLUMNS else {}
        spelled.append(names[value] if names and isinstance(value, int) else value)
    return tuple(spelled)


async def refold(member: Member, random: Random) -> str:
    """Fold the member's blocks anew, in their order and in another; returns what came out different."""
    ledger = member.up.ledger

    def job(tx: Transaction) -> tuple[Rows, Rows, _Known]:
        """All in one transaction, for the network goes on."""
        live = tables(tx.db, ledger.views)
        ledger.refold(tx.db)
        return live, tables(tx.db, ledger.views), _known(tx.db)

    live, again, known = await member.spawn(ledger.transact(job))
    if again != live:
        return "when it rebuilds"
    return "" if await _folded_in_any_order(member, known, random) == live else "in another order"


_Known = tuple[list[HalfBlock], list[Disclosure]]


def _known(db: sqlite3.Connection) -> _Known:
    found = list(blocks.everything(db))
    return found, [part for block in found for part in blocks.parts(db, block.hash)]


async def _folded_in_any_order(member: Member, known: _Known, random: Random) -> Rows:
    """The same blocks and parts in another ledger, in an order that the seed draws; a part not before its block."""
    found, waiting = known
    random.shuffle(found)
    random.shuffle(waiting)
    ledger = member.another_ledger()

    def job(tx: Transaction) -> None:
        late = waiting
        for block in found:
            tx.store(block)
            late = [part for part in late if random.random() < 0.5 or not tx.disclose(part)]
        for part in late:
            tx.disclose(part)

    await member.spawn(ledger.transact(job))
    rows = tables(ledger.db, ledger.views)
    ledger.close()
    return rows
