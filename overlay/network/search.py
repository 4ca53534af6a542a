"""Finds out at which of several addresses a member is: each is knocked at in turn, the first that proves its key wins.

The next address is tried when the one before has failed or has been silent for a moment (as RFC 8305 does for the
addresses of one host), so that a dead or lying address costs a moment and not a timeout.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from overlay.keys import PublicKey
from overlay.network.addresses import AddressBook
from overlay.network.endpoint import Address
from overlay.network.quic_errors import NoConnectionLeft, PeerUnreachable, StreamError, StreamsClosed, WrongPeer

# Asks one address for a sign of life; raises StreamError.
Knock = Callable[[PublicKey, Address], Awaitable[object]]

# Between one address and the next: more than a round trip around the world, less than people notice.
STAGGER_SECONDS = 0.3
# Knocks under way for all members together: a third of the connections that a node keeps.
MAX_KNOCKS = 20


class Search:
    """Looks for members; whoever asks for the same one waits for the same search."""

    def __init__(self, book: AddressBook, knock: Knock, on_found: Callable[[PublicKey, Address], None]) -> None:
        self._book, self._knock, self._on_found = book, knock, on_found
        self.room = asyncio.Semaphore(MAX_KNOCKS)
        self._running: dict[PublicKey, asyncio.Task[Address | None]] = {}
        self._is_closed = False

    async def find(self, peer: PublicKey) -> Address | None:
        """Where `peer` is; None when it is at none of the addresses that are known."""
        task = self._running.get(peer)
        if task is None and self._is_closed:
            return None
        if task is None:
            task = self._running[peer] = asyncio.create_task(self._look(peer))
        return await asyncio.shield(task)

    async def is_at(self, peer: PublicKey, address: Address) -> bool:
        """Whether `peer` is at this address, whatever was found there before."""
        return await self._try(peer, address) is not None

    async def close(self) -> None:
        """End all searches, and let none begin."""
        self._is_closed = True
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, peer: PublicKey) -> Address | None:
        untried, knocks = deque(self._book.of(peer).all()), list[asyncio.Task[Address | None]]()
        try:
            while untried or knocks:
                if untried:
                    knocks.append(asyncio.create_task(self._try(peer, untried.popleft())))
                patience = STAGGER_SECONDS if untried else None
                done, _ = await asyncio.wait(knocks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                answers = [task.result() for task in knocks if task in done]  # a set has no order of its own
                knocks = [task for task in knocks if task not in done]
                found = next((address for address in answers if address is not None), None)
                if found is not None:
                    return found
            return None
        finally:
            self._running.pop(peer, None)
            for task in knocks:
                task.cancel()
            await asyncio.gather(*knocks, return_exceptions=True)

    async def _try(self, peer: PublicKey, address: Address) -> Address | None:
        async with self.room:
            try:
                await self._knock(peer, address)
            except (PeerUnreachable, WrongPeer):
                self._book.fail(peer, address)
                return None
            except (NoConnectionLeft, StreamsClosed):
                return None  # our own trouble shows nothing of who is there
            except StreamError:
                pass  # it is there, and busy
            self._on_found(peer, address)
            return address
