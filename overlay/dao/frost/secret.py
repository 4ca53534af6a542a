"""SECRET scalars: shares, nonces and keys, computed with in constant time and erased when they are used up.

All arithmetic is libsecp256k1's, whose secret-key functions do not branch on their operands. coincurve's own
`PrivateKey` would compute a public key after every addition, hundreds of times the work asked for, and it keeps its
scalar in immutable `bytes` that nobody can erase; so these few calls go to the library that coincurve has loaded.
"""

from typing import Final, NoReturn

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT
from coincurve.keys import PublicKey

from overlay.dao.frost.group import Point
from overlay.dao.frost.scalars import SCALAR_BYTES, scalar_to_bytes

_CONTEXT: Final = GLOBAL_CONTEXT.ctx


class Secret:
    """A scalar between 1 and order - 1 that nobody else may learn. It is never shown, compared or pickled."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """Take 32 big-endian bytes; raises ValueError for another length, for zero and from the order on."""
        self._raw = ffi.new("unsigned char[32]")
        if len(raw) != SCALAR_BYTES:
            raise ValueError(f"a secret scalar is {SCALAR_BYTES} bytes, not {len(raw)}")
        ffi.memmove(self._raw, raw, SCALAR_BYTES)
        if not lib.secp256k1_ec_seckey_verify(_CONTEXT, self._raw):
            raise ValueError("a secret scalar is out of range")

    @classmethod
    def from_hash(cls, digest: bytes) -> "Secret":
        """Reduce a hash modulo the order; raises ValueError where that gives zero, which no hash will.

        Only a digest from the order on (a chance of 2^-127) takes the way through an integer.
        """
        try:
            return cls(digest)
        except ValueError:
            return cls(scalar_to_bytes(int.from_bytes(digest, "big")))

    def _copy(self) -> "Secret":
        other = Secret.__new__(Secret)
        other._raw = ffi.new("unsigned char[32]")
        ffi.memmove(other._raw, self._raw, SCALAR_BYTES)
        return other

    def add(self, other: "Secret | int") -> None:
        """Add in place; raises ArithmeticError where the sum is zero, as no sum of independent secrets is."""
        if not lib.secp256k1_ec_seckey_tweak_add(_CONTEXT, self._raw, _operand(other)):
            raise ArithmeticError("secret scalars cancelled out")

    def multiply(self, other: "Secret | int") -> None:
        """Multiply in place; raises ArithmeticError for a factor of zero."""
        if not lib.secp256k1_ec_seckey_tweak_mul(_CONTEXT, self._raw, _operand(other)):
            raise ArithmeticError("a secret scalar was multiplied by zero")

    def __add__(self, other: "Secret | int") -> "Secret":
        result = self._copy()
        result.add(other)
        return result

    def __mul__(self, other: "Secret | int") -> "Secret":
        result = self._copy()
        result.multiply(other)
        return result

    def __neg__(self) -> "Secret":
        result = self._copy()
        lib.secp256k1_ec_seckey_negate(_CONTEXT, result._raw)
        return result

    def __sub__(self, other: "Secret") -> "Secret":
        return self + -other

    def point(self) -> Point:
        """This scalar times the generator."""
        return Point(PublicKey.from_valid_secret(ffi.buffer(self._raw)[:]))

    def ecdh(self, point: Point) -> bytes:
        """SHA-256 of the compressed product of this scalar and a finite `point` (libsecp256k1's ECDH hash)."""
        if point.key is None:
            raise ValueError("no key can be agreed on with the point at infinity")
        shared = ffi.new("unsigned char[32]")
        lib.secp256k1_ecdh(_CONTEXT, shared, point.key.public_key, self._raw, ffi.NULL, ffi.NULL)
        digest: bytes = ffi.buffer(shared)[:]
        return digest

    def to_bytes(self) -> bytes:
        """The 32 bytes themselves: for storage, for hashing, or where the result is meant to be published."""
        raw: bytes = ffi.buffer(self._raw)[:]
        return raw

    def wipe(self) -> None:
        """Overwrite with zeros. Every later operation fails. Happens of itself when nobody refers to it any more."""
        ffi.buffer(self._raw)[:] = bytes(SCALAR_BYTES)

    __del__ = wipe

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret scalar cannot be copied or pickled")


def _operand(value: "Secret | int") -> object:
    return value._raw if isinstance(value, Secret) else scalar_to_bytes(value)
