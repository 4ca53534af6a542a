"""Maximal coupling: from steps of an old distribution to steps of a new one, changing as few as can be."""

import math
from collections.abc import Callable

import numpy as np

from overlay.meritrank.arrays import Floats, Longs, Nodes
from overlay.meritrank.chance import Draws
from overlay.meritrank.evidence import SINK

# Below this many candidates or above this share, one number for each costs less than drawing the gaps.
ONE_BY_ONE = 32
_SPARSE = 0.2
# Stands for one of the unchanged edges.
_REST = np.int32(-1)


def thinned(count: int, share: float, draws: Draws) -> Longs:
    """Choose each of 0..count-1 with probability `share`, independently; ascending."""
    if share <= 0 or count == 0:
        return np.empty(0, np.int64)
    if share >= 1:
        return np.arange(count)
    if count <= ONE_BY_ONE:
        return np.array([place for place, number in enumerate(draws.few(count)) if number < share], np.int64)
    if share > _SPARSE:
        return np.flatnonzero(draws.take(count) < share)
    return _by_gaps(count, share, draws)


def _by_gaps(count: int, share: float, draws: Draws) -> Longs:
    """`thinned` by geometric gaps: as many numbers as are chosen, not as there are to choose from."""
    chosen = np.empty(0, np.int64)
    last = -1
    while last < count:
        expected = (count - last) * share
        numbers = draws.take(int(expected + 4 * math.sqrt(expected)) + 4)
        # 1 - number lies in (0, 1]; the longest gap, -log(2^-53)/share, is far below 2^63.
        gaps = (np.log(1 - numbers) / math.log1p(-share)).astype(np.int64) + 1
        chosen = np.concatenate([chosen, last + np.cumsum(gaps)])
        last = int(chosen[-1])
    return chosen[: np.searchsorted(chosen, count)]


class ChangedRow:
    """One receiver's row before and after: `edges` maps each changed provider to (before, after)."""

    def __init__(self, before: dict[int, int], row: dict[int, int], total: int) -> None:
        self.row = row
        self.edges = {target: (weight, row.get(target, 0)) for target, weight in before.items()}
        self.total = total
        self.total_before = total - sum(after - old for old, after in self.edges.values())

    def leaving(self) -> float:
        """The share of steps along unchanged edges that go elsewhere, 1 - min(1, q/p)."""
        return max(0.0, 1 - self.total_before / self.total) if self.total else 1.0

    def leaving_to(self, target: int) -> float:
        """The share of steps to a changed `target` that go elsewhere."""
        before, after = self.edges[target]
        return max(0.0, 1 - after * self.total_before / (before * self.total)) if before and self.total else 1.0

    def gains(self) -> tuple[Nodes, Floats]:
        """The changed edges that gained probability, and their gains up to a factor that `gain_of_rest` shares."""
        if self.total == 0:
            return np.array([SINK], np.int32), np.ones(1)
        gained = {
            target: gain
            for target, (before, after) in self.edges.items()
            if (gain := after * (self.total_before or 1) - before * self.total) > 0
        }
        return np.fromiter(gained, np.int32, len(gained)), np.fromiter(gained.values(), np.float64, len(gained))

    def gain_of_rest(self) -> float:
        """What all unchanged edges together gained; they share it in proportion to their weights."""
        rest = self.total - sum(after for _, after in self.edges.values())
        return float(rest * max(0, self.total_before - self.total))

    def choose(self, count: int, draws: Draws, steps: Callable[[int], Nodes]) -> Nodes:
        """Where `count` steps go instead; `steps(n)` draws n steps out of the row as it is now."""
        targets, gains = self.gains()
        rest = self.gain_of_rest()
        if len(targets) == 1 and not rest:
            return np.repeat(targets, count)
        chosen = np.full(count, _REST)
        if len(targets):
            sums = np.cumsum(np.append(gains, rest))
            picked = np.searchsorted(sums / sums[-1], draws.take(count), side="right")
            chosen = np.append(targets, _REST).take(picked)
        open_at = np.flatnonzero(chosen == _REST)
        # Less than one draw per step out of the row is expected: the rest is chosen the more seldom, the lighter it is.
        while open_at.size:
            chosen[open_at] = steps(len(open_at))
            open_at = open_at[np.isin(chosen.take(open_at), list(self.edges))]
        return chosen
