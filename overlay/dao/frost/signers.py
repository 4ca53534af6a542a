"""The signers context of BIP-445: which t-of-n key, which of its holders sign this time, and their Lagrange weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from overlay.dao.frost.group import Point
from overlay.dao.frost.scalars import interpolating_values

ID_BYTES: Final = 4
MAX_PARTICIPANTS: Final = 2 ** (8 * ID_BYTES) - 1


@dataclass(frozen=True, slots=True)
class SignersContext:
    """Public data of one set of signers, checked when it is made; share it among any number of sessions.

    `ids` are distinct participant numbers in 0..n-1 (their place in key generation), `pubshares` their 33-byte public
    shares in the same order, `thresh_pk` the 33-byte threshold public key.

    Raises ValueError where counts or ids are out of bounds, a pubshare is no point, or the pubshares do not
    interpolate to the threshold public key (`ValidateSignersCtx`). For u signers that is u products of points
    (`experiments.frost_speed` times it).
    """

    n: int
    t: int
    ids: Sequence[int]
    pubshares: Sequence[bytes]
    thresh_pk: bytes
    points: tuple[Point, ...] = field(init=False, repr=False, compare=False)
    weights: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = tuple(self.ids)
        _check_counts(self.n, self.t, len(ids), len(self.pubshares))
        _check_ids(ids, self.n)
        points = _parse_pubshares(self.pubshares)
        weights = tuple(interpolating_values([signer + 1 for signer in ids]))
        combined = Point.sum(weight * point for weight, point in zip(weights, points, strict=True))
        if combined.is_infinity or combined.to_bytes() != self.thresh_pk:
            raise ValueError("the public shares do not make up the threshold public key")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "pubshares", tuple(self.pubshares))
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "weights", weights)

    def index(self, participant: int) -> int:
        """Where this participant stands among the signers; raises ValueError when it is none of them."""
        try:
            return self.ids.index(participant)
        except ValueError as error:
            raise ValueError(f"participant {participant} is not one of the signers") from error

    def serialize_ids(self) -> bytes:
        """The ids in ascending order, 4 bytes each.

        Sorted, because the order in which signers are listed must not change what is signed: a deterministic signer
        who made one nonce for three orders of one set would give its share away.
        """
        return b"".join(signer.to_bytes(ID_BYTES, "big") for signer in sorted(self.ids))


def _check_counts(n: int, t: int, signers: int, pubshares: int) -> None:
    if not 1 <= t <= n <= MAX_PARTICIPANTS:
        raise ValueError(f"a threshold of {t} does not fit {n} participants")
    if not t <= signers <= n:
        raise ValueError(f"{signers} signers are not between the threshold {t} and {n}")
    if signers != pubshares:
        raise ValueError(f"there are {signers} signers but {pubshares} public shares")


def _check_ids(ids: tuple[int, ...], n: int) -> None:
    if len(set(ids)) != len(ids):
        raise ValueError("a signer is listed twice")
    for index, signer in enumerate(ids):
        if not 0 <= signer < n:
            raise ValueError(f"the signer at index {index} has an id outside 0..{n - 1}")


def _parse_pubshares(pubshares: Sequence[bytes]) -> tuple[Point, ...]:
    points = []
    for index, pubshare in enumerate(pubshares):
        try:
            points.append(Point.parse(pubshare))
        except ValueError as error:
            raise ValueError(f"the public share at index {index} is not a point") from error
    return tuple(points)
