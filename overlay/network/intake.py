"""Where blocks from peers enter: checked, stored, and looked at for our own signature.

A block of our own key that this folder does not know was signed by another copy of it, or by this one before it was
restored: whoever watches is told, since signing on would make a fork (DESIGN 3.3).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger, Transaction
from overlay.trustchain.validation import Invalid, check

# Fewer are checked where they are: 32 take 2 ms, as much as handing them to another thread may.
MANY = 32
# Signatures are checked without Python's lock; a second thread is all that a machine of two cores can use.
THREADS = 2


class Intake:
    """Takes blocks from peers into one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._threads: ThreadPoolExecutor | None = None
        self._storing: set[asyncio.Task[None]] = set()
        self.on_foreign: Callable[[HalfBlock], None] = lambda _: None

    async def close(self) -> None:
        """Wait for what is being stored, and let the threads end."""
        await asyncio.gather(*self._storing, return_exceptions=True)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def take(self, found: list[HalfBlock], parts: list[Disclosure]) -> dict[BlockHash, Invalid]:
        """Store what is valid and new; returns the verdict of each that is not. Raises BadDisclosure, StorageError."""
        new = [block for block in found if not blocks.contains(self._ledger.db, block.hash)]
        verdicts = await self._check(new)
        valid = [block for block, verdict in zip(new, verdicts, strict=True) if verdict is None]
        if valid or parts:
            await self._keep(valid, parts)
        own = self._ledger.identity.public_key
        for block in valid:
            if block.public_key == own:
                self.on_foreign(block)
        return {block.hash: verdict for block, verdict in zip(new, verdicts, strict=True) if verdict is not None}

    async def _keep(self, valid: list[HalfBlock], parts: list[Disclosure]) -> None:
        """Store, and see it through: a peer that goes away in the middle would otherwise leave blocks that are stored
        and of which nobody in this node has been told."""
        task = asyncio.create_task(self._ledger.transact(lambda tx: _store(tx, valid, parts)))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        await asyncio.shield(task)

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


def _check_all(found: list[HalfBlock]) -> list[Invalid | None]:
    return [check(block) for block in found]


def _store(tx: Transaction, found: list[HalfBlock], parts: list[Disclosure]) -> None:
    for block in found:
        tx.store(block)
    for part in parts:
        tx.disclose(part)
