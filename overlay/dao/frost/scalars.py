"""PUBLIC scalars: plain integers modulo the order of secp256k1, and Lagrange interpolation over them.

Python's integers take a time that depends on their value. Whatever must stay secret is a
:class:`~overlay.dao.frost.secret.Secret` and never becomes an integer.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Final

ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""The number of points of secp256k1 (SEC 2, section 2.4.1)."""

SCALAR_BYTES: Final = 32


def scalar_from_bytes(raw: bytes) -> int:
    """Read 32 big-endian bytes; raises ValueError for another length or a value not below the order."""
    if len(raw) != SCALAR_BYTES:
        raise ValueError(f"a scalar is {SCALAR_BYTES} bytes, not {len(raw)}")
    value = int.from_bytes(raw, "big")
    if value >= ORDER:
        raise ValueError("a scalar must be below the order of the group")
    return value


def scalar_from_hash(digest: bytes) -> int:
    """Reduce a hash modulo the order (the BIPs' `scalar_from_bytes_wrapping`)."""
    return int.from_bytes(digest, "big") % ORDER


def scalar_to_bytes(value: int) -> bytes:
    """32 big-endian bytes of `value` modulo the order."""
    return (value % ORDER).to_bytes(SCALAR_BYTES, "big")


def batch_inverse(values: Sequence[int], modulus: int = ORDER) -> list[int]:
    """Inverses of nonzero `values` for one modular inversion and 3 products each (Montgomery's trick)."""
    prefixes = [1]
    for value in values:
        prefixes.append(prefixes[-1] * value % modulus)
    inverse = pow(prefixes[-1], -1, modulus)
    inverses = []
    for value, prefix in zip(reversed(values), reversed(prefixes[:-1]), strict=True):
        inverses.append(inverse * prefix % modulus)
        inverse = inverse * value % modulus
    return inverses[::-1]


def interpolating_values(places: Iterable[int], modulus: int = ORDER) -> list[int]:
    """Lagrange coefficients at zero for distinct nonzero `places`, in their order (RFC 9591, section 4.2).

    The coefficient of x is the product over the other y of y / (y - x), which equals
    (product of all) / (x * product of (y - x)): so one shared numerator and one batch inversion do.
    """
    xs = list(places)
    numerator = prod(xs) % modulus
    denominators = [x * prod(y - x for y in xs if y != x) % modulus for x in xs]
    return [numerator * inverse % modulus for inverse in batch_inverse(denominators, modulus)]
