"""Repair of walks after the graph changed: only walks that took a step out of a changed row are touched.

Each step out of a changed row keeps its edge with the greatest probability that gives the new distribution
(maximal coupling): an edge that had probability p and now has q keeps min(1, q/p) of its steps, and the others
choose among the edges that gained, in proportion to what they gained. A walk is then walked anew from the
first step that changed, in the new graph. The result has the distribution of walks made afresh, and since
lengths never change and choices are independent between walks, so are walks after any number of edits.
"""

from functools import partial

import numpy as np

from overlay.meritrank.arrays import Longs, Nodes, group_by_node, ranges
from overlay.meritrank.chance import Draws
from overlay.meritrank.coupling import ONE_BY_ONE, ChangedRow, thinned
from overlay.meritrank.evidence import SINK
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.transitions import Transitions
from overlay.meritrank.walks import Walks

# Below this many walks, one-by-one steps (about 0.3 us each) cost less than array operations (about 10 us a round).
_FEW = 48
# Below this many walks even the fixed price of counting in arrays (about 100 us) is not worth it.
_SINGLE = 8

# Places whose step changed, with the nodes that stand there now, for each changed row.
Turned = list[tuple[Longs, Nodes]]


class Repair:
    """Brings walks up to date with a graph that changed, and their transitions as far as walks need them."""

    def __init__(self, graph: FeedbackGraph, walks: Walks, transitions: Transitions, draws: Draws) -> None:
        self._graph = graph
        self._walks = walks
        self._transitions = transitions
        self._draws = draws

    def apply(self, changes: dict[int, dict[int, int]]) -> int:
        """Repair the walks for all `changes` since the last repair; returns how many walks were rewritten."""
        turned: Turned = []
        for node, before in changes.items():
            self._transitions.outdate(node, before)
            candidates = self._walks.candidates(node)
            if len(candidates) > ONE_BY_ONE:
                self._turn(turned, node, before, candidates)
            elif len(candidates) and (steps := self._steps_out(node, candidates.tolist())):
                self._turn_few(turned, node, before, steps)
        return self._rewrite(turned) if turned else 0

    def _changed(self, node: int, before: dict[int, int]) -> ChangedRow:
        return ChangedRow(before, self._graph.row(node), self._graph.total(node))

    def _turn(self, turned: Turned, node: int, before: dict[int, int], candidates: Longs | Nodes) -> None:
        """Add to `turned` the places after steps out of `node` that go elsewhere now, and where they go."""
        row = self._changed(node, before)
        left = [self._left(row, node, candidates)]
        left += [self._left_to(row, node, target) for target, (weight, _) in row.edges.items() if weight]
        self._turn_to(turned, row, node, np.concatenate(left))

    def _turn_to(self, turned: Turned, row: ChangedRow, node: int, places: Longs) -> None:
        if places.size:
            turned.append((places, row.choose(len(places), self._draws, partial(self._steps_from, node))))

    def _steps_out(self, node: int, candidates: list[int]) -> list[int]:
        """The places after those of `candidates` where a walk does step out of `node`."""
        at, owner = self._walks.at_view, self._walks.owner_view
        last = len(owner) - 1
        return [
            place + 1 for place in candidates if at[place] == node and place < last and owner[place] == owner[place + 1]
        ]

    def _turn_few(self, turned: Turned, node: int, before: dict[int, int], steps: list[int]) -> None:
        """`_turn` without array operations for the few places after steps out of `node`."""
        row, at = self._changed(node, before), self._walks.at_view
        common = row.leaving()
        left = [
            place
            for place, number in zip(steps, self._draws.few(len(steps)), strict=True)
            if number < (row.leaving_to(at[place]) if at[place] in row.edges else common)
        ]
        if left:
            self._turn_to(turned, row, node, np.array(left, np.int64))

    def _steps_from(self, node: int, count: int) -> Nodes:
        if self._transitions.is_outdated(node):
            self._transitions.renew(node)
        return self._transitions.step(np.full(count, node, np.int32), self._draws.take(count))

    def _left(self, row: ChangedRow, node: int, candidates: Longs | Nodes) -> Longs:
        """The places after those steps along unchanged edges (or out of a dead end) that do not stay."""
        chosen = thinned(len(candidates), row.leaving(), self._draws)
        places = candidates.take(chosen).astype(np.int64)
        places = self._steps(places[self._walks.at.take(places) == node] + 1)
        nexts = self._walks.at.take(places)
        for target, (weight, _) in row.edges.items():
            if weight:
                places, nexts = places[nexts != target], nexts[nexts != target]
        return places

    def _left_to(self, row: ChangedRow, node: int, target: int) -> Longs:
        """The places after those steps to a changed `target` that do not stay."""
        share = row.leaving_to(target)
        if not share:
            return np.empty(0, np.int64)
        places = self._steps(self._walks.visits(target))
        places = places.compress(self._walks.at.take(places - 1) == node)
        return places.take(thinned(len(places), share, self._draws))

    def _steps(self, places: Longs) -> Longs:
        """Of `places` those that a walk stepped to: not its first place, and not beyond its last."""
        owner = self._walks.owner
        places = places[places < len(owner)]
        return places.compress(owner.take(places) == owner.take(places - 1))

    def _rewrite(self, turned: Turned) -> int:
        """Walk on from the first changed step of each walk to its end; later changed steps are walked anew anyway."""
        places, targets = np.concatenate([at for at, _ in turned]), np.concatenate([to for _, to in turned])
        order = np.argsort(places)
        places, targets = places.take(order), targets.take(order)
        owners = self._walks.owner.take(places)
        first = np.ones(len(places), np.bool_)
        first[1:] = owners[1:] != owners[:-1]
        places, targets = places[first], targets[first]
        if len(places) > _SINGLE:
            self._rewrite_many(places, targets)
        else:
            for place, target in zip(places.tolist(), targets.tolist(), strict=True):
                self._rewrite_one(place, target)
        return len(places)

    def _rewrite_one(self, place: int, target: int) -> None:
        """`_rewrite_many` for a single walk, without the price of array operations."""
        walks = self._walks
        owner = walks.owner_view[place]
        begin, end = walks.first.item(owner), walks.first.item(owner + 1)
        seen = set(walks.at_view[begin:place])
        suffix = [target, *self._transitions.follow(target, self._draws.few(end - place - 1))]
        left, arrived = set(walks.at_view[place:end]) - seen, set(suffix) - seen
        for node in left ^ arrived:
            walks.hits[node] += 1 if node in arrived else -1
        walks.hits[SINK] = 0
        walks.at[place:end] = suffix
        walks.fresh[place:end] = False
        walks.fresh[[place + suffix.index(node) for node in arrived]] = True
        walks.rewritten(range(place, end), suffix)
        walks.note(list(left ^ arrived))

    def _rewrite_many(self, places: Longs, targets: Nodes) -> None:
        walks = self._walks
        ends = walks.first.take(walks.owner.take(places) + 1)
        suffix = ranges(places, ends - places)
        left = walks.at.take(suffix).compress(walks.fresh.take(suffix))
        np.subtract.at(walks.hits, left, 1)
        self._walk(places, ends, targets)
        self._recount(places, suffix)
        walks.rewritten(suffix, walks.at.take(suffix))
        walks.note(left)

    def _walk(self, places: Longs, ends: Longs, targets: Nodes) -> None:
        """Walk from targets[i] at places[i] up to ends[i]: abreast while there are many, then one by one."""
        walks = self._walks
        order = np.argsort(places - ends, kind="stable")
        left, here, nodes = (ends - places).take(order), places.take(order), targets.take(order)
        walks.at[here] = nodes
        counts = np.searchsorted(-left, -np.arange(1, int(left[0]) + 1), side="left").tolist()
        done = 0
        if counts[0] > _FEW:
            self._transitions.renew_all()
        while counts[done] > _FEW:
            count = counts[done]
            done += 1
            nodes = self._transitions.step(nodes[:count], self._draws.take(count))
            walks.at[here[:count] + done] = nodes
        for node, place, length in zip(nodes.tolist(), here.tolist(), left.tolist(), strict=False):
            if length > done + 1:
                numbers = self._draws.few(length - done - 1)
                walks.at[place + done + 1 : place + length] = self._transitions.follow(node, numbers)

    def _recount(self, places: Longs, suffix: Longs) -> None:
        """Flag first visits in the rewritten places and count them."""
        walks = self._walks
        owners = walks.owner.take(places)
        begins = walks.first.take(owners)
        whole = ranges(begins, walks.first.take(owners + 1) - begins)
        order = whole.take(group_by_node(walks.at.take(whole), len(walks.hits)))
        nodes, owners = walks.at.take(order), walks.owner.take(order)
        new = np.ones(len(order), np.bool_)
        new[1:] = (nodes[1:] != nodes[:-1]) | (owners[1:] != owners[:-1])
        walks.fresh[order] = new
        come = suffix[walks.fresh.take(suffix)]
        arrived = walks.at.take(come)
        np.add.at(walks.hits, arrived, 1)
        walks.hits[SINK] = 0
        walks.note(arrived)
