"""The content folder: complete files, unfinished ones, and a small record for each.

    complete/<sha256>.<ext>      checked against its SHA-256 and on disk before it got here
    complete/<infohash>.record   its torrent and who delivered it
    incoming/<sha256>.<ext>      what libtorrent is still filling
    incoming/<infohash>.partial  where to go on after a restart

A record is written after its file is in place: what has no record does not count as there and is fetched again.
Every function here touches the disk and raises FolderError; the slow ones belong in a thread.
"""

import hashlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from overlay.content.disk import drop, folder_errors, replace, write_synced
from overlay.content.errors import WrongContent
from overlay.content.torrent import CONTENT_LIMIT, METADATA_LIMIT, PIECES_LIMIT, Torrent, file_name
from overlay.files import sync_folder

# A record holds the metadata twice, 32 bytes of hash for each piece, and about 60 bytes for each remote.
REMOTES_LIMIT = 4096
RECORD_LIMIT = 2 * METADATA_LIMIT + 32 * PIECES_LIMIT + 60 * REMOTES_LIMIT + 1024
# libtorrent's resume data holds whole hash trees: 32 bytes for each 16 KiB of 2 GiB are 4 MiB, twice that with the
# inner nodes; a partial also holds the counters.
PARTIAL_LIMIT = 9 * 1024**2 + 60 * REMOTES_LIMIT

Received = dict[str, Annotated[int, msgspec.Meta(ge=0, le=CONTENT_LIMIT)]]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A complete content: its torrent, and the verified bytes that each remote delivered.

    Of a content that was `forgotten` only the counters matter: nobody earns again by delivering it again.
    """

    torrent: Torrent
    received: Received
    forgotten: bool = False


class Partial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An unfinished content: libtorrent's resume data, and the verified bytes that each remote delivered so far."""

    size: int
    resume: bytes
    received: Received


Kept = TypeVar("Kept", Record, Partial)


class ContentFolder:
    """Paths, records and durable moves below one root."""

    def __init__(self, root: Path) -> None:
        self.complete = root / "complete"
        self.incoming = root / "incoming"
        self._intake = itertools.count()
        for part in (self.complete, self.incoming):
            with folder_errors(part):
                part.mkdir(parents=True, exist_ok=True)

    def write_record(self, record: Record) -> None:
        replace(self._record_path(record.torrent.content.infohash), msgspec.msgpack.encode(record))

    def read_record(self, infohash: str) -> Record | None:
        """The record of a complete content; None where there is none, or it is damaged."""
        return _read(self._record_path(infohash), Record, RECORD_LIMIT)

    def recorded(self) -> list[str]:
        """Infohashes of all records, damaged or not."""
        return _stems(self.complete, ".record")

    def write_partial(self, infohash: str, partial: Partial) -> None:
        replace(self._partial_path(infohash), msgspec.msgpack.encode(partial))

    def read_partial(self, infohash: str) -> Partial | None:
        """Where an earlier fetch stopped; None where there was none, or its trace is damaged."""
        return _read(self._partial_path(infohash), Partial, PARTIAL_LIMIT)

    def unfinished(self) -> list[str]:
        """Infohashes of all partials, damaged or not."""
        return _stems(self.incoming, ".partial")

    def drop_partial(self, infohash: str) -> None:
        drop(self._partial_path(infohash))

    def take_in(self, chunks: Iterable[bytes], extension: str) -> tuple[str, str, int]:
        """Put a new file among the complete ones, durably or not at all; its name, SHA-256 and size.

        Raises ValueError for an extension not allowed, or more bytes than CONTENT_LIMIT or none.
        """
        aside = self.incoming / f"intake-{next(self._intake)}"
        with folder_errors(aside):
            try:
                sha256, size = write_synced(aside, chunks)
                name = file_name(sha256, extension)
                aside.replace(self.complete / name)
            finally:
                aside.unlink(missing_ok=True)
        self.sync()
        return name, sha256, size

    def sync(self) -> None:
        """Make a move from incoming to complete durable."""
        for part in (self.complete, self.incoming):
            with folder_errors(part):
                sync_folder(part)

    def check_and_sync(self, infohash: str, name: str, sha256: str) -> None:
        """Read an incoming file whole and put it on disk for good; raises WrongContent."""
        path = self.incoming / name
        with folder_errors(path), path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            # Data written through libtorrent's descriptors belongs to the same file: one fsync covers it.
            os.fsync(file.fileno())
        if found != sha256:
            raise WrongContent(infohash, "the bytes that arrived do not have the stated SHA-256; they were deleted")

    def _record_path(self, infohash: str) -> Path:
        return self.complete / f"{infohash}.record"

    def _partial_path(self, infohash: str) -> Path:
        return self.incoming / f"{infohash}.partial"


def _read(path: Path, kind: type[Kept], limit: int) -> Kept | None:
    with folder_errors(path):
        if not path.exists() or path.stat().st_size > limit:
            return None
        raw = path.read_bytes()
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # msgspec lets the last two through
        return None


def _stems(folder: Path, suffix: str) -> list[str]:
    with folder_errors(folder):
        return sorted(path.stem for path in folder.glob("*" + suffix))
