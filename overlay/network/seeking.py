"""Finds a member whom no known address shows: members ever nearer to it are asked where it is.

How near two members are says Kademlia's measure (Maymounkov and Mazieres 2002, section 2.1) of the hashes of their
keys. Everybody keeps in touch with those nearest to itself (`meetings.py`), so that each answer leads nearer, and in a
commons of any size a few questions find whoever is online. Nobody is believed: what is named is knocked at, and the
asking goes on until a handshake has proven the key.
"""

import asyncio
import functools
import hashlib
import heapq
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any

from overlay.clock import Clock
from overlay.keys import PublicKey
from overlay.network.endpoint import Address

# Asks one member for those nearest to another: where it says that this other is, if it does.
Ask = Callable[[PublicKey, PublicKey], Awaitable[Address | None]]
# Whether a member is at an address.
Try = Callable[[PublicKey, Address], Coroutine[Any, Any, bool]]
Members = Callable[[], Iterable[PublicKey]]

# Questions of each of the three lines (the alpha of Kademlia): in a commons of 10,000 of whom everybody knows 32, two
# or three steps lead to the nearest, and as many again are for silent and lying ones.
ASKED_BY_ONE = 6
# A search that takes longer keeps its caller from other work.
SEEK_SECONDS = 6.0
# A member that nobody could find is sought again after this long; meanwhile it may show itself.
SOUGHT_SECONDS = 15.0
# Bytes of a hash that tell positions apart: among 2^32 members two have the same.
POSITION_BYTES = 8


def nearest(to: PublicKey, among: Iterable[PublicKey], most: int) -> list[PublicKey]:
    """At most so many of these members, the nearest to a key first."""
    here = _position(to)
    return heapq.nsmallest(most, among, key=lambda each: _position(each) ^ here)


# More than a commons has members that one node hears of; so many positions with their keys are 16 MB.
@functools.lru_cache(maxsize=65_536)
def _position(key: PublicKey) -> int:
    return int.from_bytes(hashlib.sha256(key).digest()[:POSITION_BYTES])


class Seeker:
    """`try_at` knocks at a place that somebody named; `is_found` tells whether a member is proven to be somewhere.

    `online` lists the members that are proven to be somewhere, `known` those with any address worth trying, `anybody`
    some of those online, others each time.
    """

    def __init__(
        self,
        clock: Clock,
        ask: Ask,
        try_at: Try,
        is_found: Callable[[PublicKey], bool],
        *,
        online: Members,
        known: Members,
        anybody: Members,
    ) -> None:
        self._clock, self._ask, self._try_at, self._is_found = clock, ask, try_at, is_found
        # Liars may name a hundred nearer ones that are nowhere, or be the nearest themselves: so one line asks members
        # only who are proven to be somewhere, and one whoever comes. None can use up another's questions.
        self._lines = (
            lambda peer: nearest(peer, online(), ASKED_BY_ONE * 3),
            lambda peer: nearest(peer, known(), ASKED_BY_ONE * 3),
            lambda _: anybody(),
        )
        self._sought: dict[PublicKey, float] = {}
        self._running: dict[PublicKey, asyncio.Task[None]] = {}
        self._is_closed = False

    async def close(self) -> None:
        """End all searches, and let none begin."""
        self._is_closed = True
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def seek(self, peer: PublicKey) -> None:
        """Ask until `peer` is found where somebody says that it is, or nobody is left to ask, or time is up; not at all
        when that came to nothing just before. Whoever seeks the same one waits for the same answers."""
        task = self._running.get(peer)
        if task is None:
            if self._is_closed or self._clock.monotonic() - self._sought.get(peer, float("-inf")) < SOUGHT_SECONDS:
                return
            task = self._running[peer] = asyncio.create_task(self._ask_around(peer))
            task.add_done_callback(lambda _: self._running.pop(peer, None))
        await asyncio.shield(task)

    async def _ask_around(self, peer: PublicKey) -> None:
        quest = _Quest(peer, self._ask, self._try_at)
        lines = [asyncio.create_task(quest.ask_along(self._candidates(line, quest))) for line in self._lines]
        try:
            async with asyncio.timeout(SEEK_SECONDS):
                while not self._is_found(peer) and (
                    waiting := [each for each in quest.tasks(lines) if not each.done()]
                ):
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass
        finally:
            everything = quest.tasks(lines)
            for each in everything:
                each.cancel()
            await asyncio.gather(*everything, return_exceptions=True)
        if self._is_found(peer):
            self._sought.pop(peer, None)
        elif quest.asked:
            self._sought[peer] = self._clock.monotonic()

    def _candidates(self, line: Callable[[PublicKey], Iterable[PublicKey]], quest: "_Quest") -> Iterator[PublicKey]:
        """One after another of a line that nobody has asked yet, as it is when the next question is due."""
        for _ in range(ASKED_BY_ONE):
            following = next(
                (each for each in line(quest.peer) if each not in quest.asked and each != quest.peer), None
            )
            if following is None:
                return
            yield following


class _Quest:
    """One search: who was asked, and where it was knocked."""

    def __init__(self, peer: PublicKey, ask: Ask, try_at: Try) -> None:
        self.peer, self._ask, self._try_at = peer, ask, try_at
        self.asked: set[PublicKey] = set()
        self._tries: dict[Address, asyncio.Task[bool]] = {}

    def tasks(self, lines: list[asyncio.Task[None]]) -> list[asyncio.Task[None] | asyncio.Task[bool]]:
        """Everything that is under way or over, in the order in which it began: sets of tasks have no order."""
        return [*lines, *self._tries.values()]

    async def ask_along(self, candidates: Iterable[PublicKey]) -> None:
        """One question after another, and a knock wherever an answer says that the member is."""
        for each in candidates:
            self.asked.add(each)
            place = await self._ask(each, self.peer)
            if place is not None and place not in self._tries:
                self._tries[place] = asyncio.create_task(self._try_at(self.peer, place))
