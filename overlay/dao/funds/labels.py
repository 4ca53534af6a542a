"""A member's own notes about treasuries and transactions. They stay on this node: what all should read is a proposal.

A label on the ledger would tell everybody which addresses and transactions belong together, for good.
"""

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS treasury_label (about BLOB PRIMARY KEY, label TEXT NOT NULL) WITHOUT ROWID;
"""


def label(db: sqlite3.Connection, about: bytes) -> str:
    """The note about a group (its id) or a transaction (its id, as explorers write it); empty when there is none."""
    row = db.execute("SELECT label FROM treasury_label WHERE about = ?", (about,)).fetchone()
    return str(row[0]) if row else ""


def write(db: sqlite3.Connection, about: bytes, text: str) -> None:
    """Note something; an empty text takes the note away."""
    if text:
        db.execute("INSERT OR REPLACE INTO treasury_label VALUES (?,?)", (about, text))
    else:
        db.execute("DELETE FROM treasury_label WHERE about = ?", (about,))
