"""Who is where, as one node knows it: takes in claims, greets contacts, looks for members, remembers who was silent."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from overlay.clock import Clock, Randomness
from overlay.keys import PublicKey
from overlay.network.addresses import AddressBook, is_reachable
from overlay.network.contacts import Contacts, Pause
from overlay.network.endpoint import Address
from overlay.network.meetings import Meetings
from overlay.network.messages import MAX_KNOWN, Known
from overlay.network.quic_errors import PeerUnreachable, RequestTimedOut, StreamError, WrongPeer
from overlay.network.rates import MEMBER_HELLOS, WAYS, Buckets
from overlay.network.search import Search
from overlay.network.seeking import Seeker, nearest

log = logging.getLogger(__name__)

# Asks a member at one address for a sign of life, and for members near to a key; where it says that this one is. Raises
# StreamError.
Knock = Callable[[PublicKey, Address, PublicKey], Awaitable[Address | None]]

# A member that was heard so recently is asked without knocking first.
FRESH_SECONDS = 30.0
# A member that did not answer is left alone by background work for this long, and twice as long each time after.
SILENCE_SECONDS = 5.0
MAX_SILENCE_SECONDS = 60.0
# A member that moves is told of at once, and then at most so often.
TELL_SECONDS = 10.0


class Listener(Protocol):
    """Who wants to know of members, and can greet addresses."""

    def greet(self, address: Address) -> None:
        """Ask the node at an address to introduce itself."""

    def member_seen(self, peer: PublicKey) -> None:
        """There is news about where a member is."""

    def member_proven(self, peer: PublicKey, address: Address) -> None:
        """A member is proven to be at another address than when this was last told."""

    def member_moved(self, peer: PublicKey, address: Address) -> None:
        """Somebody is proven to be at another address than a moment before, as often as that happens."""

    def count_drop(self, reason: str) -> None:
        """Something was of no use."""


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
        self._own, self._clock, self._random = own, clock, random
        self._ask_membership, self._listener = is_member, listener
        self._members: set[PublicKey] = set()
        self._book = AddressBook(clock)
        self._search = Search(self._book, lambda peer, address: knock(peer, address, own), self.prove)
        self._seeker = Seeker(
            clock,
            self._ask_near,
            self._search.is_at,
            self._is_found,
            online=self.online,
            known=self.peers,
            anybody=lambda: [peer for peer, _ in self.some_online(MAX_KNOWN)],
        )
        self._knock = knock
        self._contacts = Contacts(clock, listener.greet, self._give, listener.count_drop)
        self.meetings = Meetings(own, clock, random, self, self._meet, self._ask_near)
        self._told: dict[PublicKey, tuple[Address, float]] = {}
        self._silent: dict[PublicKey, Pause] = {}
        self._dialled: Counter[Address] = Counter()
        self._hellos: Buckets[PublicKey] = Buckets(clock, MEMBER_HELLOS)
        self._ways: Buckets[PublicKey] = Buckets(clock, WAYS)

    async def close(self) -> None:
        """End all searches."""
        await self._contacts.close()
        await self.meetings.close()
        await self._seeker.close()
        await self._search.close()

    @property
    def address(self) -> Address:
        """Where our own socket is bound; ("", 0) until it is."""
        return self._contacts.own

    @address.setter
    def address(self, bound: Address) -> None:
        self._contacts.own = bound

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
        return [peer for peer in self._book.known() if self.is_member(peer) and now >= self.silent_until(peer)]

    def online(self) -> dict[PublicKey, Address]:
        """The members that answered when last asked, and where."""
        return {peer: address for peer, address in self._book.proven() if self.is_member(peer)}

    def some_online(self, most: int, without: PublicKey | None = None) -> list[tuple[PublicKey, Address]]:
        """At most so many of them, others each time."""
        return self._some([each for each in self.online().items() if each[0] != without], most)

    def _some(self, found: list[tuple[PublicKey, Address]], most: int) -> list[tuple[PublicKey, Address]]:
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

    def neighbours(self, asker: PublicKey, near: PublicKey) -> tuple[Known, ...]:
        """Where some members are, for a member that asks: half of them those nearest to `near`, the others anybody, so
        that no part of the commons keeps to itself. Nobody for strangers, and for who asks too often."""
        if not self.is_member(asker) or not self._hellos.take(asker):
            return ()
        online = self.online()
        online.pop(asker, None)
        close = {peer: online.pop(peer) for peer in nearest(near, online, MAX_KNOWN // 2)}
        told = close | dict(self._some(list(online.items()), MAX_KNOWN - len(close)))
        return tuple(Known(peer, *address) for peer, address in told.items())

    def way_to(self, sought: PublicKey, asker: PublicKey) -> tuple[Address, Address, Address] | None:
        """Where the member is that another looks for, and where that one is, in the world and on its local network.
        None where one of the two is not known to be online, or asks for that too often."""
        if sought == asker or not self.is_member(asker) or not self.is_member(sought):
            return None
        at, places = self._book.of(sought).proven, self._book.of(asker)
        if at is None or places.proven is None or not self._ways.take(asker):
            return None
        return at, places.proven, places.lan or places.proven

    def has_enough(self) -> bool:
        """Whether enough members are online."""
        return self.meetings.has_enough()

    # Where

    def add_contact(self, address: Address, peer: PublicKey | None) -> None:
        """Greet an address until it answers; with `peer`, believe that this member may be there. Names are resolved."""
        self._contacts.add(address, peer)

    async def locate(self, peer: PublicKey, seconds: float) -> Address | None:
        """A proven address of `peer`: the one of just before, or the one that answers now. None for an absent one."""
        places = self._book.of(peer)
        if places.proven is not None and self._clock.monotonic() - places.heard_at < FRESH_SECONDS:
            return places.proven
        try:
            async with asyncio.timeout(seconds):
                await self._contacts.resolved()
                found = await self._find_anywhere(peer)
        except TimeoutError:
            found = None
        if found is None:
            self._mark_silent(peer)
        return found

    async def _find_anywhere(self, peer: PublicKey) -> Address | None:
        """Where it is known to be, or where others know it to be."""
        await self._search.find(peer)
        if not self._is_found(peer) and self.is_member(peer):
            await self._seeker.seek(peer)
        return self._book.of(peer).proven  # it may have shown itself meanwhile

    def _is_found(self, peer: PublicKey) -> bool:
        return self._book.of(peer).proven is not None

    async def _ask_near(self, peer: PublicKey, near: PublicKey) -> Address | None:
        """Ask one member for those nearest to another; where it says that this one is."""
        address = self._book.of(peer).proven or await self._search.find(peer)
        if address is None:
            self._mark_silent(peer)
            return None
        try:
            async with self._search.room:
                named = await self._knock(peer, address, near)
        except StreamError as error:
            self.failed(peer, address, error)
            return None
        return named if named is not None and is_reachable(named) and named != self.address else None

    def has_address(self, peer: PublicKey) -> bool:
        """Whether any address of `peer` is known."""
        return bool(self._book.of(peer).all())

    def prove(self, peer: PublicKey, address: Address) -> None:
        """A QUIC handshake has shown that `peer` is at `address`. A newcomer is proven before it is a member."""
        is_member = self.is_member(peer)
        self._silent.pop(peer, None)
        self._contacts.answered(address)
        if self._book.prove(peer, address, is_member=is_member):
            self._listener.member_moved(peer, address)
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
        """Greet contacts that are due, and look for members whom this node should know."""
        self._contacts.step()
        self.meetings.step()

    def silent_until(self, peer: PublicKey) -> float:
        """When a member that did not answer is worth a try again; the distant past for one that was never tried."""
        pause = self._silent.get(peer)
        return pause.until if pause is not None else float("-inf")

    async def _meet(self, peer: PublicKey) -> None:
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

    def _give(self, peer: PublicKey, address: Address) -> None:
        """Our user, or our own memory, says that a member may be there."""
        if peer != self._own:
            self._book.give(peer, address)
            self._silent.pop(peer, None)  # the user knows something new
