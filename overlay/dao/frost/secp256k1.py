"""The arithmetic of secp256k1 on bytes, for resharing: scalars are big-endian, elements compressed points.

Scalars may be secret and go through libsecp256k1's constant-time calls; that a scalar is zero is not hidden, because
no secret is. Products of elements take a variable time: their scalars are public.
"""

from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.group import INFINITY_BYTES, POINT_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.scalars import ORDER, SCALAR_BYTES, scalar_from_bytes, scalar_to_bytes
from overlay.dao.frost.secret import Secret

_ZERO: Final = bytes(SCALAR_BYTES)


@dataclass(frozen=True, slots=True)
class Secp256k1:
    """An `Arithmetic`; see there."""

    order: int = ORDER
    element_bytes: int = POINT_BYTES
    identity: bytes = INFINITY_BYTES

    def check_scalar(self, raw: bytes) -> bytes:
        scalar_from_bytes(raw)
        return raw

    def check_element(self, raw: bytes) -> bytes:
        return Point.parse(raw).to_bytes()

    def scalar(self, value: int) -> bytes:
        return scalar_to_bytes(value)

    def scalar_add(self, left: bytes, right: bytes) -> bytes:
        if _ZERO in (left, right):
            return left if right == _ZERO else right
        try:
            return (Secret(left) + Secret(right)).to_bytes()
        except ArithmeticError:
            return _ZERO

    def scalar_sub(self, left: bytes, right: bytes) -> bytes:
        return left if right == _ZERO else self.scalar_add(left, (-Secret(right)).to_bytes())

    def scalar_mul(self, left: bytes, right: bytes) -> bytes:
        return _ZERO if _ZERO in (left, right) else (Secret(left) * Secret(right)).to_bytes()

    def element_add(self, left: bytes, right: bytes) -> bytes:
        return (Point.parse_extended(left) + Point.parse_extended(right)).to_bytes()

    def element_mul(self, scalar: bytes, element: bytes) -> bytes:
        return (scalar_from_bytes(scalar) * Point.parse_extended(element)).to_bytes()

    def base_mul(self, scalar: bytes) -> bytes:
        return self.identity if scalar == _ZERO else Secret(scalar).point().to_bytes()

    def hash_to_scalar(self, domain: str, *parts: bytes) -> bytes:
        return Secret.from_hash(tagged_hash(f"counterfoil/{domain}", *parts)).to_bytes()


SECP256K1: Final = Secp256k1()
