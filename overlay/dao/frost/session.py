"""The session context of BIP-445: everything public that one signature depends on, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from overlay.dao.frost.bip340 import challenge
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.group import GENERATOR, POINT_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.scalars import scalar_from_hash
from overlay.dao.frost.signers import SignersContext
from overlay.dao.frost.tweak import TweakContext

AGGNONCE_BYTES: Final = 2 * POINT_BYTES


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What is signed, by whom, under which tweaked key and with which nonces; the same for all who take part.

    `aggnonce` is the 66-byte output of `nonce_agg`, `msg` any bytes, `tweaks` 32-byte scalars with their modes.
    Computed from these (`GetSessionValues`): `key` the tweaked key, `b` the nonce coefficient, `R` the final nonce,
    `e` the challenge.

    Raises ValueError for invalid tweaks, InvalidContributionError(None, "aggnonce") for a bad aggregate nonce.
    """

    signers: SignersContext
    aggnonce: bytes
    msg: bytes
    tweaks: Sequence[bytes] = ()
    is_xonly: Sequence[bool] = ()
    key: TweakContext = field(init=False, repr=False, compare=False)
    b: int = field(init=False, repr=False, compare=False)
    R: Point = field(init=False, repr=False, compare=False)
    e: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = TweakContext.after(self.signers.thresh_pk, self.tweaks, self.is_xonly)
        xonly = key.get_xonly_pubkey()
        R1, R2 = _parse_aggnonce(self.aggnonce)
        b = scalar_from_hash(
            tagged_hash("BIP0445/noncecoef", self.signers.serialize_ids(), self.aggnonce, xonly, self.msg)
        )
        R = R1 + b * R2
        if R.is_infinity:
            # Only a dishonest party brings this about. Signing goes on with G so that its partial signature,
            # which cannot be valid then, shows who it was.
            R = GENERATOR
        for name, value in (("tweaks", tuple(self.tweaks)), ("is_xonly", tuple(self.is_xonly)), ("key", key)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "b", b)
        object.__setattr__(self, "R", R)
        object.__setattr__(self, "e", challenge(R.to_xonly(), xonly, self.msg))

    def share_factor(self, index: int) -> int:
        """What the share of the signer at `index` is multiplied with: e * lambda * g * gacc."""
        return self.e * self.signers.weights[index] * self.key.sign() * self.key.gacc

    def verify_partial(self, s: int, nonce: tuple[Point, Point], index: int) -> bool:
        """Whether s * G = +-(R1 + b * R2) + e * lambda * g * gacc * P for the signer at `index`."""
        R1, R2 = nonce
        # The sign belongs to R; moved to the other two terms it costs no negation of a point.
        sign = 1 if self.R.has_even_y() else -1
        share = sign * self.share_factor(index) * self.signers.points[index]
        return Point.generated_by(sign * s) == Point.sum((R1, self.b * R2, share))


def _parse_aggnonce(aggnonce: bytes) -> tuple[Point, Point]:
    try:
        return Point.parse_extended(aggnonce[:POINT_BYTES]), Point.parse_extended(aggnonce[POINT_BYTES:])
    except ValueError as error:
        raise InvalidContributionError(None, "aggnonce") from error
