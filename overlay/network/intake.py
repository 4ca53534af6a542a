"""Where blocks from peers enter: checked, stored, and looked at for our own signature.

A block of our own key that this folder does not know was signed by another copy of it, or by this one before it was
restored: whoever watches is told, since signing on would make a fork (docs/ledger.md).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger, Transaction
from overlay.trustchain.store import StorageError
from overlay.trustchain.validation import Invalid, check

# Fewer are checked where they are: 32 take 2 ms, as much as handing them to another thread may.
MANY = 32
# Signatures are checked without Python's lock; a second thread is all that a machine of two cores can use.
THREADS = 2
# Blocks that are checked together, and stored in one commit. Each commit writes most pages of the index of hashes anew,
# so larger is cheaper; but others wait for their commit: 2,048 take 70 ms.
BATCH = 2_048
# How many places of a chain are read for each block that came, to see at once which are known: with more between them,
# asking for each by its hash is cheaper, and two made-up places would make us read a whole chain.
SPREAD = 4
# Batches on their way: one is checked, one is stored, one waits. 3 x 2,048 blocks of 3 kB in memory are 18 MB.
UNDER_WAY = 3


class Intake:
    """Takes blocks from peers into one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._threads: ThreadPoolExecutor | None = None
        self.on_foreign: Callable[[HalfBlock], None] = lambda _: None

    def close(self) -> None:
        """Let the threads end."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def take(self, found: list[HalfBlock], parts: list[Disclosure]) -> dict[BlockHash, Invalid]:
        """Store what is valid and new; returns the verdict of each that is not. Raises BadDisclosure, StorageError."""
        new = _unknown(self._ledger.db, found)
        verdicts = await self._check(new)
        valid = [block for block, verdict in zip(new, verdicts, strict=True) if verdict is None]
        own = self._ledger.identity.public_key
        for block in valid:
            if block.public_key == own:
                self.on_foreign(block)  # before it is stored: nothing of ours may be signed on top of it
        if valid or parts:
            await self._ledger.transact(lambda tx: _store(tx, valid, parts))
        return {block.hash: verdict for block, verdict in zip(new, verdicts, strict=True) if verdict is not None}

    async def _check(self, found: list[HalfBlock]) -> list[Invalid | None]:
        if len(found) <= MANY:
            return _check_all(found)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "check")
        size = -(-len(found) // THREADS)
        loop = asyncio.get_running_loop()
        chunks = [found[at : at + size] for at in range(0, len(found), size)]
        verdicts = await asyncio.gather(*(loop.run_in_executor(self._threads, _check_all, each) for each in chunks))
        return [verdict for each in verdicts for verdict in each]


class Conveyor:
    """Takes a long chain as it arrives: while one batch is stored the next is checked and another one received.

    `async with Conveyor(intake) as conveyor: await conveyor.put(blocks)`; leaving the block waits for the rest.
    `put` and leaving raise what `Intake.take` raises, and `refused` holds the verdicts so far.
    """

    def __init__(self, intake: Intake) -> None:
        self.refused: dict[BlockHash, Invalid] = {}
        self._intake = intake
        self._waiting: list[HalfBlock] = []
        self._under_way: set[asyncio.Task[dict[BlockHash, Invalid]]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Store what has come, also when it was broken off: it is valid whatever comes behind it."""
        try:
            if self._waiting:
                self._send()
            await self._settle(0)
        except StorageError:
            if kind is None or not issubclass(kind, asyncio.CancelledError):
                raise  # but whoever is told to end does so, whatever the disk says
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def put(self, found: list[HalfBlock]) -> None:
        """Take more blocks; waits while enough are under way."""
        self._waiting += found
        if len(self._waiting) >= BATCH:
            self._send()
            await self._settle(UNDER_WAY - 1)

    def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        self._under_way.add(asyncio.create_task(self._intake.take(batch, [])))

    async def _settle(self, most: int) -> None:
        """Wait until no more than `most` batches are under way."""
        while len(self._under_way) > most:
            done, self._under_way = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self.refused |= task.result()


def _unknown(db: sqlite3.Connection, found: list[HalfBlock]) -> list[HalfBlock]:
    """What is not in the ledger yet, each once."""
    distinct = {block.hash: block for block in found}
    if len(distinct) <= MANY:
        return [block for block in distinct.values() if not blocks.contains(db, block.hash)]
    of_author: dict[PublicKey, list[HalfBlock]] = {}
    for block in distinct.values():
        of_author.setdefault(block.public_key, []).append(block)
    known = {each for author, theirs in of_author.items() for each in _known_of(db, author, theirs)}
    return [block for block in distinct.values() if block.hash not in known]


def _known_of(db: sqlite3.Connection, author: PublicKey, found: list[HalfBlock]) -> list[BlockHash]:
    """Which of one author's blocks are known, and perhaps others; they are not checked yet, so where they stand is
    anybody's claim."""
    places = [block.sequence_number for block in found]
    if max(places) - min(places) < SPREAD * len(places):
        return _known(db, author, min(places), max(places))
    return [block.hash for block in found if blocks.contains(db, block.hash)]


def _known(db: sqlite3.Connection, author: PublicKey, first: int, last: int) -> list[BlockHash]:
    """The hashes of one chain's blocks with numbers first..last: one question for a whole batch."""
    query = "SELECT hash FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?) AND sequence BETWEEN ? AND ?"
    return [BlockHash(found) for (found,) in db.execute(query, (author, first, last))]


def _check_all(found: list[HalfBlock]) -> list[Invalid | None]:
    return [check(block) for block in found]


def _store(tx: Transaction, found: list[HalfBlock], parts: list[Disclosure]) -> None:
    for block in found:
        tx.store(block)
    for part in parts:
        tx.disclose(part)
