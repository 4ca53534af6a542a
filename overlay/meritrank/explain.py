"""Why a member has its score: the paths that walks take, the blocks behind each edge, and what each is worth.

"Without this exchange" needs no new walks. Where the exchange's weight is taken out of its receiver's row, each
walk that visits the target becomes more or less probable by a known factor, the product over its steps out of
that row of (new probability / old probability); the mean of these factors is the score in the changed graph,
without bias (importance weighting), because taking weight away opens no step that was impossible before.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from overlay.meritrank.arrays import Floats, Longs, Nodes, ranges
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.scores import Score, score_of, weighted_score
from overlay.meritrank.walks import Walks

# Of the blocks behind one edge, the heaviest are weighed: the rest move the score less.
MAX_BLOCKS_WEIGHED = 8


@dataclass(frozen=True, slots=True)
class EdgeEvidence:
    """One step of a path: `receiver` got `weight` from `provider`, as (block hash, weight) in `blocks` tell."""

    receiver: bytes
    provider: bytes
    weight: int
    blocks: list[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the viewer to the target without its detours; `share` of the visiting walks came by it."""

    nodes: list[bytes]
    share: float
    edges: list[EdgeEvidence]


@dataclass(frozen=True, slots=True)
class Without:
    """The score that the target would have without one exchange."""

    block_hash: bytes
    receiver: bytes
    provider: bytes
    weight: int
    score: Score


@dataclass(frozen=True, slots=True)
class Explanation:
    """`paths` by descending share; `without` by ascending remaining score; `through`: who stands on all walks."""

    target: bytes
    score: Score
    paths: list[Path]
    without: list[Without]
    through: list[bytes]


class _Visits:
    """The walks that visit a target, up to their first visit: steps from sources[j] to ends[j] by walk[j]."""

    def __init__(self, walks: Walks, target: int, ego: int) -> None:
        places = walks.first_visits(target)
        self.begins = walks.first.take(walks.owner.take(places))
        lengths = places - self.begins
        self.count = len(places)
        moving = lengths > 0
        steps = ranges(self.begins[moving], lengths[moving])
        self.sources: Nodes = walks.at.take(steps)
        self.ends: Nodes = walks.at.take(steps + 1)
        self.walk: Longs = np.repeat(np.arange(self.count), lengths)
        self.lengths = lengths
        self.ego = ego

    def paths(self) -> Counter[tuple[int, ...]]:
        """How many walks come by each path; loops are erased."""
        found: Counter[tuple[int, ...]] = Counter()
        ends = self.ends.tolist()
        at = 0
        for length in self.lengths.tolist():
            found[_without_loops([self.ego, *ends[at : at + length]])] += 1
            at += length
        return found

    def factors(self, source: int, target: int, stays: float, others: float) -> Floats:
        """How much more probable each walk becomes when steps source->target weigh `stays`, others `others`."""
        out = self.sources == source
        there = out & (self.ends == target)
        steps_there = np.bincount(self.walk[there], minlength=self.count)
        steps_out = np.bincount(self.walk[out], minlength=self.count)
        factors: Floats = np.power(stays, steps_there) * np.power(others, steps_out - steps_there)
        return factors

    def intermediaries(self, counted: Floats) -> set[int]:
        """Who stands on all walks whose factor is above zero."""
        left = np.flatnonzero(counted > 0)
        used = counted.take(self.walk) > 0
        inner = used & (self.sources != self.ego)
        pairs = np.unique(np.stack([self.sources[inner], self.walk[inner]]), axis=1)[0]
        nodes, counts = np.unique(pairs, return_counts=True)
        return set(nodes[counts == len(left)].tolist()) if left.size else set()


def _without_loops(nodes: list[int]) -> tuple[int, ...]:
    path: dict[int, None] = {}
    for node in nodes:
        if node in path:
            while next(reversed(path)) != node:
                path.popitem()
        else:
            path[node] = None
    return tuple(path)


class Explainer:
    """Explains scores from walks; `row` gives the weights that the walks were drawn from, `lost` a block's share."""

    def __init__(
        self,
        graph: FeedbackGraph,
        walks: Walks,
        ego: int,
        row: Callable[[int], dict[int, int]],
        lost: Callable[[bytes], int],
    ) -> None:
        self._graph = graph
        self._walks = walks
        self._ego = ego
        self._row = row
        self._lost = lost

    def explain(self, target: bytes, count: int, beta: float) -> Explanation:
        """The `count` most frequent paths to `target`; a stranger has none."""
        visits = _Visits(self._walks, self._graph.find(target), self._ego)
        through = visits.intermediaries(np.ones(visits.count))
        score = score_of(visits.count, self._walks.count, 1 - beta if through else 1.0)
        best = sorted(visits.paths().items(), key=lambda found: (-found[1], self._names(found[0])))[:count]
        paths = [self._path(nodes, walked / visits.count) for nodes, walked in best]
        edges = {(edge.receiver, edge.provider): edge for path in paths for edge in path.edges}
        without = [said for edge in edges.values() for said in self._weigh(edge, visits, beta)]
        without.sort(key=lambda said: (said.score.value, said.block_hash))
        return Explanation(target, score, paths, without, sorted(map(self._graph.key, through)))

    def _names(self, nodes: tuple[int, ...]) -> list[bytes]:
        return [self._graph.key(node) for node in nodes]

    def _path(self, nodes: tuple[int, ...], share: float) -> Path:
        names = self._names(nodes)
        edges = [self._evidence(receiver, provider) for receiver, provider in pairwise(names)]
        return Path(names, share, edges)

    def _evidence(self, receiver: bytes, provider: bytes) -> EdgeEvidence:
        weight = self._graph.weight(receiver, provider)
        return EdgeEvidence(receiver, provider, weight, self._graph.evidence(receiver, provider))

    def _weigh(self, edge: EdgeEvidence, visits: _Visits, beta: float) -> list[Without]:
        return [
            Without(block, edge.receiver, edge.provider, weight, self._score_without(edge, block, visits, beta))
            for block, weight in edge.blocks[:MAX_BLOCKS_WEIGHED]
        ]

    def _score_without(self, edge: EdgeEvidence, block: bytes, visits: _Visits, beta: float) -> Score:
        source, target = self._graph.find(edge.receiver), self._graph.find(edge.provider)
        row = self._row(source)
        total, weight, lost = sum(row.values()), row.get(target, 0), self._lost(block)
        rest = total - lost
        others = total / rest if rest else 0.0
        stays = (weight - lost) / weight * others if weight else others
        factors = visits.factors(source, target, stays, others)
        kept = 1 - beta if beta and visits.intermediaries(factors) else 1.0
        return weighted_score(factors, self._walks.count, max(1.0, others), kept)
