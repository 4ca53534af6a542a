"""One member's place in the commons: asking and answering, who is where, telling new blocks.

`call` asks one service of one member for a whole answer, `open` for a long one; `serve` and `serve_blocks` answer.
Only members are answered, except by services opened to strangers (joining). An address counts for a member once a
QUIC handshake there has proven its key.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from overlay.clock import Clock, Randomness
from overlay.keys import Identity, PublicKey, short
from overlay.network.answering import Answering, LongService, Refusal, Service
from overlay.network.carrier import ANY_HOST, Bind, Carrier
from overlay.network.community import BLOCK_MESSAGE, QUIC_MESSAGE
from overlay.network.endpoint import Address, UdpSocket
from overlay.network.gossip import Gossip
from overlay.network.lan import Lan
from overlay.network.messages import Answer, AskHello, BadMessage, Hello, Request, Unframer, decode, encode
from overlay.network.quic_errors import StreamError
from overlay.network.quic_limits import StreamLimits
from overlay.network.rates import ALL_HANDSHAKES, ALL_STRANGERS, HOST_HANDSHAKES, STRANGER_HOST, Allowance
from overlay.network.streams import Pieces, Streams
from overlay.network.whereabouts import Whereabouts
from overlay.trustchain.block import HalfBlock

HELLO = "hello"
# How often discovery takes a step; IPv8's own pace.
STEP_SECONDS = 0.5
# A handshake takes two round trips; who has not finished it by then is not there, or too busy to be of use.
HELLO_SECONDS = 3.0


class CallFailed(Exception):
    """A member could not be asked, or refused; the message says which, `peer` who, `refused` whether it answered."""

    def __init__(self, peer: PublicKey, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.peer, self.refused = peer, refused


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
        bind: Bind = UdpSocket,
    ) -> None:
        """`is_member` decides who is answered and gossiped with; `on_block` takes unverified gossip of members."""
        self.identity, self.clock = identity, clock
        self.on_peer: Callable[[PublicKey], None] = lambda _: None
        self.on_proven: Callable[[PublicKey, Address], None] = lambda _, __: None
        self._walker: asyncio.Task[None] | None = None
        self._whereabouts = Whereabouts(identity.public_key, clock, random, is_member, self._knock, self)
        self._answering = Answering(clock, self._whereabouts.is_member, self.count_drop)
        self._gossip = Gossip(clock, self._whereabouts, self._send_block, on_block, self.count_drop)
        self._carrier = Carrier(identity, commons, clock, self._whereabouts, self._on_quic, self._gossip.receive, bind)
        # Members of one household, and all nodes of a demonstration, share a host.
        limits = StreamLimits(connections=64, connections_per_host=48)
        self._streams = Streams(identity, self._send_quic, clock, random, self._answer, limits, commons=commons)
        self._lan = Lan(commons, clock, random, self._carrier.name, self.count_drop)
        self._datagrams: Allowance[str] = Allowance(clock, STRANGER_HOST, ALL_STRANGERS)
        self._handshakes: Allowance[str] = Allowance(clock, HOST_HANDSHAKES, ALL_HANDSHAKES)
        self.serve(HELLO, self._hello, strangers=True)

    @property
    def address(self) -> Address:
        """Where the socket is bound; ("", 0) until started."""
        return self._whereabouts.address

    @property
    def drops(self) -> Counter[str]:
        """What was dropped and why."""
        return self._carrier.drops + self._streams.drops

    def count_drop(self, reason: str) -> None:
        """Something that a peer sent was of no use. Reasons are our own words, so that they are few."""
        self._carrier.drops[reason] += 1

    def serve(self, service: str, handler: Service, *, strangers: bool = False) -> None:
        """Answer a service with `handler(peer, payload)`, whose Refusal is told to the asker."""
        self._answering.serve(service, handler, strangers=strangers)

    def serve_blocks(self, service: str, handler: LongService) -> None:
        """Answer a service with pieces of any number, sent at the asker's pace."""
        self._answering.serve_blocks(service, handler)

    async def start(self, host: str, port: int, *, lan: bool = False) -> None:
        """Bind and begin to discover; raises PortInUse. With `lan`, a node that listens on all of its machine's
        addresses also looks for members on the local network."""
        self._whereabouts.address = await self._carrier.open(host, port)
        if lan and host == ANY_HOST:
            self._lan.open(self.address[1])
        self._walker = asyncio.create_task(self._walk())

    async def close(self) -> None:
        """End everything: no task, timer or socket is left."""
        if self._walker is not None:
            self._walker.cancel()
            await asyncio.gather(self._walker, return_exceptions=True)
        self._lan.close()
        await self._whereabouts.close()
        await self._streams.close()
        await self._carrier.close()

    def add_contact(self, address: Address, peer: PublicKey | None = None) -> None:
        """Greet the node at an address until it answers; with `peer`, believe that this member may be there.

        A host name is resolved first; an address that this node's socket cannot reach is counted and ignored.
        """
        self._whereabouts.add_contact(address, peer)

    def follow_members(self, members: Callable[[], set[PublicKey]]) -> None:
        """Ask a set of members that is kept up to date, from now on, instead of `is_member`."""
        self._whereabouts.follow_members(members)

    def peers(self) -> list[PublicKey]:
        """The members with an address worth trying now, proven ones first: not those that were silent just before."""
        return self._whereabouts.peers()

    def online(self) -> list[PublicKey]:
        """The members that answered when last asked."""
        return list(self._whereabouts.online())

    def addresses(self) -> dict[PublicKey, Address]:
        """The proven address of each member."""
        return self._whereabouts.online()

    def gossip(self, blocks: Iterable[HalfBlock]) -> None:
        """Send new blocks to some peers at once, each in one datagram; what is lost comes with the next heads."""
        self._gossip.tell(blocks)

    async def call(self, peer: PublicKey, service: str, payload: bytes, timeout: float = 10.0) -> bytes:
        """Ask a service of a member and return its answer; `timeout` covers everything. Raises CallFailed."""
        request, loop = encode(Request(service, payload)), asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            address = await self._locate(peer, deadline - loop.time())
            try:
                with self._whereabouts.dialling(address):
                    left = max(0.0, deadline - loop.time())
                    raw = await self._streams.request(peer, address, request, timeout=left)
            except StreamError as error:
                if not self._whereabouts.failed(peer, address, error) or loop.time() >= deadline:
                    raise CallFailed(peer, str(error)) from error
                continue  # it has left that place: look for it, once per place
            self._whereabouts.prove(peer, address)
            return self._read(peer, raw)

    @asynccontextmanager
    async def open(
        self, peer: PublicKey, service: str, payload: bytes, patience: float = 10.0
    ) -> AsyncIterator["LongAnswer"]:
        """Ask a service of a member for a long answer: lists of frames, as they come.

        `patience` is how many seconds may pass without a byte. Raises CallFailed, also while the answer is read.
        """
        address = await self._locate(peer, patience)
        request = encode(Request(service, payload))
        try:
            with self._whereabouts.dialling(address):
                async with self._streams.open(peer, address, request, patience=patience) as pieces:
                    yield LongAnswer(pieces, peer, self._read)
        except StreamError as error:
            self._whereabouts.failed(peer, address, error)
            raise CallFailed(peer, str(error)) from error
        self._whereabouts.prove(peer, address)

    # What whereabouts want of us

    def greet(self, address: Address) -> None:
        """Ask the node at an address to introduce itself and others."""
        self._carrier.greet(address)

    def member_seen(self, peer: PublicKey) -> None:
        """There is news about where a member is."""
        self.on_peer(peer)

    def member_proven(self, peer: PublicKey, address: Address) -> None:
        """A member is proven to be at another address than before."""
        self.on_proven(peer, address)

    def member_moved(self, peer: PublicKey, address: Address) -> None:
        """What waits for a member elsewhere need wait no longer."""
        self._streams.moved(peer, address)

    async def _knock(self, peer: PublicKey, address: Address, near: PublicKey) -> Address | None:
        """Ask for a sign of life, and a member for others, those near to a key above all; where it says that this one
        is. Raises StreamError."""
        request = encode(Request(HELLO, encode(AskHello(near))))
        with self._whereabouts.dialling(address):
            raw = await self._streams.request(peer, address, request, timeout=HELLO_SECONDS)
        try:
            known = decode(self._read(peer, raw), Hello).known
        except (CallFailed, BadMessage):
            return None  # whatever it says, it is there
        # One place for each: an answer can't fill all that is kept of a member's claims.
        told = {PublicKey(each.key): (each.host, each.port) for each in known if self._whereabouts.is_member(peer)}
        for member, place in told.items():
            self._whereabouts.claimed(member, place, None)
        return told.get(near)

    async def _hello(self, peer: PublicKey, payload: bytes) -> bytes:
        """Being answered says it all; members are told where some others are. Who is sought opens the way for them."""
        near = PublicKey(decode(payload, AskHello).near)
        way = self._whereabouts.way_to(near, peer)
        if way is not None:
            self._carrier.open_way(*way)
        return encode(Hello(self._whereabouts.neighbours(peer, near)))

    async def _locate(self, peer: PublicKey, seconds: float) -> Address:
        found = await self._whereabouts.locate(peer, seconds)
        if found is None:
            known = self._whereabouts.has_address(peer)
            raise CallFailed(
                peer,
                f"{short(peer)} answers at none of its known addresses"
                if known
                else f"no address of {short(peer)} is known that this node could reach",
            )
        return found

    async def _walk(self) -> None:
        while True:
            self._lan.step()
            self._whereabouts.step()
            self._carrier.greet_named()
            for address in self._whereabouts.meetings.to_greet():
                self._carrier.greet(address)
            await self.clock.sleep(STEP_SECONDS)

    async def _answer(self, peer: PublicKey, address: Address, raw: bytes) -> bytes | AsyncIterator[bytes]:
        self._whereabouts.prove(peer, address)
        return await self._answering.answer(peer, address, raw)

    def _read(self, peer: PublicKey, raw: bytes) -> bytes:
        try:
            answer = decode(raw, Answer)
        except BadMessage as error:
            self.count_drop("answer that cannot be read")
            raise CallFailed(peer, f"{short(peer)} answered nonsense: {error}", refused=True) from error
        if not answer.ok:
            raise CallFailed(peer, plain(answer.refusal), refused=True)
        return answer.payload

    # Datagrams

    def _on_quic(self, address: Address, datagram: bytes) -> None:
        reason = self._is_unwelcome(address, datagram)
        if reason is None:
            self._streams.receive(address, datagram)
        else:
            self.count_drop(reason)

    def _is_unwelcome(self, address: Address, datagram: bytes) -> str | None:
        """Cheap checks before QUIC looks at a datagram; why it is dropped, None when it is not."""
        if self._whereabouts.is_awaited(address) or self._whereabouts.is_proven(address):
            return None
        if not self._datagrams.take(address[0]):
            return "too many datagrams of strangers"
        if _begins_handshake(datagram) and not self._handshakes.take(address[0]):
            return "too many handshakes of strangers"
        return None

    def _send_quic(self, address: Address, datagram: bytes) -> None:
        self._carrier.send(address, QUIC_MESSAGE, datagram)

    def _send_block(self, address: Address, raw: bytes) -> None:
        self._carrier.send(address, BLOCK_MESSAGE, raw)


class LongAnswer:
    """A long answer as it arrives: an async iterator of lists of frames that are not empty. Raises CallFailed."""

    def __init__(self, pieces: Pieces, peer: PublicKey, read: Callable[[PublicKey, bytes], bytes]) -> None:
        self._pieces, self._peer, self._read = pieces, peer, read
        self._unframer, self._is_begun = Unframer(), False

    def __aiter__(self) -> AsyncIterator[list[bytes]]:
        return self

    async def __anext__(self) -> list[bytes]:
        async for piece in self._pieces:
            found = self._frames(piece)
            if found and not self._is_begun:
                self._is_begun = True
                self._read(self._peer, found.pop(0))
            if found:
                return found
        if not self._is_begun or not self._unframer.is_whole:
            raise CallFailed(self._peer, f"{short(self._peer)} broke off its answer")
        raise StopAsyncIteration

    def _frames(self, piece: bytes) -> list[bytes]:
        try:
            return self._unframer.feed(piece)
        except BadMessage as error:
            raise CallFailed(self._peer, f"{short(self._peer)} answered nonsense: {error}", refused=True) from error


def plain(text: str) -> str:
    """A peer's words without what would act on a terminal: control characters, escapes, changes of direction."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _begins_handshake(datagram: bytes) -> bool:
    """Whether a datagram begins with an Initial packet (RFC 9000 section 17.2.2)."""
    return bool(datagram) and datagram[0] & 0xF0 == 0xC0


__all__ = ["CallFailed", "LongAnswer", "Network", "Refusal", "plain"]
