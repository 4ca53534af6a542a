"""Views: pure folds from the set of known blocks and disclosed parts to tables (docs/ledger.md).

A fold sees each block and each part exactly once, in any order, inside the transaction that stores it. It may only
add facts whose truth does not depend on what arrived before; what needs an order takes it from a chain, at query
time. Tables of a view can be dropped and folded anew with the same result; that is done when a newer version of the
program has other tables.
"""

import sqlite3
from typing import ClassVar, Protocol

from overlay.trustchain.block import HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import Anything


class View(Protocol):
    """One fold with tables of its own, all of whose names begin with `name` and an underscore."""

    name: ClassVar[str]
    schema: ClassVar[str]

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        """Add what a block of ours says; foreign and malformed statements never get here."""

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        """Add what a disclosed part of `block` says; its commitment has been checked."""


# Which text each view's tables were made by: another text means that they are dropped and folded anew.
SCHEMA = "CREATE TABLE IF NOT EXISTS folded (view TEXT PRIMARY KEY, schema TEXT NOT NULL) WITHOUT ROWID;"


def is_current(db: sqlite3.Connection, view: View) -> bool:
    """Whether a view's tables are there, made by the text that it has now."""
    row = db.execute("SELECT schema FROM folded WHERE view = ?", (view.name,)).fetchone()
    return row is not None and row[0] == view.schema


def make_tables(db: sqlite3.Connection, view: View) -> None:
    """Forget what was folded, if anything, and make the view's tables, empty; inside the caller's transaction."""
    rows = db.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name LIKE ? ESCAPE '\\'",
        (f"{view.name}\\_%",),
    )
    for kind, name in rows.fetchall():
        db.execute(f'DROP {kind} "{name}"')
    for statement in filter(str.strip, view.schema.split(";")):
        db.execute(statement)  # not executescript, which would commit half-way
    db.execute("INSERT OR REPLACE INTO folded VALUES (?,?)", (view.name, view.schema))
