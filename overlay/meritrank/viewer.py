"""One member's walks: made from a graph, kept up to date with it, saved and taken up again."""

from typing import Self

from overlay.meritrank import persist
from overlay.meritrank.arrays import Longs
from overlay.meritrank.chance import Draws, derive, uniform
from overlay.meritrank.decay import Decay
from overlay.meritrank.errors import ReputationError
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.leaders import Leaders
from overlay.meritrank.repair import Repair
from overlay.meritrank.transitions import Transitions
from overlay.meritrank.walks import MAX_WALKS, Walks, lengths

DEFAULT_WALKS = 10_000


class Viewer:
    """The walks of `ego` over `graph`.

    Two guarantees. Made afresh, walks are equal bit for bit for equal edges, ego, seed, number and decay, in
    whatever order the edges came. Repaired after edits, they have the same distribution as afresh, and are equal
    bit for bit for the same sequence of edits and questions; `afresh` turns the second case into the first.

    Raises ReputationError for a number of walks outside 1..2,000,000.
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
    ) -> Self:
        """Take up walks that `to_bytes` saved, making none anew.

        Raises DamagedWalks when the bytes are not whole, and StaleWalks when they belong to other edges, another
        viewer, seed, alpha, gamma or epoch: then calculate afresh.
        """
        decay = decay or Decay()
        walks, position = persist.load(data, graph, bytes(ego), bytes(seed), decay, epoch)
        viewer = cls.__new__(cls)
        viewer._introduce(graph, ego, seed, walks.count, decay, epoch)
        viewer._resume(walks, position)
        return viewer

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
