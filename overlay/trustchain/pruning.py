"""Forgetting blocks: what is left of each is its hash and the number that stands for it, so that others may mention it.

Whoever forgets folds the views anew in the same transaction, so that they stay a fold of what is kept.
"""

import sqlite3
from collections.abc import Sequence

from overlay.keys import PublicKey
from overlay.trustchain import blocks, growth


def forget(db: sqlite3.Connection, numbers: Sequence[int]) -> set[PublicKey]:
    """Forget stored blocks by their small numbers; returns whose chains have gaps by that. Chains are known from then
    on as far as they are kept without a gap."""
    growth.settle(db)
    agents = set[int]()
    for number in numbers:
        agent, hash_ = db.execute("SELECT agent, hash FROM half WHERE id = ?", (number,)).fetchone()
        agents.add(agent)
        db.execute("DELETE FROM half WHERE id = ?", (number,))  # an UPDATE would leave its pages half empty
        db.execute("INSERT INTO half (id, hash) VALUES (?,?)", (number, hash_))
    for agent in sorted(agents):
        growth.measure(db, agent)
    return {blocks.key_of(db, agent) for agent in agents}
