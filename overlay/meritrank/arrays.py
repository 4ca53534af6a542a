"""Array types and the few array idioms that several modules share."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Nodes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

_HALF = 16
_LOW = 0xFFFF


def group_by_node(nodes: Nodes, highest: int) -> Longs:
    """The stable order that sorts `nodes` (0..highest). 16-bit keys take NumPy's radix sort: 4-6 times faster."""
    order = np.argsort((nodes & _LOW).astype(np.uint16), kind="stable")
    if highest > _LOW:
        high = (nodes.take(order) >> _HALF).astype(np.uint16)
        order = order.take(np.argsort(high, kind="stable"))
    return order


def ranges(starts: Longs, lengths: Longs) -> Longs:
    """Concatenate starts[i] .. starts[i]+lengths[i]-1 for all i; every length is at least 1."""
    ends = np.cumsum(lengths)
    steps = np.ones(int(ends[-1]) if ends.size else 0, np.int64)
    if ends.size:
        steps[0] = starts[0]
        steps[ends[:-1]] = starts[1:] - starts[:-1] - lengths[:-1] + 1
    return np.cumsum(steps)


def grown(array: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """A copy of `array` with at least `size` places, the new ones zero; amortised doubling."""
    bigger = np.zeros(max(size, 2 * len(array)), array.dtype)
    bigger[: len(array)] = array
    return bigger
