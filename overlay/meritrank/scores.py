"""What a member is told: a score with its error, a rank with ties, and a limit."""

import math
from dataclasses import dataclass

import numpy as np

from overlay.meritrank.arrays import Floats, Longs

# Two-sided 95 % quantile of the normal distribution.
_Z = 1.959963984540054
# Where this many walks agree, fewer than 15 % go another way, with 95 % confidence: 0.86^20 = 0.05.
SURE_VISITS = 20


@dataclass(frozen=True, slots=True)
class Score:
    """The probability that a walk from the viewer ever visits the target, and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rank:
    """`place` counts from 1; `tied` members share it (1 = alone); `of` members have a score above zero.

    A member without a score has place `of` + 1 and is not counted in `of`.
    """

    place: int
    tied: int
    of: int


def wilson(hits: float, walks: int) -> tuple[float, float]:
    """Wilson's interval for the chance behind `hits` successes of `walks` independent trials."""
    share, spread = hits / walks, _Z * _Z / walks
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / walks + spread / (4 * walks))
    return max(0.0, centre - half), min(1.0, centre + half)


def score_of(hits: int, walks: int, kept: float = 1.0) -> Score:
    """The score of a target that `hits` of `walks` walks visited, times `kept` (1-beta when it is dominated).

    That few walks agree on an intermediary may be chance: then the upper end leaves the discount out.
    """
    low, high = wilson(hits, walks)
    low = 0.0 if hits == 0 else low
    high = 1.0 if hits == walks else high
    return Score(hits * kept / walks, low * kept, high * (kept if hits >= SURE_VISITS else 1.0))


def rank_of(value: float, values: Floats | Longs) -> Rank:
    """The rank of `value` among `values`, of which those above zero count."""
    if value <= 0:
        scored = int(np.count_nonzero(values > 0))
        return Rank(scored + 1, 0, scored)
    return Rank(
        int(np.count_nonzero(values > value)) + 1,
        int(np.count_nonzero(values == value)),
        int(np.count_nonzero(values > 0)),
    )


def weighted_score(factors: Floats, walks: int, largest: float, kept: float) -> Score:
    """The score when each visiting walk counts `factors[i]` instead of 1; `largest` bounds one step's factor.

    The interval is the normal one, but never narrower above than what no visit at all would leave open.
    """
    value = float(factors.sum()) / walks
    variance = max(0.0, float(np.square(factors).sum()) / walks - value * value)
    half = _Z * math.sqrt(variance / walks)
    high = max(value + half, wilson(0, walks)[1] * largest)
    return Score(min(1.0, value) * kept, max(0.0, value - half) * kept, min(1.0, high) * kept)
