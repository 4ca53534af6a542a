"""One member's place in the commons: who is where, asking and answering, telling new blocks.

`call` asks one service of one member; `serve` answers. Only members are answered, except by services opened to
strangers (joining). An address counts for a member once a QUIC handshake there has proven its key.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from overlay.clock import Clock, Randomness
from overlay.keys import Identity, PublicKey, short
from overlay.network.community import BLOCK_MESSAGE, QUIC_MESSAGE, Address, Carrier
from overlay.network.messages import Answer, BadMessage, Request, decode, encode
from overlay.network.quic_errors import StreamError
from overlay.network.quic_limits import StreamLimits
from overlay.network.streams import Streams
from overlay.trustchain.block import HalfBlock, MalformedBlock, unpack
from overlay.trustchain.store import StorageError

Service = Callable[[PublicKey, bytes], Awaitable[bytes]]
log = logging.getLogger(__name__)

# How often discovery takes a step; IPv8's own pace.
STEP_SECONDS = 0.5
# A member that did not answer is left alone by background work for this long.
SILENCE_SECONDS = 5.0
# Candidate addresses kept for one member: home, work, the one before, and one that may be a lie.
MAX_CANDIDATES = 4
# A new block goes straight to this many peers; the others get it by comparing heads.
GOSSIP_FANOUT = 16


class Refusal(Exception):
    """Raised by a service to refuse a request: the asker gets the sentence."""


class CallFailed(Exception):
    """A member could not be asked, or refused; the message says which, `peer` who."""

    def __init__(self, peer: PublicKey, reason: str) -> None:
        super().__init__(reason)
        self.peer = peer


class Network:
    """Create it, `serve` what you answer, `start`, `call`, `close`."""

    def __init__(
        self,
        identity: Identity,
        commons: bytes,
        clock: Clock,
        random: Randomness,
        is_member: Callable[[PublicKey], bool],
        on_block: Callable[[HalfBlock], None],
    ) -> None:
        """`is_member` decides who is answered and gossiped with; `on_block` takes unverified gossip of members."""
        self.identity, self.clock = identity, clock
        self._is_member, self._on_block = is_member, on_block
        self._services: dict[str, tuple[Service, bool]] = {}
        self._proven: dict[PublicKey, Address] = {}
        self._candidates: dict[PublicKey, list[Address]] = {}
        self._greeted: dict[PublicKey, Address] = {}
        self._silent: dict[PublicKey, float] = {}
        self._contacts: set[Address] = set()
        self._walker: asyncio.Task[None] | None = None
        self.address: Address = ("", 0)  # until started
        self._carrier = Carrier(identity, commons, self._on_quic, self._on_gossip)
        limits = StreamLimits(connections=64, connections_per_host=48)
        self._streams = Streams(identity, self._send_quic, clock, random, self._answer, limits, commons=commons)
        self.on_peer: Callable[[PublicKey], None] = lambda _: None
        self.on_proven: Callable[[PublicKey, Address], None] = lambda _, __: None

    @property
    def drops(self) -> Counter[str]:
        """What was dropped and why."""
        return self._carrier.drops + self._streams.drops

    def serve(self, service: str, handler: Service, *, strangers: bool = False) -> None:
        """Answer a service with `handler(peer, payload)`, whose Refusal is told to the asker."""
        self._services[service] = (handler, strangers)

    async def start(self, host: str, port: int) -> None:
        """Bind and begin to discover; raises PortInUse."""
        self.address = await self._carrier.open(host, port)
        self._walker = asyncio.create_task(self._walk())

    async def close(self) -> None:
        if self._walker is not None:
            self._walker.cancel()
            await asyncio.gather(self._walker, return_exceptions=True)
        await self._streams.close()
        await self._carrier.close()

    def add_contact(self, address: Address, peer: PublicKey | None = None) -> None:
        """Greet the node at an address until it answers; with `peer`, believe that this member may be there."""
        self._contacts.add(address)
        if peer is not None:
            self._add_candidate(peer, address)
        self._carrier.contact(address)

    def peers(self) -> list[PublicKey]:
        """The members with an address worth trying now, proven ones first: not those that were silent just before."""
        known = [*self._proven, *(peer for peer in self._candidates if peer not in self._proven)]
        recently = self.clock.monotonic() - SILENCE_SECONDS
        return [peer for peer in known if self._is_member(peer) and self._silent.get(peer, recently) <= recently]

    def online(self) -> list[PublicKey]:
        """The members that answered when last asked."""
        return [peer for peer in self._proven if self._is_member(peer)]

    def addresses(self) -> dict[PublicKey, Address]:
        """The proven address of each member."""
        return dict(self._proven)

    async def call(self, peer: PublicKey, service: str, payload: bytes, timeout: float = 10.0) -> bytes:
        """Ask a service of a member and return its answer. Raises CallFailed."""
        request = encode(Request(service, payload))
        reasons = []
        for address in self._addresses_of(peer):
            try:
                raw = await self._streams.request(peer, address, request, timeout=timeout)
            except StreamError as error:
                reasons.append(str(error))
                self._mark_silent(peer, address)
                continue
            self._mark_proven(peer, address)
            return self._read(peer, raw)
        raise CallFailed(peer, reasons[-1] if reasons else f"no address of {short(peer)} is known yet")

    def gossip(self, blocks: Iterable[HalfBlock]) -> None:
        """Send new blocks to some peers at once, each in one datagram; what is lost comes with the next heads."""
        receivers = [self._proven[peer] for peer in self.online()[:GOSSIP_FANOUT]]
        for block in blocks:
            for address in receivers:
                self._carrier.send(address, BLOCK_MESSAGE, block.pack())

    def _read(self, peer: PublicKey, raw: bytes) -> bytes:
        try:
            answer = decode(raw, Answer)
        except BadMessage as error:
            raise CallFailed(peer, f"{short(peer)} answered nonsense: {error}") from error
        if not answer.ok:
            raise CallFailed(peer, answer.refusal)
        return answer.payload

    async def _answer(self, peer: PublicKey, address: Address, raw: bytes) -> bytes:
        self._mark_proven(peer, address)
        try:
            request = decode(raw, Request)
            handler = self._handler_for(peer, request.service)
            return encode(Answer(True, await handler(peer, request.payload), ""))
        except (Refusal, BadMessage, StorageError) as refusal:
            self._carrier.drops[f"refused: {type(refusal).__name__}"] += 1
            return encode(Answer(False, b"", str(refusal)[:500]))

    def _handler_for(self, peer: PublicKey, service: str) -> Service:
        handler, strangers = self._services.get(service, (None, False))
        if handler is None:
            raise Refusal(f"this node has no service {service!r}")
        if not strangers and not self._is_member(peer):
            raise Refusal("only members of this commons are answered")
        return handler

    def _on_quic(self, address: Address, datagram: bytes) -> None:
        self._streams.receive(address, datagram)

    def _send_quic(self, address: Address, datagram: bytes) -> None:
        self._carrier.send(address, QUIC_MESSAGE, datagram)

    def _on_gossip(self, address: Address, datagram: bytes) -> None:
        try:
            block = unpack(datagram)
        except MalformedBlock:
            self._carrier.drops["gossip that is no block"] += 1
            return
        if self._is_member(block.public_key):
            self._on_block(block)
        else:
            self._carrier.drops["gossip of a stranger's block"] += 1

    async def _walk(self) -> None:
        while True:
            for contact in list(self._contacts):
                self._carrier.contact(contact)
            self._carrier.step()
            for peer, address in self._carrier.introduced():
                self._contacts.discard(address)
                self._add_candidate(peer, address)
            await self.clock.sleep(STEP_SECONDS)

    def _add_candidate(self, peer: PublicKey, address: Address) -> None:
        known = self._candidates.setdefault(peer, [])
        if address not in known and peer != self.identity.public_key:
            known.insert(0, address)
            del known[MAX_CANDIDATES:]
            self.on_peer(peer)

    def _addresses_of(self, peer: PublicKey) -> list[Address]:
        proven = [self._proven[peer]] if peer in self._proven else []
        return proven + [each for each in self._candidates.get(peer, []) if each not in proven]

    def _mark_proven(self, peer: PublicKey, address: Address) -> None:
        """A QUIC handshake has shown that `peer` is at `address`. A newcomer is proven before it is a member."""
        proven = self._proven.setdefault(peer, address)
        self._silent.pop(peer, None)
        self._add_candidate(peer, address)
        if self._greeted.get(peer) != proven and self._is_member(peer):
            self._greeted[peer] = proven
            self.on_proven(peer, proven)
            self.on_peer(peer)

    def _mark_silent(self, peer: PublicKey, address: Address) -> None:
        self._silent[peer] = self.clock.monotonic()
        if self._proven.get(peer) == address:
            del self._proven[peer]
            self._greeted.pop(peer, None)
