r"""Encrypted backups: the identity, the configuration and the ledger of one node in one file.

    "COUNTERFOIL BACKUP 1\n" | operations u32 | memory in bytes u64 | salt 16 | stream header 24 | chunks

Argon2id makes the key from a passphrase (`vault`). The chunks are libsodium's secretstream (XChaCha20-Poly1305) over
pieces of 65,536 bytes, each 17 bytes longer; everything before them is the associated data of the first, and the last
carries the tag FINAL, so that a shortened, extended or altered file is never taken for a whole one. Inside, for each
file: length of its name u16, name, length u64, content; in this order: identity.key, config.toml where there is one,
ledger.db. Integers are big-endian. The identity file is as it was: where a passphrase protects it, it still does.

A restored folder is marked, so that its node signs nothing before other members have told it its own newest statement
(`guard`): a backup is nearly always older than what its node has signed since. Shares of group keys are in it, as they
follow from the identity and the recovery data in the ledger. Pictures are not: they are fetched again.
"""

import contextlib
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import nacl.bindings as sodium
import nacl.exceptions

from overlay.files import replacing, sync_folder, write_file
from overlay.keys import InvalidKey, short
from overlay.node import vault
from overlay.node.books import reading
from overlay.node.config import CONFIG_FILE, MAX_CONFIG_BYTES
from overlay.node.folder import KEY_FILE, LEDGER_FILE, PLACE_FILE, RESTORED, is_inside
from overlay.node.vault import Passphrase, Work
from overlay.trustchain import block_tables

MAGIC = b"COUNTERFOIL BACKUP 1\n"
CHUNK = 65_536
HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
OVERHEAD = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
# What each file in a backup may have at most; a ledger is as large as the disk that takes it.
LIMITS = {KEY_FILE: 4_096, CONFIG_FILE: MAX_CONFIG_BYTES, LEDGER_FILE: 1 << 40}
_NAME_LENGTH, _LENGTH = struct.Struct(">H"), struct.Struct(">Q")
_HEAD_BYTES = len(MAGIC) + Work.SIZE + HEADER_BYTES


class BadBackup(Exception):
    """A backup that cannot be written or restored; one sentence says why, and nothing was left half done."""


# Writing -------------------------------------------------------------------------------------------------------------


def write(folder: Path, to: Path, passphrase: Passphrase, work: Work) -> int:
    """Write a backup of a data folder, on which a node may run; returns its size in bytes. Raises BadBackup,
    InvalidKey, StorageError."""
    if not (folder / KEY_FILE).exists():
        raise BadBackup(f"{folder}: no node has ever run on this folder")
    if is_inside(folder, to):
        raise BadBackup(f"{to}: this is inside the data folder; keep a backup where the folder's loss does not take it")
    key = work.key(passphrase())
    try:
        with tempfile.TemporaryDirectory(prefix="backup", dir=folder) as place:
            ledger = _copy_ledger(folder / LEDGER_FILE, Path(place) / LEDGER_FILE)
            files = [each for each in (folder / KEY_FILE, folder / CONFIG_FILE, ledger) if each.exists()]
            return _write_sealed(to, files, key, work)
    except OSError as error:
        raise BadBackup(f"{to}: the backup cannot be written: {error.strerror}") from error


def _copy_ledger(source: Path, target: Path) -> Path:
    """One state of the ledger, whatever is written meanwhile."""
    with reading(source) as db, contextlib.closing(sqlite3.connect(target)) as copy:
        db.backup(copy)
    return target


def _write_sealed(to: Path, files: list[Path], key: bytes, work: Work) -> int:
    with replacing(to) as file:
        _seal(file, _content(files), key, work)
        return file.tell()


def _seal(file: IO[bytes], content: Iterator[bytes], key: bytes, work: Work) -> None:
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    head = MAGIC + work.pack()
    head += sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    file.write(head)
    associated: bytes | None = head
    for chunk, is_last in _chunks(content):
        tag = FINAL if is_last else MESSAGE
        file.write(sodium.crypto_secretstream_xchacha20poly1305_push(state, chunk, associated, tag))
        associated = None


def _content(files: list[Path]) -> Iterator[bytes]:
    for path in files:
        name = path.name.encode()
        yield b"".join((_NAME_LENGTH.pack(len(name)), name, _LENGTH.pack(path.stat().st_size)))
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece


def _chunks(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of CHUNK, each with whether it is the last, which may be shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > CHUNK:
            yield bytes(waiting[:CHUNK]), False
            del waiting[:CHUNK]
    yield bytes(waiting), True


# Restoring -----------------------------------------------------------------------------------------------------------


def restore(source: Path, to: Path, passphrase: Passphrase) -> str:
    """Restore a backup into a folder that does not exist yet or is empty; returns the short form of whose it is.
    Either all of it is there in the end, or nothing. Raises BadBackup, InvalidKey."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadBackup(f"{to}: a backup is restored into an empty folder, and something is there already")
    try:
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
        try:
            with source.open("rb") as file:
                _unpack(_opened(file, source, passphrase), place, source)
            owner = _check(place, source)
            write_file(place / PLACE_FILE, RESTORED.encode())
            place.replace(to)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        sync_folder(to.parent)
    except OSError as error:
        raise BadBackup(f"{source}: the backup cannot be restored: {error.strerror}") from error
    return owner


def _opened(file: IO[bytes], source: Path, passphrase: Passphrase) -> Iterator[bytes]:
    """What a backup contains, as far as it is authentic; raises BadBackup where it is not, or ends too early."""
    head = file.read(_HEAD_BYTES)
    if not head.startswith(MAGIC) or len(head) < _HEAD_BYTES:
        raise BadBackup(f"{source}: this is no backup of this program")
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    associated: bytes | None = head
    work, opening = Work.read(head[len(MAGIC) : -HEADER_BYTES]), head[-HEADER_BYTES:]
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, opening, work.key(passphrase()))
    tag, is_first = MESSAGE, True
    while sealed := file.read(CHUNK + OVERHEAD):
        if tag == FINAL:
            raise BadBackup(f"{source}: something follows the end of this backup; it was altered")
        try:
            chunk, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, sealed, associated)
        except (nacl.exceptions.CryptoError, nacl.exceptions.ValueError) as error:
            what = "the passphrase is another, or the backup was altered" if is_first else "it was altered or cut off"
            raise BadBackup(f"{source}: this backup does not open: {what}") from error
        is_first, associated = False, None
        yield chunk
    if tag != FINAL:
        raise BadBackup(f"{source}: this backup was cut off before its end")


class _Reader:
    """Exact numbers of bytes from a stream of chunks."""

    def __init__(self, chunks: Iterator[bytes], source: Path) -> None:
        self._chunks, self._source, self._waiting = chunks, source, b""

    def take(self, count: int) -> bytes:
        """Raises BadBackup when the content ends before."""
        while len(self._waiting) < count:
            self._waiting += self._more()
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def copy(self, count: int, file: IO[bytes]) -> None:
        while count:
            piece = self.take(min(count, len(self._waiting) or 1))
            file.write(piece)
            count -= len(piece)

    def is_at_end(self) -> bool:
        while not self._waiting:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._waiting = chunk
        return False

    def _more(self) -> bytes:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BadBackup(f"{self._source}: the content of this backup ends in the middle of a file")
        return chunk


def _unpack(chunks: Iterator[bytes], place: Path, source: Path) -> None:
    """Write the files into `place`: each name once, only those that a backup has."""
    reader, allowed = _Reader(chunks, source), dict(LIMITS)
    while not reader.is_at_end():
        (name_length,) = _NAME_LENGTH.unpack(reader.take(_NAME_LENGTH.size))
        name = reader.take(name_length).decode("ascii", "replace")
        (length,) = _LENGTH.unpack(reader.take(_LENGTH.size))
        if length > allowed.pop(name, -1):
            raise BadBackup(f"{source}: this backup contains something that no backup of this program contains")
        descriptor = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            reader.copy(length, file)
            file.flush()
            os.fsync(file.fileno())


def _check(place: Path, source: Path) -> str:
    """Whether what came out is an identity with a ledger that this program reads; whose it is."""
    if not (place / KEY_FILE).exists() or not (place / LEDGER_FILE).exists():
        raise BadBackup(f"{source}: this backup lacks the identity or the ledger")
    try:
        owner = vault.public_key_of((place / KEY_FILE).read_bytes())
        with contextlib.closing(sqlite3.connect(place / LEDGER_FILE)) as db:
            block_tables.check_version(db)
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except (InvalidKey, sqlite3.Error) as error:
        raise BadBackup(f"{source}: what is in this backup cannot be used: {error}") from error
    if found != "ok":
        raise BadBackup(f"{source}: the ledger in this backup is damaged: {found}")
    return short(owner)
