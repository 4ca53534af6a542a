"""Whom a node keeps in touch with: enough members of any kind, and those nearest to itself, by whom it is found."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from overlay.clock import Clock, Randomness
from overlay.keys import PublicKey
from overlay.network.endpoint import Address
from overlay.network.seeking import nearest

# While fewer members are online, those of whom there are only claims are looked for, so many at a time; then only the
# nearest to this node, so that whoever looks for it finds it through them.
ENOUGH_ONLINE = 32
MEETINGS_AT_ONCE = 4
NEIGHBOURS = 8
# About so often somebody who is online is greeted once there are enough, and asked for our nearest: routers forget an
# open way after 30 s at the least, and two groups that meet late become one by what those say who know both.
GREET_SECONDS = 5.0


class Directory(Protocol):
    """What is known of who is where."""

    def peers(self) -> list[PublicKey]:
        """The members with an address worth trying now."""

    def online(self) -> dict[PublicKey, Address]:
        """The members that answered when last asked, and where."""

    def some_online(self, most: int) -> list[tuple[PublicKey, Address]]:
        """At most so many of them, others each time."""

    def silent_until(self, peer: PublicKey) -> float:
        """When a member that did not answer is worth a try again; the distant past for one that was never tried."""


class Meetings:
    """`own` is this node's key; `find` looks for one member, and notes when it is at none of its addresses; `ask` asks
    one for those nearest to another."""

    def __init__(
        self,
        own: PublicKey,
        clock: Clock,
        random: Randomness,
        directory: Directory,
        find: Callable[[PublicKey], Coroutine[Any, Any, None]],
        ask: Callable[[PublicKey, PublicKey], Coroutine[Any, Any, object]],
    ) -> None:
        self._own, self._clock, self._random, self._directory = own, clock, random, directory
        self._find, self._ask = find, ask
        self._running: dict[PublicKey, asyncio.Task[object]] = {}
        self._greets_at = float("-inf")

    async def close(self) -> None:
        """End all meetings."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def has_enough(self) -> bool:
        """Whether so many members are online that others need not be found before somebody wants them."""
        return len(self._directory.online()) >= ENOUGH_ONLINE

    def step(self) -> None:
        """Look for some members of whom there are only claims: first those that were never tried."""
        peers, online = self._directory.peers(), self._directory.online()
        wanted = peers if len(online) < ENOUGH_ONLINE else nearest(self._own, peers, NEIGHBOURS)
        unmet = [peer for peer in wanted if peer not in online and peer not in self._running]
        room = max(0, MEETINGS_AT_ONCE - len(self._running))
        for peer in sorted(unmet, key=self._directory.silent_until)[:room]:
            self._meet(peer, self._find(peer))

    def to_greet(self) -> list[Address]:
        """Who is greeted in this step: one that is online, at every step until there are enough, then now and then."""
        now, has_enough = self._clock.monotonic(), self.has_enough()
        if has_enough and now < self._greets_at:
            return []
        self._greets_at = now + GREET_SECONDS * (0.5 + self._random.bytes(1)[0] / 256)  # not all nodes at one moment
        greeted = self._directory.some_online(1)
        for peer, _ in greeted if has_enough else ():
            self._meet(peer, self._ask(peer, self._own))
        return [address for _, address in greeted]

    def _meet(self, peer: PublicKey, meeting: Coroutine[Any, Any, object]) -> None:
        if peer in self._running:
            meeting.close()
            return
        task = self._running[peer] = asyncio.create_task(meeting)
        task.add_done_callback(lambda _: self._running.pop(peer, None))
