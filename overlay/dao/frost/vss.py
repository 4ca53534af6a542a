"""Feldman's verifiable secret sharing, as ChillDKG uses it: a secret polynomial and commitments to its coefficients."""

from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.group import INFINITY, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.scalars import scalar_from_bytes
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.wire import count_bytes, points_bytes

BIP_TAG: Final = "BIP DKG/"
"""Begins every tag of ChillDKG."""


@dataclass(frozen=True, slots=True)
class VSSCommitment:
    """Commitments to the t coefficients of a polynomial, constant term first.

    Infinity is allowed: otherwise one participant could choose its commitment so that the sum of all is invalid.
    """

    points: tuple[Point, ...]

    def to_bytes(self) -> bytes:
        return points_bytes(self.points)

    def secret(self) -> Point:
        """The commitment to the shared secret."""
        return self.points[0]

    def nonconst_terms(self) -> tuple[Point, ...]:
        return self.points[1:]

    def pubshare(self, participant: int) -> Point:
        """The public share of this participant: the committed polynomial at participant + 1, by Horner's rule.

        Horner multiplies by the small number participant + 1 only, which libsecp256k1 does in a fraction of the time
        that a full-size power would take.
        """
        value = INFINITY
        for point in reversed(self.points):
            value = (participant + 1) * value + point
        return value

    def pubshares(self, n: int) -> list[Point]:
        """The public shares of participants 0..n-1."""
        return [self.pubshare(participant) for participant in range(n)]

    def invalid_taproot_commit(self) -> tuple["VSSCommitment", int]:
        """The commitment whose secret has no spendable script path, and the tweak that shares need to match it.

        Adds the BIP341 tweak of an empty script tree to the secret. Without it a malicious participant could smuggle
        a script path of its own into the sum of all commitments, and later spend alone.
        Raises ValueError where the secret is committed to as infinity.
        """
        tweak = scalar_from_bytes(tagged_hash("TapTweak", self.secret().to_xonly()))
        return VSSCommitment((self.secret() + Point.generated_by(tweak), *self.nonconst_terms())), tweak


@dataclass(frozen=True, slots=True)
class VSS:
    """A secret polynomial of degree t - 1; its value at i + 1 is the share of participant i."""

    coefficients: tuple[Secret, ...]

    @classmethod
    def generate(cls, seed: bytes, t: int) -> "VSS":
        """Derive the polynomial from a 32-byte seed."""
        return cls(tuple(Secret(tagged_hash(BIP_TAG + "vss coeffs", seed, count_bytes(i))) for i in range(t)))

    def secret(self) -> Secret:
        """The value at 0."""
        return self.coefficients[0]

    def secshare(self, participant: int) -> Secret:
        """The share of this participant, by Horner's rule."""
        value = self.coefficients[-1] * 1
        for coefficient in reversed(self.coefficients[:-1]):
            value.multiply(participant + 1)
            value.add(coefficient)
        return value

    def secshares(self, n: int) -> list[Secret]:
        """The shares of participants 0..n-1."""
        return [self.secshare(participant) for participant in range(n)]

    def commit(self) -> VSSCommitment:
        return VSSCommitment(tuple(coefficient.point() for coefficient in self.coefficients))
