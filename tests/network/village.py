"""Members for the network tests: whole ones on loopback, and bare networks on an in-memory internet in virtual time."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address

from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.members import MembersView, member_keys
from overlay.keys import Identity, PublicKey
from overlay.network.courier import Courier
from overlay.network.endpoint import Address, PortInUse, Socket
from overlay.network.invitation import Invitation
from overlay.network.joining import SCHEMA, Joining, join
from overlay.network.network import Network
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Changes, Ledger, Transaction
from overlay.trustchain.statements import AdmitMember, FoundCommons
from tests.network.streams_world import LoopClock, SeededRandom

T = TypeVar("T")
PATIENCE = 20.0
COMMONS = bytes(range(20))
PREFIX = b"\x00\x02" + COMMONS


def person(role: str) -> Identity:
    """The member who plays this role."""
    return Identity.from_seed(hashlib.sha512(role.encode()).digest())


class Host:
    """One member with everything of the network, and nothing of the economy, on a real socket."""

    def __init__(self, role: str, folder: Path, identity: Identity | None = None) -> None:
        self.identity = identity or person(role)
        self.key, self.clock = self.identity.public_key, SystemClock()
        self.ledger = Ledger(
            folder / f"{role}.db", self.identity, [MembersView()], self.clock, SystemRandomness(), tables=[SCHEMA]
        )
        self.changed = asyncio.Event()
        self.ledger.listeners.append(self._on_change)
        self._transact = self.ledger.transact
        self.ledger.transact = self._noted  # type: ignore[method-assign]
        self.gossiped: list[HalfBlock] = []
        self.commons = b""

    def members(self) -> set[PublicKey]:
        return member_keys(self.ledger.db, self.commons)

    async def enter(self, commons: bytes, *, syncing: bool = True) -> None:
        self.commons = commons
        self.network = Network(
            self.identity, commons, self.clock, self.ledger.random, lambda key: key in self.members(), self._on_gossip
        )
        self.sync = Sync(self.ledger, self.network, self.members)
        self.courier = Courier(self.ledger, self.network, self.sync)
        self.network.on_peer = self._on_peer
        await self.network.start("127.0.0.1", 0)
        if syncing:
            self.sync.start()

    async def found(self, *guests: "Host", syncing: bool = True) -> None:
        """Found a commons; `guests` are members from the beginning, and know it and where the founder is."""
        charter = await self.ledger.append(FoundCommons("bridge", "rebuild it", 1))
        for guest in guests:
            await self.ledger.append(AdmitMember(guest.key))
        await self.enter(charter.hash[:20], syncing=syncing)
        self.joining = Joining(self.ledger, self.network, charter.hash)
        told = blocks.chain(self.ledger.db, self.key, 1, 1 + len(guests), 1_000)
        for guest in guests:
            await guest.ledger.ingest(told)
            await guest.enter(self.commons, syncing=syncing)
            guest.joining = Joining(guest.ledger, guest.network, charter.hash)
            guest.meet(self)

    def meet(self, *others: "Host") -> None:
        """Be told by the user where these members are."""
        for other in others:
            self.network.add_contact(other.network.address, other.key)

    async def join(self, invitation: Invitation) -> None:
        await self.enter(invitation.commons)
        for address in invitation.places:
            self.network.add_contact(address, invitation.member)
        charter = await join(invitation, self.ledger, self.network, self.sync)
        self.joining = Joining(self.ledger, self.network, charter)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a change of the ledger, or news of a member, after which the condition holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def knows(self, block: HalfBlock) -> bool:
        return blocks.contains(self.ledger.db, block.hash)

    def length(self, of: "Host | Identity") -> int:
        """How many blocks of a member's chain are here without a gap."""
        key = of.key if isinstance(of, Host) else of.public_key
        return blocks.first_gap(self.ledger.db, key) - 1

    async def close(self) -> None:
        if self.commons:
            await self.sync.close()
            await self.courier.close()
            await self.network.close()
        self.ledger.close()

    async def _noted(self, work: Callable[[Transaction], T]) -> T:
        """Changes that are no news for views are news for tests."""
        result = await self._transact(work)
        self.changed.set()
        return result

    def _on_change(self, changes: Changes) -> None:
        self.changed.set()
        for receiver in changes.posted:
            self.courier.wake(receiver)

    def _on_peer(self, peer: PublicKey) -> None:
        self.changed.set()
        self.courier.wake(peer)

    def _on_gossip(self, block: HalfBlock) -> None:
        """Gossip is only noted: heads alone must be enough."""
        self.gossiped.append(block)
        self.changed.set()


class Internet:
    """Carries datagrams between memory sockets, 10 ms each, and keeps what was sent for replaying it."""

    def __init__(self) -> None:
        self.sockets: dict[Address, MemorySocket] = {}
        self.sent: list[tuple[Address, Address, bytes]] = []

    def bind(self, host: str, port: int) -> "MemorySocket":
        return MemorySocket(self, (host, port))

    def deliver(self, source: Address, target: Address, datagram: bytes) -> None:
        """As if `source` had sent it: a liar may name any source."""
        socket = self.sockets.get(target)
        if socket is not None:
            socket.notify_listeners((UDPv4Address(*source), datagram))


class MemorySocket(Socket):
    """One address on the in-memory internet."""

    def __init__(self, internet: Internet, wanted: Address) -> None:
        super().__init__()
        self._internet, self._wanted = internet, wanted

    async def open(self) -> bool:
        if self._wanted in self._internet.sockets:
            raise PortInUse("taken")
        self._internet.sockets[self._wanted] = self
        return True

    def is_open(self) -> bool:
        return self._internet.sockets.get(self._wanted) is self

    def get_address(self) -> Address:
        return self._wanted

    def send(self, socket_address: Address, packet: bytes) -> None:
        target = (socket_address[0], socket_address[1])
        self._internet.sent.append((self._wanted, target, packet))
        asyncio.get_running_loop().call_later(0.01, self._internet.deliver, self._wanted, target, packet)

    def close(self) -> None:
        self._internet.sockets.pop(self._wanted, None)


class Station:
    """A bare network of one member on the in-memory internet."""

    def __init__(
        self, internet: Internet, role: str, number: int, members: set[PublicKey], identity: Identity | None = None
    ) -> None:
        self.identity = identity or person(role)
        self.key, self.where = self.identity.public_key, place(number)
        self.heard: list[HalfBlock] = []
        self.seen: list[PublicKey] = []
        self.internet = internet
        self.network = Network(
            self.identity,
            COMMONS,
            LoopClock(),
            SeededRandom(number),
            members.__contains__,
            self.heard.append,
            internet.bind,
        )
        self.network.on_peer = self.seen.append

    async def open(self) -> "Station":
        await self.network.start(*self.where)
        return self

    async def __aenter__(self) -> "Station":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.network.close()

    def hear(self, source: Address, message: bytes) -> None:
        """Something arrives from an address, now."""
        self.internet.deliver(source, self.where, PREFIX + message)

    @property
    def drops(self) -> dict[str, int]:
        return dict(self.network.drops)


def place(number: int) -> Address:
    return (f"10.0.0.{number}", 7759)


async def until(condition: Callable[[], object]) -> None:
    """Let virtual time pass until the condition holds."""
    async with asyncio.timeout(300):
        while not condition():
            await asyncio.sleep(0.01)
