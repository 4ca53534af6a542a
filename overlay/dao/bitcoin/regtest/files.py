"""The data folder of the service: one process at a time, secrets for their owner only."""

import fcntl
from pathlib import Path
from typing import IO

from overlay.dao.bitcoin.regtest.errors import RegtestError


def lock(folder: Path) -> IO[bytes]:
    """Make `folder` and hold it until the returned file is closed; raises RegtestError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    except OSError as error:
        raise RegtestError(f"the regtest chain can't write into {folder}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise RegtestError(f"another process is using the regtest chain in {folder}") from error
    return file
