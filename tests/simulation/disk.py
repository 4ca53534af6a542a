"""The disk under one simulated node: the real store without its thread, and with the faults of real disks.

Jobs are committed together after a little virtual time, as the writer's thread does it. A crash comes before a
commit, or after it and before anyone has heard of it. A full disk is SQLite's own: the file may not grow.
"""

import asyncio
import functools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

from overlay.keys import Identity
from overlay.trustchain import block_tables
from overlay.trustchain.sealing import Seal
from overlay.trustchain.store import Store, _Job
from tests.simulation.virtual_time import VirtualLoop

T = TypeVar("T")
UNLIMITED_PAGES = 1 << 30


class Disk:
    """Faults to come on one member's disk; `on_crash` ends its node, `on_commit` sees each commit."""

    def __init__(self, loop: VirtualLoop, random: Random) -> None:
        self.loop, self.random = loop, random
        self.crash_before_commit = 0.0
        self.crash_after_commit = 0.0
        self.is_full = False
        self.on_crash: Callable[[str], None] = lambda when: None
        self.on_commit: Callable[[], None] = lambda: None

    def happens(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance


class SimulatedStore(Store):
    """Same SQL, savepoints and commits as the real one, at moments that the seed decides."""

    def __init__(self, disk: Disk, path: Path, identity: Identity) -> None:
        super().__init__(path, (), prepare=functools.partial(block_tables.prepare, seal=Seal(identity)))
        self._disk, self._waiting = disk, list[_Job[object]]()
        self.is_dead = False

    async def write(self, work: Callable[[sqlite3.Connection], T], told: Callable[[T], None] | None = None) -> T:
        if self.is_dead:
            raise asyncio.CancelledError

        def told_if_alive(result: T) -> None:
            if told is not None and not self.is_dead:
                told(result)

        job = _Job(work, asyncio.get_running_loop(), told_if_alive)
        self._waiting.append(job)  # type: ignore[arg-type]
        if len(self._waiting) == 1:
            self._disk.loop.call_later(self._disk.random.uniform(0.0, 0.004), self._flush)
        return await job.future

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        if self.is_dead:
            return
        if self._disk.happens(self._disk.crash_before_commit):
            self._disk.on_crash("before a commit")
            return
        pages = self._writer_db.execute("PRAGMA page_count").fetchone()[0] if self._disk.is_full else UNLIMITED_PAGES
        self._writer_db.execute(f"PRAGMA max_page_count = {pages}")
        self._commit(batch)
        self._disk.on_commit()
        if self._disk.happens(self._disk.crash_after_commit):
            self._disk.on_crash("between a commit and what follows")
