"""Which chains a node keeps whole once its ledger has reached the size that its user allows (`[ledger] keep_mb`).

Until then, all members'. Then it forgets blocks of members that it has nothing to do with, the oldest first, until
about four fifths of the room are taken, and fetches no more of these chains than what they declare (who belongs,
charters, keys) and proofs that they signed twice. A chain of which something was forgotten is marked: it is not fetched
again before its member concerns this node, and heads tell others truthfully how far it is known.
"""

import json
import math
import sqlite3

from overlay.clock import Clock
from overlay.dao.assembly.charters import charters
from overlay.keys import PublicKey
from overlay.network.heads import DECLARE
from overlay.node.following import followed
from overlay.trustchain import blocks, outbox, pruning
from overlay.trustchain.ledger import Ledger, Transaction

# Marked chains, with the room (bytes) that there was: where the user allows more, marks made with less do not count.
SCHEMA = "CREATE TABLE IF NOT EXISTS node_pruned (key BLOB PRIMARY KEY, room INTEGER NOT NULL) WITHOUT ROWID;"

MEGABYTE = 1_000_000
# How often it is looked up whom this node has to do with, once it has to choose: some milliseconds.
LOOK_SECONDS = 2.0
# After making room, a fifth is free: so that folding everything anew, which that takes, is rare.
FILLED_AFTER = 0.8
# Where there is nothing left to forget, it is tried again when the ledger has grown by so much.
GROWTH = 1.05

# Parties of own exchanges that are not settled: open now (`?2`), or agreed with a word missing. `?1` is our own agent.
_PARTIES = """
SELECT proposer, counterparty FROM voucher_proposal p WHERE (proposer = ?1 OR counterparty = ?1) AND (
    (agreed IS NULL AND valid_until > ?2)
    OR EXISTS (SELECT 1 FROM voucher_leg l WHERE l.proposal = p.block AND l.made AND l.word = 0))
"""
# Whose promises we hold or have held.
_ISSUERS = "SELECT DISTINCT m.agent FROM voucher_held h JOIN voucher_mint m ON m.block = h.voucher WHERE h.holder = ?1"
# Whoever holds a promise of ours: we judge what becomes of it.
_HOLDERS = (
    "SELECT DISTINCT h.holder FROM voucher_mint m JOIN voucher_holding h ON h.voucher = m.block"
    " WHERE m.agent = ?1 AND h.live = 1"
)
# What is kept of a chain that does not concern us: what it declares, proofs of a fork, what is addressed to us, what we
# were shown parts of or owe to somebody, and everything that was said of an exchange of which we were shown parts: our
# own, and those through which came what we hold.
_FORGETTABLE = """
SELECT h.id FROM half h WHERE h.agent IS NOT NULL
    AND h.agent NOT IN (SELECT value FROM json_each(?1)) AND h.link_agent <> ?2 AND half_type(h.tail) <> ?3
    AND NOT EXISTS (SELECT 1 FROM forked f WHERE f.agent = h.agent AND f.sequence = h.sequence)
    AND NOT EXISTS (SELECT 1 FROM part WHERE part.block = h.id)
    AND h.id NOT IN (SELECT block FROM outbox UNION SELECT voucher FROM voucher_leg
        UNION SELECT block FROM voucher_agreement WHERE proposal IN (SELECT block FROM part)
        UNION SELECT block FROM voucher_witness WHERE proposal IN (SELECT block FROM part)
        UNION SELECT block FROM voucher_cancellation WHERE proposal IN (SELECT block FROM part))
    ORDER BY h.id LIMIT ?4
"""


class Keeping:
    """Decides chain by chain. `limit_mb` 0 keeps everything."""

    def __init__(self, ledger: Ledger, clock: Clock, limit_mb: int) -> None:
        self._ledger, self._clock, self._limit = ledger, clock, limit_mb * MEGABYTE
        self._concerned: set[PublicKey] = set()
        self._pruned: set[PublicKey] = set()
        self._looked = -LOOK_SECONDS
        self._due = self._limit

    def keeps(self, key: PublicKey) -> bool:
        """Whether new blocks of a member's chain are wanted now."""
        if not self._limit:
            return True
        self._look()
        return key in self._concerned or (key not in self._pruned and self.size() < self._limit)

    def size(self) -> int:
        """Bytes of the ledger's file that are in use."""
        (size,) = self._ledger.db.execute(
            "SELECT (page_count - freelist_count) * page_size"
            " FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
        ).fetchone()
        return int(size)

    @property
    def is_full(self) -> bool:
        """Whether room should be made now."""
        return bool(self._limit) and self.size() >= self._due

    async def make_room(self) -> set[PublicKey]:
        """Forget what does not concern this node until it has room again; returns whose chains have gaps by that."""
        size = self.size()
        part = max(0.0, 1 - FILLED_AFTER * self._limit / size)  # of all blocks: what they say in views goes with them
        gaps = await self._ledger.transact(lambda tx: self._forget(tx, math.ceil(part * blocks.count(tx.db))))
        self._looked = -LOOK_SECONDS
        self._due = max(self._limit, int(GROWTH * self.size()))
        return gaps

    def _forget(self, tx: Transaction, most: int) -> set[PublicKey]:
        numbers = forgettable(tx.db, tx.identity.public_key, tx.now, most)
        if not numbers:
            return set()
        gaps = pruning.forget(tx.db, numbers)
        marks = [(key, self._limit) for key in sorted(gaps)]
        tx.db.executemany("INSERT OR REPLACE INTO node_pruned VALUES (?,?)", marks)
        self._ledger.refold(tx.db)
        return gaps

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            db, me = self._ledger.db, self._ledger.identity.public_key
            self._looked, self._concerned = now, concerned(db, me, self._ledger.clock.now())
            marked = db.execute("SELECT key FROM node_pruned WHERE room >= ?", (self._limit,))
            self._pruned = {PublicKey(key) for (key,) in marked}


def concerned(db: sqlite3.Connection, me: PublicKey, now: int) -> set[PublicKey]:
    """Whose chains are kept however little room there is: our own, those of members that we follow, deal or share a
    group with, whose promises we hold, who hold ours, and to whom we owe something."""
    agents = _agents(db, blocks.agent_of(db, me), now)
    keys = {blocks.key_of(db, each) for each in agents}
    groups = [set(group.members) for group in charters(db)]
    return keys.union({me}, followed(db), outbox.receivers(db), *(group for group in groups if me in group))


def forgettable(db: sqlite3.Connection, me: PublicKey, now: int, most: int) -> list[int]:
    """At most so many blocks to forget, by their small numbers, the oldest first."""
    kept = json.dumps([blocks.agent_of(db, key) for key in concerned(db, me, now)])
    rows = db.execute(_FORGETTABLE, (kept, blocks.agent_of(db, me), DECLARE, most))
    return [number for (number,) in rows]


def _agents(db: sqlite3.Connection, me: int, now: int) -> set[int]:
    queries = ((_PARTIES, (me, now)), (_ISSUERS, (me,)), (_HOLDERS, (me,)))
    return {agent for query, values in queries for row in db.execute(query, values).fetchall() for agent in row}
