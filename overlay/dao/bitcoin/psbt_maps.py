"""The maps that a PSBT consists of (BIP174): records of a key and a value, and a zero byte behind the last."""

from collections.abc import Iterable, Set

# Compact sizes: up to here in the byte itself, from here on in 2, 4 or 8 bytes behind a mark.
LAST_SHORT = 0xFC
MARKS = {0xFD: 2, 0xFE: 4, 0xFF: 8}
END = b"\x00"

Map = dict[bytes, bytes]


class InvalidPsbt(ValueError):
    """Bytes that are no PSBT for a treasury, or one of something else; one clear sentence."""


class Reader:
    """Reads maps out of `raw`, from `position` on; every method raises InvalidPsbt."""

    def __init__(self, raw: bytes, position: int) -> None:
        self._raw, self._position = raw, position

    def map(self, known: Set[int], single: Set[int]) -> Map:
        """The next map by whole keys. Fields outside `known` are refused; `single` ones have a bare key."""
        found: Map = {}
        while length := self._size():
            key = self._take(length)
            if key in found or key[0] not in known or (key[0] in single and length > 1):
                raise InvalidPsbt(f"field {key[0]:#04x} of the partially signed transaction is not as it may be")
            found[key] = self._take(self._size())
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if self._position != len(self._raw):
            raise InvalidPsbt("something follows the partially signed transaction")

    def _take(self, length: int) -> bytes:
        taken = self._raw[self._position : self._position + length]
        if len(taken) < length:
            raise InvalidPsbt("the partially signed transaction ends too early")
        self._position += length
        return taken

    def _size(self) -> int:
        first = self._take(1)[0]
        if first <= LAST_SHORT:
            return first
        encoded = self._take(MARKS[first])
        number = int.from_bytes(encoded, "little")
        if compact_size(number) != bytes([first]) + encoded:
            raise InvalidPsbt("a length in the partially signed transaction is longer than it needs to be")
        return number


def write_map(fields: Iterable[tuple[int, bytes]]) -> bytes:
    """A map of fields with bare keys."""
    records = (compact_size(1) + bytes([field]) + compact_size(len(value)) + value for field, value in fields)
    return b"".join(records) + END


def compact_size(number: int) -> bytes:
    """`number` in as few bytes as it needs."""
    if number <= LAST_SHORT:
        return bytes([number])
    mark, width = next((mark, width) for mark, width in MARKS.items() if number < 1 << 8 * width)
    return bytes([mark]) + number.to_bytes(width, "little")
