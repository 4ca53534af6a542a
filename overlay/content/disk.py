"""Durable files: whole on disk or not there at all, and the system's errors turned into ours."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from overlay.content.errors import FolderError
from overlay.content.torrent import CONTENT_LIMIT
from overlay.files import sync_folder

READ_BYTES = 1024**2


@contextmanager
def folder_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors about `path` into FolderError."""
    try:
        yield
    except OSError as error:
        raise FolderError(path, error.strerror or str(error)) from error


def drop(path: Path) -> None:
    """Delete a file, if it is there."""
    with folder_errors(path):
        path.unlink(missing_ok=True)


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: aside, to disk, then over the old one."""
    aside = path.with_name(path.name + ".new")
    with folder_errors(path):
        try:
            write_synced(aside, [data])
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(path.parent)


def read_chunks(path: Path) -> Iterator[bytes]:
    """A user's file, a MiB at a time; raises ValueError that names it where it cannot be read."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                yield chunk
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def write_synced(path: Path, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write a file to disk; its SHA-256 and size. Raises ValueError if it is empty or too large, OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if size > CONTENT_LIMIT:
                break
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if not 0 < size <= CONTENT_LIMIT:
        raise ValueError(f"a content has 1 to {CONTENT_LIMIT} bytes; this one has {'more' if size else 'none'}")
    return digest.hexdigest(), size
