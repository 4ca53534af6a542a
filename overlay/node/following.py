"""Whom this node's member follows: a setting of this node, which nobody else learns."""

import sqlite3

from overlay.keys import PublicKey

SCHEMA = "CREATE TABLE IF NOT EXISTS node_following (key BLOB PRIMARY KEY) WITHOUT ROWID;"


def follow(db: sqlite3.Connection, key: PublicKey) -> None:
    """From now on; following twice is following once."""
    db.execute("INSERT OR IGNORE INTO node_following VALUES (?)", (key,))


def unfollow(db: sqlite3.Connection, key: PublicKey) -> None:
    """No longer; what is here stays here."""
    db.execute("DELETE FROM node_following WHERE key = ?", (key,))


def followed(db: sqlite3.Connection) -> set[PublicKey]:
    """Everyone whom the member follows."""
    return {PublicKey(key) for (key,) in db.execute("SELECT key FROM node_following")}
