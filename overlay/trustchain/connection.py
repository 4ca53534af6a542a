"""A connection to a ledger's file that remembers the numbers of keys and hashes which it has looked up.

Numbers are given for ever, so what was looked up stays true, except after a rollback: then `forget`.
"""

import sqlite3
from typing import Any

# 50,000 numbers of keys or hashes with their names are about 10 MB.
MAX_REMEMBERED = 50_000


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

    def forget(self) -> None:
        """After a rollback: numbers that it gave may be given to others now."""
        self.agents.clear()
        self.halves.clear()


def memories(db: sqlite3.Connection) -> tuple[Memory, Memory]:
    """What a connection remembers of keys and of hashes; a plain connection remembers nothing."""
    return (db.agents, db.halves) if isinstance(db, Connection) else (Memory(), Memory())
