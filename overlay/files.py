"""Durable files: whole on disk and readable by their owner only, or not there at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, mode 0600, that takes the place of `path` when the block ends without an error. Raises OSError.

    It is made under a name that nobody could know before, so that no file or link which lies there is written to, and
    no mode of an earlier one is taken over.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:  # whatever it was, no half-written file stays; raised again
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Replace a small file at once or not at all; it is on disk when this returns. Raises OSError."""
    with replacing(path) as file:
        file.write(data)


def remove_unfinished(path: Path) -> None:
    """Delete what a kill in the middle of `replacing` has left beside `path`, if anything. Raises OSError."""
    for stray in path.parent.glob(f".{path.name}.*"):
        stray.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
