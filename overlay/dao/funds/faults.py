"""What members sent that they should not have: kept with the evidence, for people to judge.

The evidence is all that was said in the session. Whoever knows the treasury's public shares and the amounts of the
coins can check the verdict by making the session again.
"""

import sqlite3

import msgspec

from overlay.dao.funds.roast import Fault

SCHEMA = """
CREATE TABLE IF NOT EXISTS treasury_fault (
    id INTEGER PRIMARY KEY, proposal BLOB NOT NULL, member BLOB NOT NULL, what TEXT NOT NULL, evidence BLOB NOT NULL);
"""
# A member that is out of order all the time fills no disk: the newest thousand of some 5 kB each are kept.
MAX_KEPT = 1_000

_decoder = msgspec.msgpack.Decoder(Fault)


def record(db: sqlite3.Connection, proposal: bytes, fault: Fault) -> None:
    """Keep a fault; the oldest makes way."""
    row = (proposal, fault.member, fault.what, msgspec.msgpack.encode(fault))
    newest = db.execute("INSERT INTO treasury_fault VALUES (NULL,?,?,?,?) RETURNING id", row).fetchone()[0]
    db.execute("DELETE FROM treasury_fault WHERE id <= ?", (newest - MAX_KEPT,))


def recorded(db: sqlite3.Connection, proposal: bytes) -> list[Fault]:
    """What was recorded about one proposal, in order."""
    rows = db.execute("SELECT evidence FROM treasury_fault WHERE proposal = ? ORDER BY id", (proposal,))
    return [_decoder.decode(evidence) for (evidence,) in rows]
