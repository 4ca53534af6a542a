"""Who is where, as one node knows it: takes in claims, greets contacts, looks for members, remembers who was silent."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from overlay.clock import Clock, Randomness
from overlay.keys import PublicKey
from overlay.network.addresses import AddressBook, is_numeric, is_reachable
from overlay.network.endpoint import Address
from overlay.network.messages import MAX_KNOWN, Known
from overlay.network.quic_errors import PeerUnreachable, RequestTimedOut, StreamError, WrongPeer
from overlay.network.search import Knock, Search

log = logging.getLogger(__name__)

# A member that was heard so recently is asked without knocking first.
FRESH_SECONDS = 30.0
# A member that did not answer is left alone by background work for this long, and twice as long each time after.
SILENCE_SECONDS = 5.0
MAX_SILENCE_SECONDS = 60.0
# A member that moves is told of at once, and then at most so often.
TELL_SECONDS = 10.0
# An address of the user's or our memory is greeted again after this long, and twice as long each time after.
GREETING_SECONDS = 0.5
MAX_GREETING_SECONDS = 30.0
MAX_CONTACTS = 512
# A name may stand for several machines; an invitation lists at most four addresses as well.
MAX_ADDRESSES_OF_NAME = 4
# While fewer members are online, those of whom there are only claims are looked for, so many at a time.
ENOUGH_ONLINE = 32
MEETINGS_AT_ONCE = 4


class Listener(Protocol):
    """Who wants to know of members, and can greet addresses."""

    def greet(self, address: Address) -> None:
        """Ask the node at an address to introduce itself."""

    def member_seen(self, peer: PublicKey) -> None:
        """There is news about where a member is."""

    def member_proven(self, peer: PublicKey, address: Address) -> None:
        """A member is proven to be at another address than before."""

    def count_drop(self, reason: str) -> None:
        """Something was of no use."""


@dataclass(slots=True)
class Pause:
    """When to try again, and how long the pause was that leads there."""

    until: float
    seconds: float

    def lengthen(self, now: float, most: float) -> None:
        """Twice as long from now on."""
        self.seconds = min(2 * self.seconds, most)
        self.until = now + self.seconds


class Whereabouts:
    """`own` is this node's key; `is_member` decides who belongs; `knock` asks one address for a sign of life."""

    def __init__(
        self,
        own: PublicKey,
        clock: Clock,
        random: Randomness,
        is_member: Callable[[PublicKey], bool],
        knock: Knock,
        listener: Listener,
    ) -> None:
        self.address: Address = ("", 0)  # until the socket is bound
        self._own, self._clock, self._random = own, clock, random
        self._ask_membership, self._listener = is_member, listener
        self._members: set[PublicKey] = set()
        self._book = AddressBook(clock)
        self._search = Search(self._book, knock, self.prove)
        self._told: dict[PublicKey, tuple[Address, float]] = {}
        self._silent: dict[PublicKey, Pause] = {}
        self._contacts: dict[Address, Pause] = {}
        self._dialled: Counter[Address] = Counter()
        self._resolving: set[asyncio.Task[None]] = set()
        self._meetings: dict[PublicKey, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """End all searches."""
        tasks = [*self._resolving, *self._meetings.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._search.close()

    # Who

    def follow_members(self, members: Callable[[], set[PublicKey]]) -> None:
        """Ask this set, which is kept, instead of working membership out anew for every stranger's packet."""
        self._ask_membership = lambda peer: peer in members()

    def is_member(self, peer: PublicKey) -> bool:
        """Whether a key belongs to the commons. Nobody leaves one, so a yes is remembered."""
        if peer not in self._members and self._ask_membership(peer):
            self._members.add(peer)
        return peer in self._members

    def peers(self) -> list[PublicKey]:
        """The members with an address worth trying now, proven ones first: not those that were silent just before."""
        now = self._clock.monotonic()
        return [peer for peer in self._book.known() if self.is_member(peer) and not self._is_silent(peer, now)]

    def online(self) -> dict[PublicKey, Address]:
        """The members that answered when last asked, and where."""
        return {peer: address for peer, address in self._book.proven() if self.is_member(peer)}

    def some_online(self, most: int, without: PublicKey | None = None) -> list[tuple[PublicKey, Address]]:
        """At most so many of them, others each time."""
        found = [each for each in self.online().items() if each[0] != without]
        if len(found) <= most:
            return found
        start = int.from_bytes(self._random.bytes(4)) % len(found)
        return (found[start:] + found[:start])[:most]

    # What the community asks

    def is_proven(self, address: Address) -> bool:
        """Whether a member is proven to be at an address."""
        peer = self._book.at((address[0], address[1]))
        return peer is not None and self.is_member(peer)

    def is_awaited(self, address: Address) -> bool:
        """Whether we are asking somebody there right now."""
        return address in self._dialled

    def is_loopback(self) -> bool:
        """Whether this node listens to its own machine only."""
        return self.address[0].startswith("127.")

    def claimed(self, peer: PublicKey, address: Address, lan: Address | None) -> None:
        """Somebody says, or a packet that `peer` once signed suggests, that it is there: worth a try, perhaps."""
        if peer == self._own or not is_reachable(address):
            return
        is_member = self.is_member(peer)
        if self._book.claim(peer, address, is_member=is_member) and is_member:
            self._listener.member_seen(peer)
        if lan is not None and self._book.of(peer).proven == address:
            self._book.of(peer).lan = lan

    def introducible(self, asker: PublicKey) -> tuple[PublicKey, Address, Address | None] | None:
        """A member to introduce: members' addresses are told to members only."""
        if not self.is_member(asker):
            return None
        chosen = self.some_online(1, without=asker)
        return (*chosen[0], self._book.of(chosen[0][0]).lan) if chosen else None

    def neighbours(self, asker: PublicKey) -> tuple[Known, ...]:
        """Some members and where they are, for a member that asks; nobody for strangers."""
        if not self.is_member(asker):
            return ()
        return tuple(Known(peer, *address) for peer, address in self.some_online(MAX_KNOWN, without=asker))

    # Where

    def add_contact(self, address: Address, peer: PublicKey | None) -> None:
        """Greet an address until it answers; with `peer`, believe that this member may be there. Names are resolved."""
        if is_numeric(address[0]):
            self._add_contact(address, peer)
        else:
            task = asyncio.get_running_loop().create_task(self._resolve(address, peer))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    async def locate(self, peer: PublicKey, seconds: float) -> Address | None:
        """A proven address of `peer`: the one of just before, or the one that answers now. None for an absent one."""
        places = self._book.of(peer)
        if places.proven is not None and self._clock.monotonic() - places.heard_at < FRESH_SECONDS:
            return places.proven
        try:
            async with asyncio.timeout(seconds):
                if self._resolving:
                    await asyncio.wait(self._resolving)
                found = await self._search.find(peer)
        except TimeoutError:
            found = None
        if found is None:
            self._mark_silent(peer)
        return found

    def has_address(self, peer: PublicKey) -> bool:
        """Whether any address of `peer` is known."""
        return bool(self._book.of(peer).all())

    def prove(self, peer: PublicKey, address: Address) -> None:
        """A QUIC handshake has shown that `peer` is at `address`. A newcomer is proven before it is a member."""
        is_member = self.is_member(peer)
        self._silent.pop(peer, None)
        self._contacts.pop(address, None)
        self._book.prove(peer, address, is_member=is_member)
        if is_member:
            self._tell(peer, address)

    def _tell(self, peer: PublicKey, address: Address) -> None:
        """Two copies of one folder would move a member with every request: who remembers it is told now and then."""
        now, (told, since) = self._clock.monotonic(), self._told.get(peer, (None, 0.0))
        if told != address and (told is None or now - since >= TELL_SECONDS):
            self._told[peer] = (address, now)
            self._listener.member_proven(peer, address)
            self._listener.member_seen(peer)

    def failed(self, peer: PublicKey, address: Address, error: StreamError) -> bool:
        """Draw the conclusions from a request that failed; whether another address is worth a try."""
        if isinstance(error, PeerUnreachable | WrongPeer):
            self._book.fail(peer, address)
            return True
        if isinstance(error, RequestTimedOut):
            self._book.doubt(peer)
            self._mark_silent(peer)
        return False

    @contextmanager
    def dialling(self, address: Address) -> Iterator[None]:
        """While we await an answer from there, its datagrams are not those of a stranger."""
        self._dialled[address] += 1
        try:
            yield
        finally:
            self._dialled[address] -= 1
            if not self._dialled[address]:
                del self._dialled[address]

    def step(self) -> None:
        """Greet contacts that are due, and look for members of whom there are only claims, while few are online."""
        now = self._clock.monotonic()
        for address, pause in list(self._contacts.items()):
            if now >= pause.until:
                pause.lengthen(now, MAX_GREETING_SECONDS)
                self._listener.greet(address)
        if len(self.online()) < ENOUGH_ONLINE:
            unmet = [peer for peer in self.peers() if self._book.of(peer).proven is None and peer not in self._meetings]
            for peer in sorted(unmet, key=self._silent_until)[: MEETINGS_AT_ONCE - len(self._meetings)]:
                self._meet(peer)

    def _meet(self, peer: PublicKey) -> None:
        task = self._meetings[peer] = asyncio.create_task(self._find(peer))
        task.add_done_callback(lambda _: self._meetings.pop(peer, None))

    async def _find(self, peer: PublicKey) -> None:
        if await self._search.find(peer) is None:
            self._mark_silent(peer)

    def _mark_silent(self, peer: PublicKey) -> None:
        if not self.is_member(peer):
            return
        now, before = self._clock.monotonic(), self._silent.get(peer)
        if before is None:
            self._silent[peer] = Pause(now + SILENCE_SECONDS, SILENCE_SECONDS)
        else:
            before.lengthen(now, MAX_SILENCE_SECONDS)

    def _is_silent(self, peer: PublicKey, now: float) -> bool:
        return now < self._silent_until(peer)

    def _silent_until(self, peer: PublicKey) -> float:
        """When a member that did not answer is worth a try again; those that were never tried come first of all."""
        pause = self._silent.get(peer)
        return pause.until if pause is not None else float("-inf")

    async def _resolve(self, address: Address, peer: PublicKey | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*address, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            log.info("the name %r cannot be resolved: %s", address[0], error)
            self._listener.count_drop("contact whose name cannot be resolved")
            return
        for *_, place in found[:MAX_ADDRESSES_OF_NAME]:
            self._add_contact((str(place[0]), int(place[1])), peer)

    def _add_contact(self, address: Address, peer: PublicKey | None) -> None:
        if not is_reachable(address) or address == self.address:
            self._listener.count_drop("contact that cannot be reached")
            return
        if peer is not None and peer != self._own:
            self._book.give(peer, address)
            self._silent.pop(peer, None)  # the user knows something new
        if len(self._contacts) < MAX_CONTACTS:
            self._contacts[address] = Pause(self._clock.monotonic() + GREETING_SECONDS, GREETING_SECONDS)
        self._listener.greet(address)
