"""The best k of n counts in O(k log n): a tournament tree over the visit counts.

The tree is built at the first question. After a repair only nodes whose count may have changed climb again.
"""

import heapq
from collections.abc import Callable

import numpy as np

from overlay.meritrank.arrays import Longs
from overlay.meritrank.walks import Walks


class Leaders:
    """A tournament: `_tree[1]` is the greatest count, the leaf of node i stands at `_width + i`."""

    def __init__(self) -> None:
        self._tree: Longs = np.zeros(2, np.int64)
        self._width = 0

    def top(self, walks: Walks, number: int, kept: Callable[[int], tuple[float, bytes]]) -> list[tuple[int, float]]:
        """The `number` best nodes by hits * share, and the share, where (share, key) = kept(node); ties by key.

        A share is at most 1, so the search ends when no count that is left can overtake; zeros stay out.
        """
        self._update(walks)
        best: list[tuple[float, bytes, int, float]] = []
        # Divided here as everywhere, and after the share: what is equal as a score must be equal as a place.
        total = walks.count
        waiting = [(-int(self._tree[1]), 1)]
        while waiting[0][0] < 0 and number > 0 and (len(best) < number or waiting[0][0] / total <= best[-1][0]):
            count, place = heapq.heappop(waiting)
            if place < self._width:
                for child in (2 * place, 2 * place + 1):
                    heapq.heappush(waiting, (-int(self._tree[child]), child))
                continue
            heapq.heappush(waiting, (0, place))
            share, key = kept(place - self._width)
            if share:
                best.append((count * share / total, key, place - self._width, share))
                best.sort()
                del best[number:]
        return [(node, share) for _, _, node, share in best]

    def _update(self, walks: Walks) -> None:
        changed = walks.recounted().astype(np.int64)
        if len(walks.hits) > self._width:
            self._build(walks.hits)
        elif changed.size:
            self._tree[changed + self._width] = walks.hits.take(changed)
            self._climb(changed + self._width)

    def _build(self, counts: Longs) -> None:
        self._width = max(2, 1 << (len(counts) - 1).bit_length())
        self._tree = np.zeros(2 * self._width, np.int64)
        self._tree[self._width : self._width + len(counts)] = counts
        level = self._width
        while level > 1:
            pairs = self._tree[level : 2 * level].reshape(-1, 2)
            level //= 2
            self._tree[level : 2 * level] = pairs.max(axis=1)

    def _climb(self, places: Longs) -> None:
        while places[0] > 1:
            places = np.unique(places // 2)
            self._tree[places] = np.maximum(self._tree[2 * places], self._tree[2 * places + 1])
