"""Reading messages of key generation: the length is checked first, then field after field, each with its own error."""

from collections.abc import Iterable
from typing import Final

from overlay.dao.frost.errors import MsgLengthError, MsgParseError
from overlay.dao.frost.group import POINT_BYTES, Point
from overlay.dao.frost.scalars import SCALAR_BYTES, scalar_from_bytes, scalar_to_bytes

COUNT_BYTES: Final = 4


class Reader:
    """A message of a known length, read from its start."""

    def __init__(self, raw: bytes, expected: int) -> None:
        """Raises MsgLengthError where `raw` is not `expected` bytes long."""
        if len(raw) != expected:
            raise MsgLengthError(f"the message is {len(raw)} bytes long instead of {expected}")
        self._rest = memoryview(raw)

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return taken

    def chunks(self, count: int, size: int) -> tuple[bytes, ...]:
        """The next `count` strings of `size` bytes each."""
        return tuple(self.take(size) for _ in range(count))

    def points(self, count: int, what: str) -> tuple[Point, ...]:
        """The next `count` points, infinity allowed; raises MsgParseError, which names them as `what`."""
        try:
            return tuple(Point.parse_extended(raw) for raw in self.chunks(count, POINT_BYTES))
        except ValueError as error:
            raise MsgParseError(f"the message has an invalid {what}") from error

    def scalars(self, count: int, what: str) -> tuple[int, ...]:
        """The next `count` PUBLIC scalars (ciphertexts); raises MsgParseError, which names them as `what`."""
        try:
            return tuple(scalar_from_bytes(raw) for raw in self.chunks(count, SCALAR_BYTES))
        except ValueError as error:
            raise MsgParseError(f"the message has an invalid {what}") from error


def count_bytes(count: int) -> bytes:
    """A threshold or a participant number as 4 big-endian bytes."""
    return count.to_bytes(COUNT_BYTES, "big")


def points_bytes(points: Iterable[Point]) -> bytes:
    return b"".join(point.to_bytes() for point in points)


def scalars_bytes(scalars: Iterable[int]) -> bytes:
    return b"".join(map(scalar_to_bytes, scalars))
