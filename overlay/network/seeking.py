"""Finds a member of whom no address answers: members ever nearer to it are asked where it is.

How near two members are says Kademlia's measure (Maymounkov and Mazieres 2002, section 2.1) of the hashes of their
keys. Everybody keeps in touch with those nearest to itself (`whereabouts.py`), so that each answer leads nearer, and in
a commons of any size a few questions find whoever is online. What is answered are claims: a handshake decides.
"""

import asyncio
import functools
import hashlib
import heapq
from collections.abc import Awaitable, Callable, Iterable

from overlay.clock import Clock
from overlay.keys import PublicKey

# Asks one member for those nearest to another, and takes in what it claims; a silent one is as good as none.
Ask = Callable[[PublicKey, PublicKey], Awaitable[None]]
Members = Callable[[], Iterable[PublicKey]]

# How many one search may ask, three at a time (the alpha of Kademlia): in a commons of 10,000 of whom everybody knows
# 32, two or three steps lead to the nearest; three questions each, and as many again for silent and lying ones.
MAX_ASKED = 18
# A member that nobody could find is sought again after this long; meanwhile it may show itself.
SOUGHT_SECONDS = 15.0
# Bytes of a hash that tell positions apart: among 2^32 members two have the same.
POSITION_BYTES = 8


def nearest(to: PublicKey, among: Iterable[PublicKey], most: int) -> list[PublicKey]:
    """At most so many of these members, the nearest to a key first."""
    here = _position(to)
    return heapq.nsmallest(most, among, key=lambda each: _position(each) ^ here)


# 8,192 positions with their keys are 2 MB.
@functools.lru_cache(maxsize=8_192)
def _position(key: PublicKey) -> int:
    return int.from_bytes(hashlib.sha256(key).digest()[:POSITION_BYTES])


class Seeker:
    """`online` lists members that are proven to be somewhere, `known` those with any address worth trying; `has_news`
    says whether one has an address that was not tried."""

    def __init__(
        self, clock: Clock, ask: Ask, online: Members, known: Members, has_news: Callable[[PublicKey], bool]
    ) -> None:
        self._clock, self._ask, self._has_news = clock, ask, has_news
        # Liars may name a hundred nearer ones that are nowhere: one line of questions goes to proven members only.
        self._lines = (online, known, known)
        self._sought: dict[PublicKey, float] = {}
        self._running: dict[PublicKey, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """End all searches."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def seek(self, peer: PublicKey) -> bool:
        """Ask until somebody names a place at which `peer` was not looked for. False when nobody does, or did just
        before; whoever seeks the same one waits for the same answers."""
        task = self._running.get(peer)
        if task is None:
            now, before = self._clock.monotonic(), self._sought.get(peer, float("-inf"))
            if now - before < SOUGHT_SECONDS:
                return False
            self._sought[peer] = now
            task = self._running[peer] = asyncio.create_task(self._ask_around(peer))
            task.add_done_callback(lambda _: self._running.pop(peer, None))
        await asyncio.shield(task)
        return self._has_news(peer)

    async def _ask_around(self, peer: PublicKey) -> None:
        asked = {peer}
        questions = {asyncio.create_task(self._ask_some(line, peer, asked)) for line in self._lines}
        try:
            while questions and not self._has_news(peer):
                _, questions = await asyncio.wait(questions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in questions:
                each.cancel()
            await asyncio.gather(*questions, return_exceptions=True)

    async def _ask_some(self, line: Members, peer: PublicKey, asked: set[PublicKey]) -> None:
        """One question after another, each to the nearest that nobody has asked yet."""
        while len(asked) <= MAX_ASKED and not self._has_news(peer):
            next_ = nearest(peer, (each for each in line() if each not in asked), 1)
            if not next_:
                return
            asked.update(next_)
            await self._ask(next_[0], peer)
