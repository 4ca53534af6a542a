"""All rows of a graph in one pool of arrays, as cumulative probabilities with a guide; each can be changed alone.

A uniform number u means the first edge of a row whose cumulative probability exceeds u. The guide (Chen and Asau's
cutpoint method) holds, for each of d equal parts of [0, 1) of a row of d edges, the first edge that can be meant,
so that on average at most two comparisons find it: constant time.
"""

import numpy as np

from overlay.meritrank.arrays import Floats, Longs, Nodes, grown
from overlay.meritrank.edges import EdgeTable

# A boundary that lies within this of a part's edge counts as on it; the bias is below 1e-9 of one edge.
_NEAR = 1e-9
_COLUMNS = ("target", "weight", "cumulative", "guide")


def _guide(cumulative: Floats, owner_start: Longs | int, degree: Longs | int) -> Nodes:
    """For each part of each row the place of the first edge that a number in it can mean."""
    scaled = cumulative * degree
    nearest = np.rint(scaled)
    part = np.where(np.abs(scaled - nearest) < _NEAR, nearest, np.ceil(scaled)).astype(np.int64)
    inner = part < degree
    places = (part + owner_start)[inner]
    passed = np.cumsum(np.bincount(places, minlength=len(cumulative)))
    return passed.astype(np.int32)


class RowPool:
    """Rows as places begin[node] .. begin[node]+degree[node]-1 of parallel columns: 24 bytes an edge, 16 a node.

    Place 0 leads to the sink; rows without edges point there, so a walk that has nowhere to go stays in the sink.
    """

    def __init__(self, table: EdgeTable) -> None:
        degrees = np.diff(table.starts)
        edges = len(table.targets)
        room = edges + edges // 8 + 64
        self.begin = np.where(degrees > 0, table.starts[:-1] + 1, 0)
        self.degree = np.maximum(degrees, 1).astype(np.float64)
        self.target = np.zeros(room, np.int32)
        self.weight = np.zeros(room, np.int64)
        self.cumulative = np.ones(room)
        self.guide = np.zeros(room, np.int32)
        self.used = edges + 1
        self.target[1 : self.used] = table.targets
        self.weight[1 : self.used] = table.weights
        # Where a row that was changed lives, and how many edges have room there, even while it has none.
        self._homes: dict[int, tuple[int, int]] = {}
        if edges:
            self._fill(table, degrees)
        self._look()

    def _look(self) -> None:
        """Views for single steps: an item of a memoryview costs a third of an item of an array."""
        self.views = (self.begin.data, self.degree.data, self.guide.data, self.cumulative.data, self.target.data)

    def _fill(self, table: EdgeTable, degrees: Longs) -> None:
        sums = np.cumsum(table.weights)
        filled = np.flatnonzero(degrees)
        counts = degrees[filled]
        starts, ends = table.starts[:-1][filled], table.starts[1:][filled]
        before = np.concatenate([[0], sums])[starts]
        inside = sums - np.repeat(before, counts)
        cumulative = inside / np.repeat(sums[ends - 1] - before, counts)
        owner_start = np.repeat(starts, counts)
        passed = _guide(cumulative, owner_start, np.repeat(counts, counts))
        # `passed` counts over all rows; within its own row each edge has passed that many less.
        base = np.repeat(np.concatenate([[0], passed])[starts], counts)
        self.cumulative[1 : self.used] = cumulative
        self.guide[1 : self.used] = passed - base + owner_start + 1

    def admit(self, nodes: int) -> None:
        """Make room for node numbers below `nodes`; new ones have empty rows."""
        if nodes > len(self.begin):
            before = len(self.begin)
            self.begin = grown(self.begin, nodes)
            self.degree = grown(self.degree, nodes)
            self.degree[before:] = 1.0
            self._look()

    def replace(self, node: int, targets: Nodes, weights: Longs) -> None:
        """Set the row of `node`; empty arrays make it lead to the sink."""
        count = len(targets)
        begin = self._place(node, count) if count else 0
        self.target[begin : begin + count] = targets
        self.weight[begin : begin + count] = weights
        self._settle(node, begin, count)

    def change(self, node: int, edges: dict[int, int]) -> int:
        """Set the weights of some edges of `node`, 0 to remove them, and leave the others; returns the row's sum."""
        begin, _ = self._home(node)
        count = int(self.degree[node]) if self.begin[node] else 0
        for target, weight in edges.items():
            at = np.flatnonzero(self.target[begin : begin + count] == target)
            if at.size and weight:
                self.weight[begin + int(at[0])] = weight
            elif at.size:
                count -= 1
                self._move(begin + count, begin + int(at[0]))
            elif weight:
                begin = self._extended(node, begin, count)
                self.target[begin + count], self.weight[begin + count] = target, weight
                count += 1
        return self._settle(node, begin if count else 0, count)

    def _move(self, source: int, to: int) -> None:
        self.target[to], self.weight[to] = self.target[source], self.weight[source]

    def _extended(self, node: int, begin: int, count: int) -> int:
        """Where the row of `node` stands once it has room for one more edge."""
        place = self._place(node, count + 1)
        if place != begin and count:
            self.target[place : place + count] = self.target[begin : begin + count]
            self.weight[place : place + count] = self.weight[begin : begin + count]
        return place

    def _settle(self, node: int, begin: int, count: int) -> int:
        """Make the `count` edges at `begin` the row of `node`; returns their sum."""
        self.begin[node] = begin
        self.degree[node] = max(count, 1)
        if not count:
            return 0
        part = slice(begin, begin + count)
        sums = np.cumsum(self.weight[part])
        cumulative = sums / sums[-1]
        self.cumulative[part] = cumulative
        self.guide[part] = _guide(cumulative, 0, count) + begin
        return sums.item(-1)

    def _place(self, node: int, count: int) -> int:
        """A place for `count` edges: where the row lives if it fits, else at the end with room to double."""
        begin, room = self._home(node)
        if begin and count <= room:
            return begin
        begin, room = self.used, 2 * count
        self._homes[node] = begin, room
        self.begin[node] = begin
        self.used += room
        if self.used > len(self.target):
            for name in _COLUMNS:
                setattr(self, name, grown(getattr(self, name), self.used))
            self._look()
        return begin

    def _home(self, node: int) -> tuple[int, int]:
        home = self._homes.get(node)
        if home is None:
            begin = int(self.begin[node])
            home = self._homes[node] = (begin, int(self.degree[node]) if begin else 0)
        return home
