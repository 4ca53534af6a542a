"""The data folder of one node: its key, its lock, and the mark of the place where it last ran (docs/ledger.md)."""

import contextlib
import fcntl
import functools
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from overlay import keys
from overlay.clock import Randomness
from overlay.files import remove_unfinished, write_file
from overlay.keys import Identity, InvalidKey, PublicKey
from overlay.node import vault
from overlay.node.vault import NoPassphrase, Passphrase, Work

KEY_FILE, LOCK_FILE, PLACE_FILE, LEDGER_FILE = "identity.key", "lock", "place", "ledger.db"
TOKEN_FILE, REST_FILE = "rest.token", "rest.json"

# The mark of a folder that was restored from a backup: no place has it, so it fits nowhere.
RESTORED = "restored from a backup"


class FolderInUse(OSError):
    """Another process runs on this data folder."""


class UnusableFolder(OSError):
    """The data folder cannot be made, read or written."""


def nobody_to_ask() -> str:
    """What a node does that is started by a program."""
    raise NoPassphrase("this identity is protected by a passphrase, and none was given")


class DataFolder:
    """One node's folder, locked while the object lives. Raises FolderInUse, UnusableFolder, InvalidKey."""

    def __init__(self, path: Path, random: Randomness, passphrase: Passphrase = nobody_to_ask) -> None:
        """Make the folder and its key where there is none; `passphrase` is called once, when it is first needed."""
        self.path, self.passphrase = path, functools.cache(passphrase)
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
        for name in (KEY_FILE, PLACE_FILE, TOKEN_FILE, REST_FILE):
            remove_unfinished(path / name)
        if not self.key_file.exists():
            keys.save(self.key_file, Identity.from_seed(random.bytes(keys.SECRET_BYTES)))
        self.token = self._token(random)

    @classmethod
    def of_a_node(cls, path: Path, random: Randomness, passphrase: Passphrase = nobody_to_ask) -> "DataFolder":
        """A folder on which a node has run before: nothing is made. Raises as well UnusableFolder where none has."""
        if not (path / KEY_FILE).exists():
            raise UnusableFolder(f"{path}: no node has ever run on this folder")
        return cls(path, random, passphrase)

    @functools.cached_property
    def identity(self) -> Identity:
        """The member; asks for the passphrase when the key is protected. Raises InvalidKey."""
        with self._named():
            return vault.open_identity(keys.read(self.key_file), self.passphrase)

    @property
    def public_key(self) -> PublicKey:
        """The member's key, which needs no passphrase. Raises InvalidKey."""
        with self._named():
            return vault.public_key_of(keys.read(self.key_file))

    @property
    def is_protected(self) -> bool:
        return vault.is_protected(keys.read(self.key_file))

    def protected_alike(self, identity: Identity, random: Randomness, work: Work) -> bytes:
        """The content of another folder's key file, behind the passphrase of this one where it has any."""
        return vault.protect(identity, self.passphrase(), work, random) if self.is_protected else identity.secret

    def rewrite_key(self, content: bytes) -> None:
        """Replace the content of the key file, protected or plain, at once; a place that fitted still fits."""
        fits = (self.path / PLACE_FILE).exists() and self.place_fits()
        write_file(self.key_file, content)
        if fits:
            self.mark_place()

    @property
    def key_file(self) -> Path:
        return self.path / KEY_FILE

    @property
    def ledger(self) -> Path:
        return self.path / LEDGER_FILE

    def place_fits(self) -> bool:
        """Whether the folder is where it last ran; a folder that never ran fits."""
        mark = self.path / PLACE_FILE
        return not mark.exists() or mark.read_text() == self._place()

    @property
    def is_restored(self) -> bool:
        """Whether the folder comes from a backup, and has not yet been found to be the newest."""
        mark = self.path / PLACE_FILE
        return mark.exists() and mark.read_text() == RESTORED

    def mark_place(self) -> None:
        """Remember this place as the one where the node runs."""
        write_file(self.path / PLACE_FILE, self._place().encode())

    def tell_rest(self, url: str) -> None:
        """Let the commands of the same user find the running node."""
        write_file(self.path / REST_FILE, url.encode())

    def close(self) -> None:
        (self.path / REST_FILE).unlink(missing_ok=True)
        os.close(self._lock)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of keys name the file."""
        try:
            yield
        except InvalidKey as error:
            sentence = str(error)
            named = sentence if sentence.startswith(str(self.path)) else f"{self.key_file}: {sentence}"
            raise type(error)(named) from error

    def _token(self, random: Randomness) -> str:
        path = self.path / TOKEN_FILE
        if not path.exists():
            write_file(path, random.bytes(32).hex().encode())
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


def is_inside(folder: Path, target: Path) -> bool:
    """Whether what is to be written lies in a data folder, where only the node writes."""
    return target.resolve().is_relative_to(folder.resolve())
