"""Edges in flat arrays: who received from whom, and how much, in the canonical order of keys."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from overlay.meritrank.arrays import Longs, Nodes, group_by_node

# Sums over a row stay exact in a double, and differences of running sums over all rows in 64 bits.
MAX_ROW_TOTAL = 2**52


def fitted(weights: list[int], total: int) -> list[int]:
    """Weights of one row that add up to about MAX_ROW_TOTAL at most: halved as often as it takes, none below 1.

    Only a row of absurd weights is changed at all, in the 40th binary digit of its probabilities. It depends on the row
    as a whole, not on the order in which its evidence came: refusing what no longer fits would.
    """
    shift = (total // MAX_ROW_TOTAL).bit_length()
    return [max(1, weight >> shift) for weight in weights] if shift else weights


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """Rows of all nodes 0..n-1: row u is targets[starts[u]:starts[u+1]] with weights (int64, at least 1) beside it.

    Node 0 is the sink where walks of members without feedback end; its row is empty.
    """

    starts: Longs
    targets: Nodes
    weights: Longs

    @property
    def nodes(self) -> int:
        return len(self.starts) - 1

    def row(self, node: int) -> tuple[Nodes, Longs]:
        """Targets and weights of one row, as views; empty for a node that is not in the table."""
        if node >= self.nodes:
            return self.targets[:0], self.weights[:0]
        begin, end = self.starts.item(node), self.starts.item(node + 1)
        return self.targets[begin:end], self.weights[begin:end]

    def row_list(self, node: int) -> dict[int, int]:
        """One row as {target: weight}."""
        targets, weights = self.row(node)
        return dict(zip(targets.tolist(), weights.tolist(), strict=False))

    def sources(self) -> Nodes:
        """The row that each edge belongs to."""
        return np.repeat(np.arange(self.nodes, dtype=np.int32), np.diff(self.starts))

    @classmethod
    def build(cls, nodes: int, sources: Nodes, targets: Nodes, weights: Longs, rank: Nodes | None = None) -> Self:
        """Sort edges by (source, rank of target) and add up edges that occur more than once.

        `rank[node]` is the place of a node in the canonical order; None when ids are already in that order.
        """
        keys = targets if rank is None else rank.take(targets)
        order = group_by_node(keys, nodes)
        order = order.take(group_by_node(sources.take(order), nodes))
        sources, targets, weights = sources.take(order), targets.take(order), weights.take(order)
        first = np.ones(len(sources), np.bool_)
        first[1:] = (sources[1:] != sources[:-1]) | (targets[1:] != targets[:-1])
        if not first.all():
            weights = np.add.reduceat(weights, np.flatnonzero(first))
            sources, targets = sources[first], targets[first]
        starts = np.zeros(nodes + 1, np.int64)
        np.cumsum(np.bincount(sources, minlength=nodes), out=starts[1:])
        return cls(starts, targets, weights)


def empty_table(nodes: int = 1) -> EdgeTable:
    """A table of `nodes` empty rows."""
    return EdgeTable(np.zeros(nodes + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
