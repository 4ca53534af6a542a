"""This member's view of everyone's reputation, kept up with the ledger."""

import sqlite3

from overlay.economy.members import Commons
from overlay.keys import PublicKey
from overlay.meritrank import Explanation, FeedbackGraph, Rank, Reputation, Score
from overlay.meritrank.feedback import Evidence, evidence
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash


class Opinions:
    """MeritRank with this node's member as ego, over the evidence in its own ledger.

    Who is proven to have signed two histories gets nothing from what others said before: only proofs punish
    globally (DESIGN 3.3). The seed is the commons and the ego, so that a restart gives the same scores.
    """

    def __init__(self, ego: PublicKey, commons: Commons) -> None:
        self._ego, self._commons = ego, commons
        self._known: dict[BlockHash, Evidence] = {}
        self._graph = FeedbackGraph()
        self._reputation = Reputation(self._graph, ego, commons.id + ego)

    def follow(self, db: sqlite3.Connection) -> bool:
        """Take up what the ledger says now; True when anything changed."""
        found = {each.block: each for each in evidence(db, self._commons.mib_weight)}
        cheats = {key for key in {each.provider for each in found.values()} if blocks.has_forked(db, key)}
        wanted = {block: each for block, each in found.items() if each.provider not in cheats}
        gone, new = self._known.keys() - wanted.keys(), wanted.keys() - self._known.keys()
        for block in sorted(gone):
            self._graph.forget(block)
        for block in sorted(new):
            said = wanted[block]
            self._graph.record(said.receiver, said.provider, said.weight, block)
        self._known = wanted
        if gone or new:
            self._reputation.afresh()
        return bool(gone or new)

    def score(self, member: PublicKey) -> Score:
        return self._reputation.score(member)

    def rank(self, member: PublicKey) -> Rank:
        return self._reputation.rank(member)

    def why(self, member: PublicKey) -> Explanation:
        return self._reputation.why(member)
