"""Seeded randomness for walks: raw 64-bit words of a counter-based generator, cut into uniform numbers.

Philox's raw words are the same on every platform and in every NumPy (NEP 19 promises it for raw streams, not
for distributions), and [0, 1) is made from their top 53 bits by one exact multiplication.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from overlay.meritrank.arrays import Floats

_UNIT = 2.0**-53
_BLOCK = 4096


def derive(purpose: bytes, *parts: bytes) -> int:
    """A 128-bit Philox key from `parts`, each prefixed with its length so that no two inputs collide."""
    digest = hashlib.sha256(purpose)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return int.from_bytes(digest.digest()[:16], "big")


def _uniform(raw: NDArray[np.uint64]) -> Floats:
    return (raw >> np.uint64(11)).astype(np.float64) * _UNIT


class Draws:
    """A stream of uniform numbers in [0, 1) that can be stopped and resumed at any place.

    `position` counts the numbers drawn. Block b of 4,096 numbers is the stream of counter (b, 0), so resuming
    costs one block, not the whole past.
    """

    def __init__(self, key: int, position: int = 0) -> None:
        self._key = key
        self._block = -1
        self._numbers: Floats = np.empty(0)
        self._singles: list[float] = []
        self._next = 0
        self._enter(position // _BLOCK)
        self._next = position % _BLOCK

    @property
    def position(self) -> int:
        return self._block * _BLOCK + self._next

    def _enter(self, block: int) -> None:
        generator = np.random.Philox(key=self._key, counter=block << 128)
        self._numbers = _uniform(generator.random_raw(_BLOCK))
        self._singles = []
        self._block = block
        self._next = 0

    def few(self, count: int) -> list[float]:
        """The next `count` numbers as a list; cheaper than `take` up to some dozens."""
        begin = self._next
        if count > _BLOCK - begin:
            return list(self.take(count).tolist())
        if not self._singles:
            self._singles = self._numbers.tolist()
        self._next = begin + count
        return self._singles[begin : self._next]

    def take(self, count: int) -> Floats:
        """The next `count` numbers; read-only."""
        if count <= _BLOCK - self._next:
            self._next += count
            return self._numbers[self._next - count : self._next]
        parts = [self._numbers[self._next :]]
        count -= _BLOCK - self._next
        while count > 0:
            self._enter(self._block + 1)
            self._next = min(count, _BLOCK)
            parts.append(self._numbers[: self._next])
            count -= self._next
        return np.concatenate(parts)


def uniform(key: int, count: int) -> Floats:
    """`count` uniform numbers in one draw, from the stream of counter (0, 1): never part of a `Draws`."""
    return _uniform(np.random.Philox(key=key, counter=1 << 64).random_raw(count))
