"""The reputation of all members in the eyes of one: MeritRank, personal to the viewer."""

import numpy as np

from overlay.meritrank import persist
from overlay.meritrank.ageing import aged
from overlay.meritrank.arrays import Floats, Longs
from overlay.meritrank.chance import Draws, derive, uniform
from overlay.meritrank.decay import Decay
from overlay.meritrank.dominance import dominated, intermediaries
from overlay.meritrank.errors import ReputationError
from overlay.meritrank.explain import Explainer, Explanation
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.leaders import Leaders
from overlay.meritrank.repair import Repair
from overlay.meritrank.scores import Rank, Score, rank_of, score_of
from overlay.meritrank.transitions import Transitions
from overlay.meritrank.walks import MAX_WALKS, Walks, lengths

DEFAULT_WALKS = 10_000


class Reputation:
    """Scores of all members as seen by `ego`, kept up to date with `graph`.

    A score is the probability that a walk from `ego`, which stops with probability alpha at each step, ever
    visits the target: the unnormalised unique-visit MeritRank G_st/G_tt with G = (I-(1-alpha)P)^-1.

    Two guarantees. Computed afresh, scores are equal bit for bit for equal edges, ego, seed, walks and decay, in
    whatever order the edges came. Repaired after edits, they have the same distribution as afresh, and are
    equal bit for bit for the same sequence of edits and questions; `afresh` turns the second case into the first.

    Raises InvalidDecay through `decay`, and ReputationError for a number of walks outside 1..2,000,000.
    """

    def __init__(
        self,
        graph: FeedbackGraph,
        ego: bytes,
        seed: bytes,
        walks: int = DEFAULT_WALKS,
        decay: Decay | None = None,
        epoch: int = 0,
    ) -> None:
        if not 1 <= walks <= MAX_WALKS:
            raise ReputationError(f"the number of walks lies between 1 and {MAX_WALKS}, not {walks}")
        self._introduce(graph, ego, seed, walks, decay or Decay(), epoch)
        self._start()

    def _introduce(self, graph: FeedbackGraph, ego: bytes, seed: bytes, walks: int, decay: Decay, epoch: int) -> None:
        self.graph = graph
        self.ego = bytes(ego)
        self.seed = bytes(seed)
        self.decay = decay
        self.epoch = epoch
        self.count = walks
        self._ego = graph.node(self.ego)
        self._changes = graph.watch()
        self._compile()

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        graph: FeedbackGraph,
        ego: bytes,
        seed: bytes,
        decay: Decay | None = None,
        epoch: int = 0,
    ) -> "Reputation":
        """Take up walks that `to_bytes` saved, making none anew.

        Raises DamagedWalks when the bytes are not whole, and StaleWalks when they belong to other edges, another
        viewer, seed, alpha, gamma or epoch: then calculate afresh.
        """
        decay = decay or Decay()
        walks, position = persist.load(data, graph, bytes(ego), bytes(seed), decay, epoch)
        reputation = cls.__new__(cls)
        reputation._introduce(graph, ego, seed, walks.count, decay, epoch)
        reputation._resume(walks, position)
        return reputation

    def to_bytes(self) -> bytes:
        """The walks as they are, about 4 bytes per place: 310 kB for 10,000 walks at alpha = 0.15."""
        self.refresh()
        position = self._draws.position
        return persist.save(self._walks, self.graph, self.ego, self.seed, self.decay, self.epoch, position)

    # Keeping up to date

    def afresh(self) -> None:
        """Forget all walks and make them anew from the graph as it is."""
        for node, before in self._changes.take().items():
            self._transitions.outdate(node, before)
        self._transitions.admit(len(self.graph) + 1)
        if self.decay.gamma or not self._transitions.restore():
            self._compile()
        self._start()

    def _compile(self) -> None:
        self._changes.take()
        self._aged = self.graph.aged_table(self.decay.gamma, self.epoch) if self.decay.gamma else None
        self._transitions = Transitions(self._aged or self.graph.table(), self.graph)

    def _start(self) -> None:
        steps = lengths(self.decay.alpha, uniform(self._derived(b"lengths"), self.count))
        walks = Walks(steps, self._ego)
        self._transitions.admit(len(self.graph) + 1)
        walks.run(self._transitions, uniform(self._derived(b"steps"), int(steps.sum())))
        self._resume(walks, 0)

    def _resume(self, walks: Walks, position: int) -> None:
        self._nodes = len(self.graph) + 1
        walks.index(self._nodes)
        self._walks = walks
        self._draws = Draws(self._derived(b"repair"), position)
        self._repair = Repair(self.graph, walks, self._transitions, self._draws)
        self._dominated: Longs | None = None
        self._leaders = Leaders()

    def _derived(self, purpose: bytes) -> int:
        return derive(purpose, self.seed, self.ego)

    def refresh(self) -> int:
        """Repair the walks for what changed in the graph; every question does so first. Returns walks rewritten."""
        if not self._changes.rows:
            return 0
        if self.decay.gamma:
            self.afresh()
            return self.count
        if (nodes := len(self.graph) + 1) > self._nodes:
            self._walks.admit(nodes)
            self._transitions.admit(nodes)
            self._nodes = nodes
        rewritten = self._repair.apply(self._changes.take())
        if rewritten:
            self._dominated = None
        return rewritten

    def advance(self, epoch: int) -> None:
        """Let feedback age to `epoch`; without gamma this changes nothing."""
        self.epoch = epoch
        if self.decay.gamma:
            self.afresh()

    def walks(self) -> Walks:
        """The walks, up to date; not to be changed."""
        self.refresh()
        return self._walks

    # Questions

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
        values[: len(self._walks.hits)] = self._walks.hits[: len(values)] / self.count
        values[self._ego] = 0.0
        if beta := self._beta(beta):
            if self._dominated is None:
                self._dominated = np.flatnonzero(dominated(self._walks, self._ego))
            values[self._dominated] *= 1 - beta
        return values

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
