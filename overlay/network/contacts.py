"""Addresses that our user or our own memory named: each is greeted until it answers, ever more seldom."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from overlay.clock import Clock
from overlay.keys import PublicKey
from overlay.network.addresses import is_numeric, is_reachable
from overlay.network.endpoint import Address

log = logging.getLogger(__name__)

# An address is greeted again after this long, and twice as long each time after.
GREETING_SECONDS = 0.5
MAX_GREETING_SECONDS = 30.0
MAX_CONTACTS = 512
# A name may stand for several machines; an invitation lists at most four addresses as well.
MAX_ADDRESSES_OF_NAME = 4


@dataclass(slots=True)
class Pause:
    """When to try again, and how long the pause was that leads there."""

    until: float
    seconds: float

    def lengthen(self, now: float, most: float) -> None:
        """Twice as long from now on."""
        self.seconds = min(2 * self.seconds, most)
        self.until = now + self.seconds


class Contacts:
    """`greet` asks the node at an address to introduce itself; `give` hears that a member may be there; `count_drop`
    counts what is of no use, by its reason."""

    def __init__(
        self,
        clock: Clock,
        greet: Callable[[Address], None],
        give: Callable[[PublicKey, Address], None],
        count_drop: Callable[[str], None],
    ) -> None:
        self.own: Address = ("", 0)  # until the socket is bound
        self._clock, self._greet, self._give, self._count_drop = clock, greet, give, count_drop
        self._pauses: dict[Address, Pause] = {}
        self._resolving: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Resolve no more names."""
        tasks = list(self._resolving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def resolved(self) -> None:
        """Wait until each name that was added has been looked up."""
        if self._resolving:
            await asyncio.wait(self._resolving)

    def add(self, address: Address, peer: PublicKey | None) -> None:
        """Greet an address until it answers; with `peer`, believe that this member may be there. Names are resolved."""
        if is_numeric(address[0]):
            self._add(address, peer)
        else:
            task = asyncio.get_running_loop().create_task(self._resolve(address, peer))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    def answered(self, address: Address) -> None:
        """Somebody is proven to be there."""
        self._pauses.pop(address, None)

    def step(self) -> None:
        """Greet those that are due."""
        now = self._clock.monotonic()
        for address, pause in list(self._pauses.items()):
            if now >= pause.until:
                pause.lengthen(now, MAX_GREETING_SECONDS)
                self._greet(address)

    async def _resolve(self, address: Address, peer: PublicKey | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*address, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            log.info("the name %r cannot be resolved: %s", address[0], error)
            self._count_drop("contact whose name cannot be resolved")
            return
        for *_, place in found[:MAX_ADDRESSES_OF_NAME]:
            self._add((str(place[0]), int(place[1])), peer)

    def _add(self, address: Address, peer: PublicKey | None) -> None:
        if not is_reachable(address) or address == self.own:
            self._count_drop("contact that cannot be reached")
            return
        if peer is not None:
            self._give(peer, address)
        if len(self._pauses) < MAX_CONTACTS:
            self._pauses[address] = Pause(self._clock.monotonic() + GREETING_SECONDS, GREETING_SECONDS)
        self._greet(address)
