"""Connectivity decay (beta): targets that every walk reaches through one and the same intermediary.

A target is dominated when some member other than the viewer and the target stands on every walk before its first
visit to the target. Walks are real paths, so a target found not to be dominated never is; a target with few
visits may be called dominated although a path that no walk took goes round. Its score is then small anyway.
"""

import numpy as np

from overlay.meritrank.arrays import Flags, Longs, ranges
from overlay.meritrank.walks import Walks

# So many walks are compared one by one; who stands on all of these, mostly nobody, is then checked on all others.
_SAMPLE = 32


def intermediaries(walks: Walks, target: int, ego: int) -> set[int]:
    """The members that stand between `ego` and `target` on every walk that visits `target`; empty when none."""
    places = walks.first_visits(target)
    if not places.size:
        return set()
    begins = walks.first.take(walks.owner.take(places[:_SAMPLE]))
    common: set[int] | None = None
    for begin, place in zip(begins.tolist(), places[:_SAMPLE].tolist(), strict=True):
        before = set(walks.at_view[begin:place])
        common = before if common is None else common & before
        if common <= {ego}:
            return set()
    assert common is not None
    return {node for node in common - {ego} if _always_before(walks, node, places)}


def _always_before(walks: Walks, node: int, places: Longs) -> bool:
    """Whether each walk that comes to one of `places` visits `node` before."""
    first = np.full(walks.count, walks.places)
    visits = walks.first_visits(node)
    first[walks.owner.take(visits)] = visits
    return bool(np.all(first.take(walks.owner.take(places)) < places))


def dominated(walks: Walks, ego: int) -> Flags:
    """For every node whether it is dominated (see `intermediaries`), in one pass over all walks.

    Time and memory grow with the sum of squared lengths: (1-alpha)/alpha^2 pairs per walk.
    """
    nodes = len(walks.hits)
    free = np.zeros(nodes, np.bool_)
    free[walks.at[walks.first[:-1][walks.first[1:] - walks.first[:-1] > 1] + 1]] = True
    free[ego] = True
    result = (walks.hits > 0) & ~free
    places = np.flatnonzero(walks.fresh & result.take(walks.at))
    if places.size:
        result &= _shared(walks, places, ego, nodes)
    return result


def _shared(walks: Walks, places: Longs, ego: int, nodes: int) -> Flags:
    """Which nodes have an intermediary on all of the walks that first visit them at `places`."""
    begins = walks.first.take(walks.owner.take(places)) + 1
    before = ranges(begins, places - begins)
    targets = np.repeat(walks.at.take(places), places - begins).astype(np.int64)
    # One first visit per walk and intermediary: count each pair once per walk.
    once = walks.fresh.take(before)
    pairs = targets[once] * nodes + walks.at.take(before[once])
    pairs, counts = np.unique(pairs, return_counts=True)
    target = pairs // nodes
    shared = np.zeros(nodes, np.bool_)
    shared[target[counts == walks.hits.take(target)]] = True
    return shared
