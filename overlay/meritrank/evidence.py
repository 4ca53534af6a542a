"""What blocks say, what a weight may be, and the note of what changed."""

from typing import NamedTuple

from overlay.meritrank.errors import InvalidWeight

# The node where walks of members without feedback end.
SINK = 0
# One block says at most this much: a 64-bit amount in millionths (2^84) with room to spare. Any number of blocks
# may stand behind an edge.
MAX_WEIGHT = 2**100


class Evidence(NamedTuple):
    """One block's word: `weight` units reached `receiver` from `provider` (node ids) in `epoch`."""

    receiver: int
    provider: int
    weight: int
    epoch: int


class Changes:
    """The edges that changed since they were last taken: {receiver: {provider: weight before}}."""

    __slots__ = ("__weakref__", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, dict[int, int]] = {}

    def note(self, receiver: int, provider: int, before: int) -> None:
        """An edge changes; only its weight before the first change counts."""
        row = self.rows.get(receiver)
        if row is None:
            self.rows[receiver] = {provider: before}
        else:
            row.setdefault(provider, before)

    def take(self) -> dict[int, dict[int, int]]:
        """Hand over what was noted and start anew."""
        rows, self.rows = self.rows, {}
        return rows


def checked_weight(weight: object, least: int) -> int:
    """`weight` if it is a whole number from `least` to MAX_WEIGHT; raises InvalidWeight (NaN and infinity too)."""
    if isinstance(weight, bool) or not isinstance(weight, int):
        raise InvalidWeight(weight, "a weight is a whole number")
    if weight < least:
        raise InvalidWeight(weight, f"a weight is at least {least}; nothing lowers another's score")
    if weight > MAX_WEIGHT:
        raise InvalidWeight(weight, f"a weight is at most {MAX_WEIGHT}")
    return weight
