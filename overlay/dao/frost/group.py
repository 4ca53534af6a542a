"""Points of secp256k1 over libsecp256k1: compressed and x-only forms, sums, products with PUBLIC scalars.

libsecp256k1 has no point at infinity; the BIPs do. Here infinity is an ordinary :class:`Point`, and every operation
says what it gives. Products take a variable time, so their scalar must be public: a secret scalar has its own type
(:class:`~overlay.dao.frost.secret.Secret`) with constant-time operations.
"""

from collections.abc import Iterable
from typing import Final

import coincurve

from overlay.dao.frost.scalars import ORDER, SCALAR_BYTES

POINT_BYTES: Final = 33
XONLY_BYTES: Final = 32
INFINITY_BYTES: Final = bytes(POINT_BYTES)
"""How the BIPs write the point at infinity where it is allowed (`cbytes_ext`)."""


class Point:
    """An element of the group; immutable, comparable, hashable."""

    __slots__ = ("_encoded", "key")

    def __init__(self, key: coincurve.PublicKey | None, encoded: bytes | None = None) -> None:
        """`key` None is infinity; `encoded` spares a serialisation where the bytes are already at hand."""
        self.key: Final = key
        self._encoded = encoded

    @classmethod
    def parse(cls, raw: bytes) -> "Point":
        """Read 33 compressed bytes; raises ValueError for anything else, infinity included (`cpoint`)."""
        if len(raw) != POINT_BYTES:
            raise ValueError(f"a point is {POINT_BYTES} bytes, not {len(raw)}")
        raw = bytes(raw)
        return cls(coincurve.PublicKey(raw), raw)

    @classmethod
    def parse_extended(cls, raw: bytes) -> "Point":
        """Like `parse`, but 33 zero bytes are infinity (`cpoint_ext`)."""
        return INFINITY if raw == INFINITY_BYTES else cls.parse(raw)

    @classmethod
    def lift_x(cls, raw: bytes) -> "Point":
        """The point of even y with this 32-byte x; raises ValueError where the curve has none."""
        if len(raw) != XONLY_BYTES:
            raise ValueError(f"an x-only key is {XONLY_BYTES} bytes, not {len(raw)}")
        return cls.parse(b"\x02" + raw)

    @classmethod
    def generated_by(cls, scalar: int) -> "Point":
        """`scalar` times the generator, for a PUBLIC scalar."""
        scalar %= ORDER
        if scalar == 0:
            return INFINITY
        return cls(coincurve.PublicKey.from_valid_secret(scalar.to_bytes(SCALAR_BYTES, "big")))

    @classmethod
    def sum(cls, points: Iterable["Point"]) -> "Point":
        """The sum of any number of points, in one call; infinity for none."""
        keys = [point.key for point in points if point.key is not None]
        if not keys:
            return INFINITY
        try:
            return cls(coincurve.PublicKey.combine_keys(keys))
        except ValueError:
            # All summands are valid points, so the library can only mean that they cancel out.
            return INFINITY

    @property
    def is_infinity(self) -> bool:
        return self.key is None

    def to_bytes(self) -> bytes:
        """33 compressed bytes, zeros for infinity (`cbytes_ext`)."""
        if self._encoded is None:
            self._encoded = INFINITY_BYTES if self.key is None else self.key.format()
        return self._encoded

    def to_xonly(self) -> bytes:
        """The 32-byte x coordinate; raises ValueError for infinity, which has none."""
        return self._finite()[1:]

    def has_even_y(self) -> bool:
        """Whether y is even; raises ValueError for infinity."""
        return self._finite()[0] == 2

    def with_even_y(self) -> "Point":
        """This point or its negation, whichever has even y; raises ValueError for infinity."""
        return self if self.has_even_y() else -self

    def _finite(self) -> bytes:
        if self.key is None:
            raise ValueError("the point at infinity has no coordinates")
        return self.to_bytes()

    def __add__(self, other: "Point") -> "Point":
        return Point.sum((self, other))

    def __neg__(self) -> "Point":
        if self.key is None:
            return self
        encoded = self.to_bytes()
        return Point.parse(bytes([encoded[0] ^ 1]) + encoded[1:])

    def __sub__(self, other: "Point") -> "Point":
        return self + -other

    def __rmul__(self, scalar: int) -> "Point":
        """`scalar * point` for a PUBLIC scalar of any sign."""
        scalar %= ORDER
        if scalar == 0 or self.key is None:
            return INFINITY
        return Point(self.key.multiply(scalar.to_bytes(SCALAR_BYTES, "big")))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def __repr__(self) -> str:
        return f"Point({self.to_bytes().hex()})"


INFINITY: Final = Point(None)
GENERATOR: Final = Point.generated_by(1)
