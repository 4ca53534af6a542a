"""An append-only file of records that survives a crash at any byte.

The kernel keeps new blocks in memory until it is closed: killed, it would come back without them. So every block is
appended here, and on disk, before anybody is told of it. A record is its length (4 bytes, little-endian), the first
4 bytes of its SHA-256, and itself; a torn end is cut off when the file is opened.
"""

import hashlib
import os
from pathlib import Path

HEADER_BYTES = 8
# A block has at most 4,000,000 weight units, so no more bytes than that.
MAX_RECORD_BYTES = 4_000_000


class Journal:
    """The records of `path`, read once at opening (`records`), and a place to add more."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._file.seek(0)
        self.records, good = _read(self._file.read())
        self._file.truncate(good)

    def append(self, record: bytes) -> None:
        """Add a record; it is safe only after `sync`."""
        self._file.write(len(record).to_bytes(4, "little") + _checksum(record) + record)

    def sync(self) -> None:
        """On disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def replace(self, records: list[bytes]) -> None:
        """Forget everything, and keep only `records`."""
        self._file.truncate(0)
        for record in records:
            self.append(record)
        self.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _checksum(record: bytes) -> bytes:
    return hashlib.sha256(record).digest()[:4]


def _read(content: bytes) -> tuple[list[bytes], int]:
    """The whole records at the start of `content`, and where they end."""
    records, position = [], 0
    while record := _record_at(content, position):
        records.append(record)
        position += HEADER_BYTES + len(record)
    return records, position


def _record_at(content: bytes, position: int) -> bytes:
    """The record that begins at `position`, or nothing if it is torn or damaged."""
    length = int.from_bytes(content[position : position + 4], "little")
    start = position + HEADER_BYTES
    record = content[start : start + length]
    if length > MAX_RECORD_BYTES or len(record) < length:
        return b""
    return record if _checksum(record) == content[position + 4 : start] else b""
