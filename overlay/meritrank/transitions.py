"""Where walks go next: drawn from the rows of a graph, which are brought up to date when a walk comes to them."""

from typing import Protocol

import numpy as np

from overlay.meritrank.arrays import Floats, Longs, Nodes
from overlay.meritrank.edges import MAX_ROW_TOTAL, EdgeTable
from overlay.meritrank.pool import RowPool

# Parts that hold many thin edges are finished by bisection: a row of a heavy edge and thousands of light ones.
_MAX_SCANS = 6
# A row in which more edges than this changed is set as a whole.
_MANY_EDGES = 64
# More changed rows than this are compiled together with all others: 20 us for a row, 50 ms for a million edges.
_MANY_ROWS = 1000


class Rows(Protocol):
    """Where current rows are read from: the feedback graph."""

    def row(self, node: int) -> dict[int, int]: ...
    def total(self, node: int) -> int: ...
    def row_arrays(self, node: int) -> tuple[Nodes, Longs]: ...
    def canonical_row(self, node: int) -> tuple[Nodes, Longs]: ...


class Transitions(RowPool):
    """The rows of a graph, ready to be drawn from."""

    def __init__(self, table: EdgeTable, rows: Rows) -> None:
        super().__init__(table)
        self._rows = rows
        # Outdated rows with their changed edges; and all rows whose order is no longer canonical.
        self._outdated: dict[int, dict[int, int]] = {}
        self._edited: set[int] = set()

    def step(self, nodes: Nodes, numbers: Floats) -> Nodes:
        """The next node of each walk that stands at nodes[i] and draws numbers[i]."""
        at = (self.degree.take(nodes) * numbers).astype(np.int64)
        at += self.begin.take(nodes)
        at = self.guide.take(at).astype(np.int64)
        late = np.flatnonzero(self.cumulative.take(at) <= numbers)
        scans = 0
        while late.size:
            scans += 1
            if scans > _MAX_SCANS:
                at[late] = [self._bisect(nodes[i], numbers[i]) for i in late.tolist()]
                break
            further = at.take(late) + 1
            at[late] = further
            late = late[self.cumulative.take(further) <= numbers.take(late)]
        return self.target.take(at)

    def _bisect(self, node: int, number: float) -> int:
        begin = int(self.begin[node])
        row = self.cumulative[begin : begin + int(self.degree[node])]
        return begin + int(np.searchsorted(row, number, side="right"))

    def follow(self, node: int, numbers: list[float]) -> list[int]:
        """The path of a single walk from `node` (without it), one step for each of `numbers`; as `step` does."""
        begin, degree, guide, cumulative, target = self.views
        outdated, path = self._outdated, []
        for number in numbers:
            if node in outdated:
                self.renew(node)
                begin, degree, guide, cumulative, target = self.views
            at = guide[int(degree[node] * number) + begin[node]]
            if cumulative[at] <= number:
                at += 1
                if cumulative[at] <= number:
                    at = self._bisect(node, number)
            node = target[at]
            path.append(node)
        return path

    # Rows that changed in the graph are renewed here when a walk comes to them

    def outdate(self, node: int, edges: dict[int, int]) -> None:
        """Some edges of `node` (the keys) have other weights in the graph now."""
        known = self._outdated.get(node)
        if known is None:
            self._outdated[node] = edges
        else:
            known.update(edges)

    def is_outdated(self, node: int) -> bool:
        """Whether the row changed in the graph and was not renewed."""
        return node in self._outdated

    def renew(self, node: int) -> None:
        """Bring an outdated row up to date."""
        edges = self._outdated.pop(node)
        self._edited.add(node)
        if len(edges) > _MANY_EDGES or self._rows.total(node) > MAX_ROW_TOTAL:
            self.replace(node, *self._rows.row_arrays(node))
        else:
            row = self._rows.row(node)
            if self.change(node, {target: row.get(target, 0) for target in edges}) != self._rows.total(node):
                # The row was fitted to 64 bits before and no longer needs to be.
                self.replace(node, *self._rows.row_arrays(node))

    def renew_all(self) -> None:
        """Bring all outdated rows up to date."""
        for node in list(self._outdated):
            self.renew(node)

    def restore(self) -> bool:
        """Bring all rows that ever changed into canonical order; False when compiling all rows anew is faster.

        Afterwards these transitions draw as newly compiled ones would.
        """
        self._edited.update(self._outdated)
        if len(self._edited) > _MANY_ROWS:
            return False
        for node in self._edited:
            self.replace(node, *self._rows.canonical_row(node))
        self._edited.clear()
        self._outdated.clear()
        return True
