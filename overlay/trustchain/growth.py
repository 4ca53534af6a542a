"""How far each chain is known: without a gap (`contiguous`), and at all (`highest`).

Nearly every block is the next of its chain. So how far chains have grown is remembered while a transaction runs, and
written once before it ends.
"""

import sqlite3

from overlay.trustchain.connection import growing


def grow(db: sqlite3.Connection, agent: int, sequence: int) -> bool:
    """A block has come to this place of a chain; True where it is the next of a chain without gaps, so that none can
    have stood there before."""
    grown = growing(db)
    if grown.get(agent) == sequence - 1:
        grown[agent] = sequence
        return True
    settle(db)
    query = "UPDATE agent SET contiguous = ?1, highest = ?1 WHERE id = ?2 AND contiguous = ?1 - 1 AND highest = ?1 - 1"
    if db.execute(query, (sequence, agent)).rowcount:
        grown[agent] = sequence
        return True
    db.execute("UPDATE agent SET highest = max(highest, ?) WHERE id = ?", (sequence, agent))
    _close_gap(db, agent)
    return False


def settle(db: sqlite3.Connection) -> None:
    """Write down how far chains have grown. Whoever inserts calls it before the transaction ends; who asks in between
    is told rightly."""
    grown = growing(db)
    if grown:
        query = "UPDATE agent SET contiguous = ?1, highest = ?1 WHERE id = ?2 AND highest < ?1"
        db.executemany(query, [(sequence, agent) for agent, sequence in grown.items()])
        grown.clear()


def _close_gap(db: sqlite3.Connection, agent: int) -> None:
    """Look whether blocks that had come before now follow without a gap."""
    (last,) = before = db.execute("SELECT contiguous FROM agent WHERE id = ?", (agent,)).fetchone()
    while db.execute("SELECT 1 FROM half WHERE agent = ? AND sequence = ?", (agent, last + 1)).fetchone():
        last += 1
    if last > before[0]:
        db.execute("UPDATE agent SET contiguous = ? WHERE id = ?", (last, agent))


def measure(db: sqlite3.Connection, agent: int) -> None:
    """Find anew how far a chain is known, of which blocks were forgotten."""
    (highest,) = db.execute("SELECT coalesce(max(sequence), 0) FROM half WHERE agent = ?", (agent,)).fetchone()
    rows = db.execute("SELECT DISTINCT sequence FROM half WHERE agent = ? ORDER BY sequence", (agent,)).fetchall()
    contiguous = 0
    for (sequence,) in rows:
        if sequence != contiguous + 1:
            break
        contiguous = sequence
    db.execute("UPDATE agent SET contiguous = ?, highest = ? WHERE id = ?", (contiguous, highest, agent))
