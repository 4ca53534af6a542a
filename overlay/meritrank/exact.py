"""The oracle: exact scores by power iteration and exact domination, to test everything else against.

SciPy is a development dependency. It is imported only when a function here is called.
"""

from typing import TYPE_CHECKING

import numpy as np

from overlay.meritrank.arrays import Flags, Floats, Longs
from overlay.meritrank.decay import Decay
from overlay.meritrank.edges import EdgeTable

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# (1-alpha)^k falls below this after 3,700 rounds at the smallest alpha, 0.01.
TOLERANCE = 1e-16


def _matrix(table: EdgeTable, alpha: float) -> "csr_array":
    """(1-alpha) P: row u holds the probabilities of stepping from u to each provider."""
    from scipy.sparse import csr_array

    degrees = np.diff(table.starts)
    sums = np.concatenate([[0], np.cumsum(table.weights)])
    totals = sums[table.starts[1:]] - sums[table.starts[:-1]]
    shares = table.weights / np.repeat(totals, degrees) * (1 - alpha)
    return csr_array((shares, table.targets.astype(np.int64), table.starts), shape=(table.nodes, table.nodes))


def total_visits(table: EdgeTable, ego: int, alpha: float) -> Floats:
    """G_st for s = ego and all t: the expected number of visits, with G = (I-(1-alpha)P)^-1."""
    step = _matrix(table, alpha).T.tocsr()
    visits: Floats = np.zeros(table.nodes)
    mass: Floats = np.zeros(table.nodes)
    mass[ego] = 1.0
    while mass.max() > TOLERANCE:
        visits += mass
        mass = step @ mass
    return visits


def returns(table: EdgeTable, alpha: float, nodes: Longs) -> Floats:
    """G_tt for each t in `nodes`: the expected number of visits to t of a walk that starts there."""
    step = _matrix(table, alpha).T.tocsr()
    visits = np.zeros(len(nodes))
    mass: Floats = np.zeros((table.nodes, len(nodes)))
    own = np.arange(len(nodes))
    mass[nodes, own] = 1.0
    while mass.size and mass.max() > TOLERANCE:
        visits += mass[nodes, own]
        mass = step @ mass
    return visits


def unique_visits(table: EdgeTable, ego: int, alpha: float, batch: int = 256) -> Floats:
    """G_st/G_tt for s = ego and all t: the probability of ever visiting t; `batch` columns are held at a time."""
    totals = total_visits(table, ego, alpha)
    scores = np.zeros(table.nodes)
    reached = np.flatnonzero(totals)
    for begin in range(0, len(reached), batch):
        part = reached[begin : begin + batch]
        scores[part] = totals[part] / returns(table, alpha, part)
    return scores


def reachable(table: EdgeTable, ego: int, without: int = -1) -> Flags:
    """Which nodes a path from `ego` reaches that does not pass `without`."""
    seen = np.zeros(table.nodes, np.bool_)
    seen[ego] = True
    waiting = [ego]
    while waiting:
        for target in table.row(waiting.pop())[0].tolist():
            if not seen[target] and target != without:
                seen[target] = True
                waiting.append(target)
    return seen


def dominated(table: EdgeTable, ego: int) -> Flags:
    """Which nodes lose every path from `ego` when some single other node is taken out. O(nodes * edges)."""
    whole = reachable(table, ego)
    result = np.zeros(table.nodes, np.bool_)
    for node in np.flatnonzero(whole).tolist():
        if node != ego:
            lost = whole & ~reachable(table, ego, node)
            lost[node] = False
            result |= lost
    return result


def scores(table: EdgeTable, ego: int, decay: Decay) -> Floats:
    """The exact counterpart of `Reputation.values`: unique-visit scores with connectivity decay, 0 for the ego."""
    values = unique_visits(table, ego, decay.alpha)
    values[ego] = 0.0
    if decay.beta:
        values[dominated(table, ego)] *= 1 - decay.beta
    return values
