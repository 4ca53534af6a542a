"""The data folder of one node: its key, its lock, and the mark of the place where it last ran (DESIGN 3.3)."""

import fcntl
import hashlib
import os
import uuid
from pathlib import Path

from overlay import keys
from overlay.clock import Randomness
from overlay.keys import Identity

KEY_FILE, LOCK_FILE, PLACE_FILE, LEDGER_FILE = "identity.key", "lock", "place", "ledger.db"
TOKEN_FILE, REST_FILE = "rest.token", "rest.json"


class FolderInUse(OSError):
    """Another process runs on this data folder."""


class UnusableFolder(OSError):
    """The data folder cannot be made, read or written."""


class DataFolder:
    """One node's folder, locked while the object lives. Raises FolderInUse, UnusableFolder, InvalidKey."""

    def __init__(self, path: Path, random: Randomness) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UnusableFolder(f"{path}: the data folder cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise FolderInUse(f"{path}: another node runs on this data folder") from error
        self.identity = self._identity(random)
        self.token = self._token(random)

    @property
    def ledger(self) -> Path:
        return self.path / LEDGER_FILE

    def place_fits(self) -> bool:
        """Whether the folder is where it last ran; a folder that never ran fits."""
        mark = self.path / PLACE_FILE
        return not mark.exists() or mark.read_text() == self._place()

    def mark_place(self) -> None:
        """Remember this place as the one where the node runs."""
        _write(self.path / PLACE_FILE, self._place().encode())

    def tell_rest(self, url: str) -> None:
        """Let the commands of the same user find the running node."""
        _write(self.path / REST_FILE, url.encode())

    def close(self) -> None:
        (self.path / REST_FILE).unlink(missing_ok=True)
        os.close(self._lock)

    def _identity(self, random: Randomness) -> Identity:
        path = self.path / KEY_FILE
        if not path.exists():
            keys.save(path, Identity.from_seed(random.bytes(keys.SECRET_BYTES)))
        return keys.load(path)

    def _token(self, random: Randomness) -> str:
        path = self.path / TOKEN_FILE
        if not path.exists():
            _write(path, random.bytes(32).hex().encode())
        return path.read_text()

    def _place(self) -> str:
        """Machine, folder and file identity: a copy differs in at least one of them."""
        key = (self.path / KEY_FILE).stat()
        parts = (f"{uuid.getnode():012x}", str(self.path.resolve()), f"{key.st_dev}:{key.st_ino}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def running_node(path: Path) -> tuple[str, str] | None:
    """URL and token of the node that runs on a folder; None when none does."""
    rest, token = path / REST_FILE, path / TOKEN_FILE
    return (rest.read_text(), token.read_text()) if rest.exists() and token.exists() else None


def _write(path: Path, data: bytes) -> None:
    """Replace a small file, readable by its owner only, at once or not at all."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
