"""The three decays of MeritRank (arXiv 2207.09950, section IV)."""

import math
from dataclasses import dataclass

from overlay.meritrank.errors import InvalidDecay

# A walk longer than L steps has probability (1-alpha)^L. At alpha = 0.01 the longest walk that a 53-bit uniform
# number can draw has 36.7/0.01 = 3,655 steps, so memory per walk stays bounded.
MIN_ALPHA = 0.01
MAX_ALPHA = 0.99
# Chosen from the attack experiment and the ranking of known cheaters; docs/reputation.md shows both tables.
DEFAULT_ALPHA = 0.15
DEFAULT_BETA = 0.5
DEFAULT_GAMMA = 0.0


def _check(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidDecay(name, value, "a decay is a finite number")
    if not low <= value <= high:
        raise InvalidDecay(name, value, f"it lies between {low} and {high}")


@dataclass(frozen=True, slots=True)
class Decay:
    """How fast trust fades. Raises InvalidDecay.

    alpha: transitivity decay, the probability that a walk stops at each step, 0.01..0.99.
    beta: connectivity decay, 0..1: a target that is reached only through one single intermediary keeps 1-beta.
    gamma: epoch decay, 0..1: feedback loses this share of its weight with each epoch of age. Zero by default:
        Sybils vouch for one another anew in every epoch at no cost, so only honest feedback grows old.
    """

    alpha: float = DEFAULT_ALPHA
    beta: float = DEFAULT_BETA
    gamma: float = DEFAULT_GAMMA

    def __post_init__(self) -> None:
        _check("alpha", self.alpha, MIN_ALPHA, MAX_ALPHA)
        _check("beta", self.beta, 0.0, 1.0)
        _check("gamma", self.gamma, 0.0, 1.0)

    def gain_bound(self) -> float:
        """What all Sybils behind one attacker can have together, as a multiple of the attacker's own score.

        (1-alpha)/alpha expected steps remain after the first visit, and (1-beta) of what one node dominates.
        """
        return (1 - self.alpha) / self.alpha * (1 - self.beta)
