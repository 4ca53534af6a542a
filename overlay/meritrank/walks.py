"""Random walks from one member, stored flat, indexed by node.

Each walk's length is drawn first: it takes k steps or more with probability (1-alpha)^k, whatever the graph. The
length is the walk's for ever. A walk that reaches a member without feedback waits in the sink for the rest of
its places, so an edit of the graph never moves a walk in memory: repair rewrites places, and an edge that
appears behind a dead end wakes the walks that were waiting there.

Memory: each place takes 19 bytes (node 4, owner 4, index 8, unindexed tail 2, first-visit flag 1), and a walk has
1/alpha places on average: 127 bytes a walk at alpha = 0.15, 1.3 MB for 10,000 walks.
"""

import numpy as np

from overlay.meritrank.arrays import Flags, Floats, Longs, Nodes, group_by_node, grown
from overlay.meritrank.transitions import Transitions

# One walk's places are numbered in 32 bits together with all others': 10^7 walks at alpha = 0.01 still fit.
MAX_WALKS = 2_000_000
# What was rewritten since the index was made is kept in a tail of this share of all places. When it is full, nodes
# are looked for in all places (12 us for 10,000 walks) and after many looks the index is made anew (1 ms).
_TAIL_SHARE = 4
_MAX_SCANS = 200
# Notes of recounted nodes are merged when there are this many, so they never outgrow the graph.
_MAX_NOTES = 256
_NOWHERE: Nodes = np.empty(0, np.int32)


def survival(alpha: float) -> Floats:
    """Probabilities (1-alpha)^k for k = 1, 2, ... by repeated multiplication, down to the smallest drawable number."""
    powers = [1 - alpha]
    while powers[-1] >= 2.0**-53:
        powers.append(powers[-1] * (1 - alpha))
    return np.array(powers)


def lengths(alpha: float, numbers: Floats) -> Longs:
    """Steps of each walk, in descending order."""
    ascending = survival(alpha)[::-1]
    steps = len(ascending) - np.searchsorted(ascending, numbers, side="right")
    counts = np.bincount(steps)
    return np.repeat(np.arange(len(counts) - 1, -1, -1), counts[::-1])


class Walks:
    """All walks of one ego. Places first[i] .. first[i+1]-1 are those of walk i; `at[place]` is the node there."""

    def __init__(self, steps: Longs, ego: int) -> None:
        self.count = len(steps)
        self.first = np.zeros(self.count + 1, np.int64)
        np.cumsum(steps + 1, out=self.first[1:])
        self.places = int(self.first[-1])
        self.at: Nodes = np.zeros(self.places, np.int32)
        self.at[self.first[:-1]] = ego
        self.owner: Nodes = np.repeat(np.arange(self.count, dtype=np.int32), steps + 1)
        self.fresh: Flags = np.zeros(self.places, np.bool_)
        self.hits: Longs = np.zeros(0, np.int64)
        self._order: Nodes = np.empty(0, np.int32)
        self._bounds: Longs = np.zeros(1, np.int64)
        self._in_tail: Flags = np.zeros(1, np.bool_)
        self._tail_nodes: Nodes = np.empty(self.places // _TAIL_SHARE + 1, np.int32)
        self._tail_places: Nodes = np.empty(self.places // _TAIL_SHARE + 1, np.int32)
        self._tail = 0
        self._scans = 0
        # Views for single places: an item of a memoryview costs a third of an item of an array.
        self.at_view, self.owner_view = self.at.data, self.owner.data
        self._recounted: list[Nodes | list[int]] = []
        self._indexed_at: Nodes = self.at

    def run(self, transitions: Transitions, numbers: Floats) -> None:
        """Walk them all from their first place, all walks abreast; uses one of `numbers` per step."""
        steps = np.diff(self.first) - 1
        alive = np.searchsorted(-steps, -np.arange(1, int(steps[0]) + 1), side="right")
        nodes = self.at.take(self.first[:-1])
        drawn = 0
        for step, count in enumerate(alive.tolist(), 1):
            nodes = transitions.step(nodes[:count], numbers[drawn : drawn + count])
            self.at[self.first[:count] + step] = nodes
            drawn += count

    def index(self, nodes: int) -> None:
        """Build the index and the visit counts anew for node numbers below `nodes`."""
        order = group_by_node(self.at, nodes)
        sorted_nodes, owners = self.at.take(order), self.owner.take(order)
        new = np.ones(self.places, np.bool_)
        new[1:] = (sorted_nodes[1:] != sorted_nodes[:-1]) | (owners[1:] != owners[:-1])
        self.fresh[order] = new
        self.hits = np.bincount(sorted_nodes[new], minlength=nodes)
        self.hits[0] = 0
        self._bounds = np.zeros(nodes + 1, np.int64)
        np.cumsum(np.bincount(sorted_nodes, minlength=nodes), out=self._bounds[1:])
        self._order = order.astype(np.int32)
        self._indexed_at = self.at.copy()
        self._in_tail = np.zeros(nodes, np.bool_)
        self._tail = 0

    def admit(self, nodes: int) -> None:
        """Make room for counting visits to node numbers below `nodes`."""
        if nodes > len(self.hits):
            self.hits = grown(self.hits, nodes)
            self._in_tail = grown(self._in_tail, nodes)

    def rewritten(self, places: Longs | range, nodes: Nodes | list[int]) -> None:
        """Tell the index what now stands at `places`."""
        if self._tail >= 0:
            end = self._tail + len(places)
            if end > len(self._tail_nodes):
                self._tail, self._scans = -1, 0
                return
            self._in_tail[nodes] = True
            self._tail_nodes[self._tail : end] = nodes
            self._tail_places[self._tail : end] = places
            self._tail = end

    def note(self, nodes: Nodes | list[int]) -> None:
        """Remember that the counts of `nodes` may have changed."""
        self._recounted.append(nodes)
        if len(self._recounted) > _MAX_NOTES:
            self._recounted = [self.recounted()]

    def recounted(self) -> Nodes:
        """The nodes whose counts may have changed since this was last asked."""
        nodes = np.unique(np.concatenate([_NOWHERE, *self._recounted])).astype(np.int32)
        self._recounted = []
        return nodes

    def candidates(self, node: int) -> Nodes | Longs:
        """Distinct places that include all where a walk stands at `node`; some may be outdated."""
        if node >= len(self.hits) or not self.hits.item(node):
            return _NOWHERE
        if self._tail < 0:
            return self._scanned(node)
        indexed = _NOWHERE
        if node + 1 < len(self._bounds):
            indexed = self._order[self._bounds.item(node) : self._bounds.item(node + 1)]
        if not self._in_tail.item(node):
            return indexed
        late = self._tail_places[: self._tail][self._tail_nodes[: self._tail] == node]
        late = late[self._indexed_at.take(late) != node]
        return np.concatenate([indexed, np.unique(late)])

    def _scanned(self, node: int) -> Longs:
        """Look through all places; after many such looks a new index pays."""
        self._scans += 1
        if self._scans > _MAX_SCANS:
            self.index(len(self.hits))
        return np.flatnonzero(self.at == node)

    def visits(self, node: int) -> Longs:
        """All places where a walk stands at `node`, ascending."""
        places = self.candidates(node)
        places = places[self.at.take(places) == node]
        return np.sort(places).astype(np.int64)

    def first_visits(self, node: int) -> Longs:
        """The place of the first visit to `node` in each walk that comes there."""
        places = self.visits(node)
        return places.compress(self.fresh.take(places))
