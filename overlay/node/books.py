"""The books of a data folder, read beside a running node or without one: sizes, digests, folding anew."""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.members import COMMONS_ID_BYTES, member_keys
from overlay.keys import PublicKey
from overlay.node.folder import DataFolder
from overlay.node.ledger import open_ledger
from overlay.node.wire import LedgerStats, Rebuilt
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.connection import Connection
from overlay.trustchain.ledger import Ledger, Transaction
from overlay.trustchain.sealing import Seal
from overlay.trustchain.store import BUSY_SECONDS, StorageError

TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ? ESCAPE '\\' ORDER BY name"


@contextlib.contextmanager
def reading(path: Path, seal: Seal | None = None) -> Iterator[sqlite3.Connection]:
    """One state of a ledger's file, for reading only; parts need a `seal`. Raises StorageError."""
    try:
        place = f"{path.resolve().as_uri()}?mode=rw"  # nothing is made where there is no file
        db = sqlite3.connect(place, uri=True, isolation_level=None, timeout=BUSY_SECONDS, factory=Connection)
        with contextlib.closing(db):
            block_tables.prepare(db, seal)
            db.text_factory = _any_text
            db.execute("PRAGMA query_only = ON")
            block_tables.check_version(db)
            db.execute("BEGIN")
            yield db
    except sqlite3.Error as error:
        raise StorageError(f"{path}: the ledger cannot be read: {error}") from error


def _any_text(raw: bytes) -> str:
    """A damaged file may have text where bytes belong: whoever reads it says so, not the library."""
    return raw.decode(errors="replace")


def stats(folder: DataFolder) -> LedgerStats:
    """How much the ledger of a folder holds. Raises StorageError."""
    with reading(folder.ledger) as db:
        count, wal = blocks.count(db), folder.ledger.with_name(folder.ledger.name + "-wal")
        size = folder.ledger.stat().st_size
        return LedgerStats(
            blocks=count,
            own_blocks=_own(db, folder.public_key),
            members=len(_members(db)),
            agreements=_one(db, _AGREEMENTS),
            parts=_one(db, "SELECT count(*) FROM part"),
            forks=_one(db, "SELECT count(*) FROM forked"),
            file_bytes=size,
            wal_bytes=wal.stat().st_size if wal.exists() else 0,
            bytes_per_block=round(size / count, 1) if count else 0.0,
            tables={view: rows_of(db, view) for view in folded(db)},
        )


# Answering halves whose answered place is here; of a fork's two blocks there each counts once.
_AGREEMENTS = (
    "SELECT count(*) FROM half h WHERE h.link_sequence > 0 AND EXISTS (SELECT 1 FROM half o"
    " WHERE o.agent = h.link_agent AND o.sequence = h.link_sequence)"
)


def _own(db: sqlite3.Connection, key: PublicKey) -> int:
    query = "SELECT count(*) FROM half WHERE agent = ?"
    return int(db.execute(query, (blocks.agent_of(db, key),)).fetchone()[0])


def _members(db: sqlite3.Connection) -> set[PublicKey]:
    """Whoever belongs to a commons whose charter is here."""
    charters = db.execute("SELECT charter FROM member_commons").fetchall()
    return {key for (charter,) in charters for key in member_keys(db, charter[:COMMONS_ID_BYTES])}


def _one(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def folded(db: sqlite3.Connection) -> list[str]:
    """The names of the views that this file has folded."""
    return [name for (name,) in db.execute("SELECT view FROM folded ORDER BY view").fetchall()]


def tables_of(db: sqlite3.Connection, view: str) -> list[str]:
    return [name for (name,) in db.execute(TABLES, (f"{view}\\_%",)).fetchall()]


def rows_of(db: sqlite3.Connection, view: str) -> dict[str, int]:
    """How many rows each table of a view has."""
    return {name: _one(db, f'SELECT count(*) FROM "{name}"') for name in tables_of(db, view)}  # noqa: S608


def digest(db: sqlite3.Connection, view: str) -> str:
    """SHA-256 over all rows of a view's tables, in the order of their columns: equal for equal states of one file."""
    hashed = hashlib.sha256()
    for name in tables_of(db, view):
        columns = len(db.execute(f'SELECT * FROM "{name}" LIMIT 0').description)  # noqa: S608
        order = ",".join(str(column + 1) for column in range(columns))
        hashed.update(f"{name}\n".encode())
        for row in db.execute(f'SELECT * FROM "{name}" ORDER BY {order}'):  # noqa: S608
            hashed.update(repr(row).encode())
    return hashed.hexdigest()


def digests(db: sqlite3.Connection) -> dict[str, str]:
    return {view: digest(db, view) for view in folded(db)}


def rebuild(folder: DataFolder) -> Rebuilt:
    """Fold the views of a folder anew on which no node runs. Raises StorageError, InvalidKey."""
    ledger = open_ledger(folder, SystemClock(), SystemRandomness())
    try:
        return asyncio.run(rebuild_open(ledger))
    finally:
        ledger.close()


async def rebuild_open(ledger: Ledger) -> Rebuilt:
    """The same on an open ledger: it writes nothing else meanwhile. Raises StorageError."""

    def refold(tx: Transaction) -> tuple[dict[str, str], dict[str, str]]:
        before = digests(tx.db)
        ledger.refold(tx.db)
        return before, digests(tx.db)

    before, after = await ledger.transact(refold)
    same = before == after
    told = "The views were folded anew, and are what they were." if same else "The views were folded anew, and differ."
    return Rebuilt(same, told, after)
