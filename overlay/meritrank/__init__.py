"""MeritRank: whom to trust, in the eyes of one member, with error bars and reasons.

    from overlay.meritrank import Decay, FeedbackGraph, Reputation

    graph = FeedbackGraph()
    graph.record(receiver=farmer, provider=baker, weight=3, block_hash=hash_of_the_fulfilled_pair)
    graph.record(receiver=baker, provider=mechanic, weight=2, block_hash=another_hash)

    reputation = Reputation(graph, ego=farmer, seed=b"any bytes", walks=10_000, decay=Decay(alpha=0.15))
    reputation.score(mechanic)       # Score(value=0.72, low=0.71, high=0.73): a walk visits the mechanic
    reputation.rank(mechanic)        # Rank(place=2, tied=1, of=2)
    reputation.top(5)                # [(baker, Score(...)), (mechanic, Score(...))]
    reputation.limit(mechanic)       # how much to accept provisionally, in the unit of the weights
    reputation.why(mechanic)         # paths, the blocks behind each edge, the score without each block

    saved = reputation.to_bytes()    # Reputation.from_bytes(saved, graph, farmer, seed): a restart walks no walk anew

    graph.forget(another_hash)       # every later question sees it: only the walks that passed there are repaired
    reputation.score(mechanic).value # 0.0

A graph may have any number of viewers. Unknown members, empty graphs and a viewer without feedback have scores
of zero, no paths and a limit of zero. Importing this package loads NumPy and nothing else.
"""

from overlay.meritrank.decay import Decay
from overlay.meritrank.errors import (
    ConflictingEvidence,
    DamagedWalks,
    InvalidDecay,
    InvalidWeight,
    MalformedTable,
    ReputationError,
    SelfFeedback,
    StaleWalks,
)
from overlay.meritrank.explain import EdgeEvidence, Explanation, Path, Without
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.reputation import Reputation
from overlay.meritrank.scores import Rank, Score
from overlay.meritrank.sybil import RegionReport, SybilReport, region_report, sybil_report

__all__ = [
    "ConflictingEvidence",
    "DamagedWalks",
    "Decay",
    "EdgeEvidence",
    "Explanation",
    "FeedbackGraph",
    "InvalidDecay",
    "InvalidWeight",
    "MalformedTable",
    "Path",
    "Rank",
    "RegionReport",
    "Reputation",
    "ReputationError",
    "Score",
    "SelfFeedback",
    "StaleWalks",
    "SybilReport",
    "Without",
    "region_report",
    "sybil_report",
]
