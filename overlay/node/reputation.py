"""This member's view of everyone's reputation, kept up with the ledger."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Mapping, Set

from overlay.economy.members import Commons
from overlay.keys import Identity, PublicKey
from overlay.meritrank import DamagedWalks, FeedbackGraph, Rank, Reputation, Score, StaleWalks
from overlay.meritrank.feedback import UNIT, Evidence, answers_to, evidence, evidence_of, half_of
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Changes, meaning

# Up to here all walks are made anew after a change (10 ms on one core), so that a score is a function of the ledger
# alone; a larger graph is repaired where it changed, which gives the same distribution.
MAX_AFRESH = 20_000


class Opinions:
    """MeritRank with this node's member as ego, over the evidence in its own ledger.

    Who is proven to have signed two histories gets nothing from what others said before: only proofs punish
    globally (docs/ledger.md). The seed follows from the identity, so that a restart gives the same scores, and nobody
    else can shape edges to the very walks that this node walks.
    """

    def __init__(self, identity: Identity, commons: Commons) -> None:
        self._ego, self._commons = identity.public_key, commons
        self._seed = hashlib.blake2b(commons.id, key=identity.secret[10:], person=b"cf walks").digest()
        self._known: dict[BlockHash, Evidence] = {}
        self._provided = Counter[PublicKey]()  # pieces of evidence that somebody did something
        self._graph = FeedbackGraph()
        self.reputation = Reputation(self._graph, self._ego, self._seed)

    def follow(self, db: sqlite3.Connection, changes: Changes | None = None) -> bool:
        """Take up what changes of the ledger say, which must be all since the last time, or else (None) all that it
        says now; True when anything of it matters here."""
        changed = self._take_up(db) if changes is None else self._take_up_changes(db, changes)
        if changed and len(self._known) <= MAX_AFRESH:
            self.reputation.afresh()
        return changed

    def restore(self, db: sqlite3.Connection, saved: bytes | None) -> None:
        """At a start: take up the ledger and the walks that `save` gave, if they fit; otherwise walk anew."""
        self._take_up(db)
        try:
            self.reputation = Reputation.from_bytes(saved or b"", self._graph, self._ego, self._seed)
        except (StaleWalks, DamagedWalks):
            self.reputation = Reputation(self._graph, self._ego, self._seed)

    def save(self) -> bytes:
        """The walks as they are, for `restore`."""
        return self.reputation.to_bytes()

    def score(self, member: PublicKey) -> Score:
        return self.reputation.score(member)

    def rank(self, member: PublicKey) -> Rank:
        return self.reputation.rank(member)

    def limit(self, member: PublicKey) -> int:
        """How much to accept provisionally, in the commons' scale."""
        return self.reputation.limit(member) // UNIT

    def _take_up_changes(self, db: sqlite3.Connection, changes: Changes) -> bool:
        halves = {half for block in changes.blocks if (half := half_of(block, meaning(block)))}
        gone, new = set[BlockHash](), dict[BlockHash, Evidence]()
        for half in halves:
            now = {each.block: each for each in evidence_of(db, half, self._commons.mib_weight)}
            new |= now
            gone |= self._known.keys() & ({half, *answers_to(db, half)} - now.keys())
        culprits = {fork.culprit for fork in changes.forks if self._provided[fork.culprit]}
        if culprits:
            gone |= {block for block, each in self._known.items() if each.provider in culprits}
        honest = {block: each for block, each in new.items() if not blocks.has_forked(db, each.provider)}
        return self._change(gone, {block: each for block, each in honest.items() if block not in self._known})

    def _take_up(self, db: sqlite3.Connection) -> bool:
        found = {each.block: each for each in evidence(db, self._commons.mib_weight)}
        cheats = {key for key in {each.provider for each in found.values()} if blocks.has_forked(db, key)}
        wanted = {block: each for block, each in found.items() if each.provider not in cheats}
        new = {block: each for block, each in wanted.items() if block not in self._known}
        return self._change(self._known.keys() - wanted.keys(), new)

    def _change(self, gone: Set[BlockHash], new: Mapping[BlockHash, Evidence]) -> bool:
        for block in sorted(gone):
            self._graph.forget(block)
            self._provided[self._known.pop(block).provider] -= 1
        for block, said in sorted(new.items()):
            self._graph.record(said.receiver, said.provider, said.weight, block)
            self._known[block] = said
            self._provided[said.provider] += 1
        return bool(gone or new)
