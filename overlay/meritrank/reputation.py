"""The reputation of all members in the eyes of one: MeritRank, personal to the viewer."""

import numpy as np

from overlay.meritrank.ageing import aged
from overlay.meritrank.arrays import Floats
from overlay.meritrank.decay import Decay
from overlay.meritrank.dominance import dominated, intermediaries
from overlay.meritrank.explain import Explainer, Explanation
from overlay.meritrank.scores import Rank, Score, rank_of, score_of
from overlay.meritrank.viewer import Viewer


class Reputation(Viewer):
    """Scores of all members as seen by `ego`, kept up to date with `graph`.

    A score is the probability that a walk from `ego`, which stops with probability alpha at each step, ever
    visits the target: the unnormalised unique-visit MeritRank G_st/G_tt with G = (I-(1-alpha)P)^-1, times 1-beta
    for a target that all these walks reach through one single member.
    """

    def score(self, target: bytes, beta: float | None = None) -> Score:
        """The score of `target`; 0 for a stranger, 1 for the viewer. `beta` replaces the decay's for this question."""
        self.refresh()
        node = self.graph.find(target)
        hits = self._hits(node)
        return score_of(hits, self.count, self._kept(node, beta))

    def _hits(self, node: int) -> int:
        return int(self._walks.hits[node]) if node < len(self._walks.hits) else 0

    def _kept(self, node: int, beta: float | None) -> float:
        beta = self._beta(beta)
        return 1 - beta if beta and intermediaries(self._walks, node, self._ego) else 1.0

    def _beta(self, beta: float | None) -> float:
        return self.decay.beta if beta is None else Decay(self.decay.alpha, beta).beta

    def through(self, target: bytes) -> list[bytes]:
        """The members through whom every walk to `target` goes; empty when there is no such member."""
        self.refresh()
        found = intermediaries(self._walks, self.graph.find(target), self._ego)
        return sorted(self.graph.key(node) for node in found)

    def values(self, beta: float | None = None) -> Floats:
        """The score of every node number of the graph; 0 for the viewer itself, who is not ranked."""
        self.refresh()
        values = np.zeros(len(self.graph) + 1)
        values[: len(self._walks.hits)] = self._walks.hits[: len(values)]
        values[self._ego] = 0.0
        if beta := self._beta(beta):
            if self._dominated is None:
                self._dominated = np.flatnonzero(dominated(self._walks, self._ego))
            values[self._dominated] *= 1 - beta
        return values / self.count

    def scores(self, beta: float | None = None) -> dict[bytes, float]:
        """All members with a score above zero, without the viewer."""
        values = self.values(beta)
        return {self.graph.key(node): float(values[node]) for node in np.flatnonzero(values).tolist()}

    def rank(self, target: bytes, beta: float | None = None) -> Rank:
        """The rank of `target` among all members with a score; equal scores share a place."""
        values = self.values(beta)
        node = self.graph.find(target)
        return rank_of(float(values[node]) if node < len(values) else 0.0, values)

    def top(self, count: int, beta: float | None = None) -> list[tuple[bytes, Score]]:
        """The `count` best members, best first, ties in the order of their keys; O(count log n) after the first."""
        self.refresh()
        beta = self._beta(beta)
        best = self._leaders.top(self._walks, count, lambda node: self._place(node, beta))
        return [(self.graph.key(node), score_of(self._hits(node), self.count, kept)) for node, kept in best]

    def _place(self, node: int, beta: float) -> tuple[float, bytes]:
        return 0.0 if node == self._ego else self._kept(node, beta), self.graph.key(node)

    def why(self, target: bytes, count: int = 3, beta: float | None = None) -> Explanation:
        """The `count` ways on which walks most often come to `target`, and what each exchange on them is worth."""
        self.refresh()
        explainer = Explainer(self.graph, self._walks, self._ego, self._row, self._lost)
        return explainer.explain(bytes(target), count, self._beta(beta))

    def _row(self, node: int) -> dict[int, int]:
        return self.graph.row(node) if self._aged is None else self._aged.row_list(node)

    def _lost(self, block_hash: bytes) -> int:
        said = self.graph.said(block_hash)
        if self._aged is None:
            return said.weight
        return aged(said.weight, self.decay.gamma, self.epoch - said.epoch)

    def limit(self, target: bytes, stake: int | None = None) -> int:
        """How much to accept from `target` provisionally, in the unit of the weights, rounded down.

        The low end of the score times `stake`, which is by default all that the viewer has received so far: what
        strangers together can make one lose stays in proportion to what the community has given. Zero for a
        stranger. All Sybils behind one attacker have together at most `Decay.gain_bound()` times its own limit.
        """
        if stake is None:
            stake = self.graph.total(self._ego)
        return int(self.score(target).low * stake) if target != self.ego else 0
