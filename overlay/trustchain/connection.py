"""A connection to a ledger's file that remembers the numbers of keys and hashes which it has looked up.

Numbers are given for ever, so what was looked up stays true, except after a rollback: then `forget`.
"""

import sqlite3
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from overlay.trustchain.sealing import Seal, Unreadable

# 50,000 numbers of keys or hashes with their names are about 10 MB.
MAX_REMEMBERED = 50_000

T = TypeVar("T")
_MISSING: Any = object()


class Memory(dict[bytes, int]):
    """Names and their numbers; starts anew when it is full."""

    def keep(self, name: bytes, number: int) -> int:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[name] = number
        return number


class Connection(sqlite3.Connection):
    """What the store opens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agents, self.halves = Memory(), Memory()
        # How far chains have grown in the running transaction, by their agents' numbers (`growth.settle`).
        self.grown: dict[int, int] = {}
        self.seal: Seal | None = None
        # What was derived from one state of the file, and from which (`derived`).
        self.derived: dict[Hashable, Any] = {}
        self.state = (0, 0)

    def forget(self) -> None:
        """After a rollback: numbers that it gave may be given to others now."""
        self.agents.clear()
        self.halves.clear()
        self.grown.clear()
        self.derived = {}


def seal_of(db: sqlite3.Connection) -> Seal:
    """What closes and opens the parts in this file; raises Unreadable where a connection was given none."""
    if not isinstance(db, Connection) or db.seal is None:
        raise Unreadable("this connection was given no identity, so it reads no sealed part")
    return db.seal


def derived(db: sqlite3.Connection) -> dict[Hashable, Any]:
    """What was worked out from the file as it is now, for whoever asks again; empty after any change. A plain
    connection remembers nothing."""
    if not isinstance(db, Connection):
        return {}
    # The first number tells of changes through other connections, the second of this one's own.
    state = (db.execute("PRAGMA data_version").fetchone()[0], db.total_changes)
    if db.state != state:
        db.derived = {}  # a new one: what somebody is working out from the former state does not get into it
        db.state = state
    return db.derived


def once(db: sqlite3.Connection, key: tuple[Hashable, ...], work: Callable[[], T]) -> T:
    """What `work` gives, worked out once for each state of the file; `key` tells it from all others."""
    known = derived(db)
    found: T = known.get(key, _MISSING)
    if found is _MISSING:
        found = known[key] = work()
    return found


def growing(db: sqlite3.Connection) -> dict[int, int]:
    """How far chains have grown in the running transaction, not all of it written yet."""
    return db.grown if isinstance(db, Connection) else {}


def agents(db: sqlite3.Connection) -> Memory:
    """What a connection remembers of keys; a plain connection remembers nothing."""
    return db.agents if isinstance(db, Connection) else Memory()


def halves(db: sqlite3.Connection) -> Memory:
    """What a connection remembers of hashes; a plain connection remembers nothing."""
    return db.halves if isinstance(db, Connection) else Memory()
