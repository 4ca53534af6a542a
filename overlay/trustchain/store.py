"""SQLite under the ledger: one writer thread with group commit, readers beside it (docs/ledger.md).

A job handed to `write` runs inside a savepoint of a transaction that it may share with others; its future resolves
only after the commit has reached the disk (WAL, synchronous=FULL). A job that raises undoes only itself; a commit
that fails undoes them all, and nothing of them has left the machine.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, Literal, TypeVar

from overlay.trustchain.connection import Connection

T = TypeVar("T")
Synchronous = Literal["FULL", "NORMAL"]
Prepare = Callable[[sqlite3.Connection], None]

# Measured on two cores: past 256 rows a commit gains nothing more, and a waiting caller is not delayed further.
MAX_BATCH = 256
# More than all the different statements of all views, so that none is compiled twice.
CACHED_STATEMENTS = 512
# Another process (a backup) may hold the file for this long before a caller is told.
BUSY_SECONDS = 10


class StorageError(Exception):
    """The disk or the database refused; the message is for people, and nothing was stored."""


class _Undone(Exception):
    """SQLite gave up the whole transaction, not only the statement; the cause says why."""


class _Job(Generic[T]):
    def __init__(
        self,
        work: Callable[[sqlite3.Connection], T],
        loop: asyncio.AbstractEventLoop,
        told: Callable[[T], None] | None,
    ) -> None:
        self.work, self.loop, self.told = work, loop, told
        self.future: asyncio.Future[T] = loop.create_future()
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self, db: Connection) -> None:
        db.execute("SAVEPOINT job")
        try:
            self.result = self.work(db)
        except Exception as error:  # handed on: the caller awaits the future
            db.forget()
            if not db.in_transaction:
                raise _Undone from error
            db.execute("ROLLBACK TO job")
            self.error = error
        db.execute("RELEASE job")

    def resolve(self, failure: StorageError | None) -> None:
        """Called on the caller's loop. What is on disk is told even when its caller has gone away."""
        error = failure or self.error
        if error is None:
            if not self.future.cancelled():
                self.future.set_result(self.result)  # type: ignore[arg-type]
            if self.told is not None:
                self.told(self.result)  # type: ignore[arg-type]
        elif not self.future.cancelled():
            self.future.set_exception(_for_people(error) if isinstance(error, sqlite3.Error) else error)


class Store:
    """One node's database file. Create it, `await write(...)`, read through `db`, `close()`."""

    def __init__(
        self,
        path: Path,
        schema: Iterable[str],
        synchronous: Synchronous = "FULL",
        prepare: Prepare = lambda _: None,
        opened: Prepare = lambda _: None,
    ) -> None:
        """Open or create; `prepare` is called with each new connection, `opened` once with the writer's, in a
        transaction, before anything else is done. Raises StorageError when that fails."""
        self.path = path
        try:
            self._writer_db = _connect(path, synchronous, prepare)
            for statements in schema:
                self._writer_db.executescript(statements)
            self._writer_db.execute("BEGIN IMMEDIATE")
            opened(self._writer_db)
            self._writer_db.execute("COMMIT")
            self.db = _connect(path, synchronous, prepare)
            self.db.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise _for_people(error, path) from error
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._closing, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._serve, name=f"store-{path.name}", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[sqlite3.Connection], T], told: Callable[[T], None] | None = None) -> T:
        """Run `work` on the writer's thread; returns its result once that is on disk. Raises StorageError.

        `told` is called on the event loop with the result of what is on disk, also when the caller was cancelled.
        """
        job = _Job(work, asyncio.get_running_loop(), told)
        with self._closing:
            if self._closed:
                raise StorageError(f"{self.path}: the ledger is closed")
            self._jobs.put(job)  # type: ignore[arg-type]
        return await job.future

    def close(self) -> None:
        """Finish the jobs that were handed in, then close the file. Closing twice is closing once."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        self.db.close()
        self._writer_db.close()

    def _serve(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, last = [first], False
            while len(batch) < MAX_BATCH and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    last = True
                    break
                batch.append(job)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[_Job[object]]) -> None:
        failure: StorageError | None = None
        try:
            self._writer_db.execute("BEGIN IMMEDIATE")
            for job in batch:
                job.run(self._writer_db)
            self._writer_db.execute("COMMIT")
        except (sqlite3.Error, _Undone) as error:
            failure = _for_people(error.__cause__ or error, self.path)
            self._writer_db.forget()
            with contextlib.suppress(sqlite3.Error):  # the transaction may be gone already
                self._writer_db.execute("ROLLBACK")
        for loop in {job.loop for job in batch}:
            with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(_resolve, [job for job in batch if job.loop is loop], failure)


def _resolve(batch: list[_Job[object]], failure: StorageError | None) -> None:
    for job in batch:
        job.resolve(failure)


def _connect(path: Path, synchronous: Synchronous, prepare: Prepare) -> Connection:
    db = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_SECONDS,
        cached_statements=CACHED_STATEMENTS,
        factory=Connection,
    )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("PRAGMA fullfsync = ON")  # on macOS a plain fsync leaves the data in the drive's cache
    db.execute("PRAGMA cache_size = -4000")  # 4 MB: a node shares its machine
    prepare(db)
    return db


def _for_people(error: BaseException, path: Path | None = None) -> StorageError:
    where = f"{path}: " if path else ""
    text = str(error)
    if "full" in text:
        return StorageError(f"{where}the disk is full; nothing was stored. Free some space and try again.")
    if "readonly" in text or "unable to open" in text:
        return StorageError(f"{where}the ledger file cannot be written; check the folder's permissions.")
    if "not a database" in text or "malformed" in text:
        return StorageError(f"{where}the ledger file is damaged; restore a backup or ask your peers for a copy.")
    return StorageError(f"{where}the ledger file could not be used: {text}")
