"""The network of a simulation: request streams and datagrams between nodes of one process, with faults.

Doubled are exactly two layers. `SimulatedStreams` stands in for the QUIC request streams, whose handshakes draw their
randomness from the operating system; `SimulatedSocket` for the UDP socket under the IPv8 community. Everything above
them is the real thing. A request can be lost, its answer can be lost after it was carried out, and it can be carried
out twice; datagrams are lost, doubled, damaged, and overtake each other.
"""

import asyncio
import contextvars
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address

from overlay.keys import Identity, PublicKey
from overlay.network.community import BLOCK_MESSAGE, PREFIX_BYTES
from overlay.network.endpoint import Address, Socket
from overlay.network.messages import BadMessage, Request, decode
from overlay.network.network import Network, Refusal
from overlay.network.quic_errors import (
    Code,
    PeerUnreachable,
    RequestTimedOut,
    StreamRefused,
    StreamsClosed,
    WrongPeer,
)
from overlay.trustchain.store import StorageError
from tests.simulation.trace import Trace
from tests.simulation.virtual_time import VirtualLoop

Serve = Callable[[PublicKey, Address, bytes], Awaitable[bytes | AsyncIterator[bytes]]]
NOWHERE = ("0.0.0.0", 0)
# Pieces of an answer on their way before the sender waits for the reader, as a stream's window makes it.
WINDOW = 2
# Requests that are kept, to be sent again damaged.
LATEST = 20
# What a handler may end with after it has begun to answer; anything else is a fault of the node.
LATE_REFUSALS = (Refusal, BadMessage, StorageError)


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances of each fault per message, and how long a message takes in seconds."""

    lost: float = 0.0
    answer_lost: float = 0.0
    doubled: float = 0.0
    damaged: float = 0.0
    quickest: float = 0.005
    slowest: float = 0.02


FAIR = Weather()
FOUL = Weather(lost=0.08, answer_lost=0.08, doubled=0.06, damaged=0.03, quickest=0.005, slowest=0.8)


class Host:
    """One node's place on the network, for as long as the node runs. Its handlers run in the node's own context."""

    def __init__(self, internet: "Internet", name: str, identity: Identity, address: Address) -> None:
        self.internet, self.name, self.identity, self.address = internet, name, identity, address
        self.context = contextvars.copy_context()
        self.serve: Serve | None = None
        self.socket: SimulatedSocket | None = None
        self.is_up = False


class Internet:
    """Who is where, who can reach whom, and how the weather is. `on_leave` sees all that leaves a node.

    `befallen` counts what has gone wrong, `sent` what has left nodes, by their names; `on_crash` ends a node on either
    side of something it sends.
    """

    def __init__(self, loop: VirtualLoop, random: Random, trace: Trace) -> None:
        self.loop, self.random, self.trace = loop, random, trace
        self.weather = FAIR
        self.hosts: dict[Address, Host] = {}
        self.sides: dict[str, int] = {}
        self.requests: deque[bytes] = deque(maxlen=LATEST)
        self.on_leave: Callable[[str, bytes], None] = lambda name, raw: None
        self.on_crash: Callable[[str, str], None] = lambda name, when: None
        self.crash_at_send = 0.0
        self.befallen: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    def connects(self, one: str, other: str) -> bool:
        return self.sides.get(one, 0) == self.sides.get(other, 0)

    def happens(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance

    def leaves(self, name: str, kind: str, raw: bytes) -> bool:
        """Something leaves a node, unless the node crashes just before; it may also crash just after."""
        crashes = self.happens(self.crash_at_send)
        if crashes and self.random.random() < 0.5:
            self.on_crash(name, "before it sends")
            return False
        self.sent[kind] += 1
        self.on_leave(name, raw)
        if crashes:
            self.loop.call_soon(self.on_crash, name, "after it has sent")
        return True

    def delay(self) -> float:
        return self.random.uniform(self.weather.quickest, self.weather.slowest)

    def copies(self) -> int:
        """How often a message arrives that arrives."""
        if not self.happens(self.weather.doubled):
            return 1
        self.befallen["message doubled"] += 1
        return 2

    def find(self, sender: Host, address: Address) -> Host | None:
        """Who hears a message that arrives now; None where it is lost on the way."""
        found = self.hosts.get(address)
        if found is None or not found.is_up:
            return None
        if not self.connects(sender.name, found.name):
            self.befallen["message into a partition"] += 1
            return None
        if self.happens(self.weather.lost):
            self.befallen["message lost"] += 1
            return None
        return found

    def damage(self, raw: bytes) -> bytes:
        """One bit of it turned over, or its end cut off."""
        self.befallen["message damaged"] += 1
        if not raw:
            return b"\xff"
        at = self.random.randrange(len(raw))
        if self.random.random() < 0.5:
            return raw[:at]
        return raw[:at] + bytes([raw[at] ^ 1 << self.random.randrange(8)]) + raw[at + 1 :]


class SimulatedSocket(Socket):
    """Datagrams under the real community: gossip and introductions."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        host.socket = self

    async def open(self) -> bool:
        self._host.is_up = True
        self._host.internet.hosts[self._host.address] = self._host
        return True

    def is_open(self) -> bool:
        return self._host.is_up

    def get_address(self) -> Address:
        return self._host.address if self._host.is_up else NOWHERE

    def send(self, socket_address: Address, packet: bytes) -> None:
        net, to = self._host.internet, (socket_address[0], socket_address[1])
        kind = "gossip" if packet[PREFIX_BYTES] == BLOCK_MESSAGE else "introduction"
        if not self._host.is_up or not net.leaves(self._host.name, kind, packet[PREFIX_BYTES + 1 :]):
            return
        for _ in range(net.copies()):
            raw = net.damage(packet) if net.happens(net.weather.damaged) else packet
            net.loop.call_later(net.delay(), self._arrive, to, raw)

    def close(self) -> None:
        self._host.is_up = False

    def _arrive(self, address: Address, raw: bytes) -> None:
        found = self._host.internet.find(self._host, address)
        if found is not None and found.socket is not None:
            found.context.copy().run(found.socket.take, self._host.address, raw)

    def take(self, sender: Address, raw: bytes) -> None:
        """A datagram has come."""
        if raw[: self.prefixlen] in self._prefix_map:
            self.notify_listeners((UDPv4Address(*sender), raw))


class SimulatedStreams:
    """Requests and answers of any length. What is lost ends when the asker's patience does, as with QUIC."""

    def __init__(self, host: Host, serve: Serve) -> None:
        self._host, self.drops, self._closed = host, Counter[str](), False
        host.serve = serve

    def receive(self, address: Address, datagram: bytes) -> None:
        self.drops["a QUIC datagram where there is no QUIC"] += 1

    def moved(self, peer: PublicKey, address: Address) -> None:
        """As `Streams.moved`; here nobody moves while somebody waits for it."""

    async def close(self) -> None:
        self._closed = True

    async def request(
        self, peer: PublicKey, address: Address, payload: bytes, *, timeout: float, limit: int | None = None
    ) -> bytes:
        """As `Streams.request`."""
        talk = self._talk(peer, address, payload)
        try:
            async with asyncio.timeout(timeout):
                await talk.begin()
                return b"".join([piece async for piece in talk.pieces()])
        except TimeoutError as error:
            raise talk.late(timeout) from error
        finally:
            talk.end()

    @asynccontextmanager
    async def open(
        self, peer: PublicKey, address: Address, payload: bytes, *, patience: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """As `Streams.open`."""
        talk = self._talk(peer, address, payload)
        try:
            try:
                async with asyncio.timeout(patience):
                    await talk.begin()
            except TimeoutError as error:
                raise talk.late(patience) from error
            yield talk.pieces(patience)
        finally:
            talk.end()

    def _talk(self, peer: PublicKey, address: Address, payload: bytes) -> "_Talk":
        if self._closed or not self._host.is_up:
            raise StreamsClosed(peer, address)
        return _Talk(self._host, peer, address, payload)


class _Talk:
    """One request and its answer."""

    def __init__(self, me: Host, peer: PublicKey, address: Address, payload: bytes) -> None:
        self._me, self._peer, self._address, self._payload = me, peer, address, payload
        self._what = _service_of(payload)
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(WINDOW)
        self._found: Host | None = None
        self._task: asyncio.Task[None] | None = None
        self._pieces_until_lost = -1
        self._is_over = False

    async def begin(self) -> None:
        """Let the request arrive; waits for ever when it is lost."""
        net, me = self._me.internet, self._me
        if not net.leaves(me.name, self._what, self._payload):
            await _silence()
        # Whole mail is shown to nobody but its receiver: what it holds is private.
        net.requests.append(self._payload[: len(self._payload) // 2] if self._what == "facts" else self._payload)
        # What is on its way arrives, whatever becomes of the asker meanwhile.
        arrived = net.loop.create_future()
        net.loop.call_later(net.delay(), self._arrive, arrived)
        await arrived

    def _arrive(self, arrived: "asyncio.Future[None]") -> None:
        net, me = self._me.internet, self._me
        found = net.find(me, self._address)
        if found is None:
            net.trace.tell(me.name, f"asks {self._what} at {self._address[0]}: lost")
            return
        if found.identity.public_key != self._peer:
            if not arrived.done():
                arrived.set_exception(WrongPeer(self._peer, self._address, found.identity.public_key))
            return
        self._found = found
        for _ in range(net.copies() - 1):
            self._carry_out(found, asyncio.Queue())
        net.trace.tell(found.name, f"is asked {self._what} by {me.name}")
        self._pieces_until_lost = net.random.randrange(3) if net.happens(net.weather.answer_lost) else -1
        self._task = self._carry_out(found, self._queue)
        if not arrived.done():
            arrived.set_result(None)
        if self._is_over:
            self.end()

    async def pieces(self, patience: float | None = None) -> AsyncIterator[bytes]:
        """The answer as it comes."""
        while True:
            try:
                async with asyncio.timeout(patience):
                    piece = await self._next()
            except TimeoutError as error:
                raise self.late(patience or 0.0) from error
            if piece is None:
                return
            yield piece

    def late(self, seconds: float) -> Exception:
        if self._found is None:
            return PeerUnreachable(self._peer, self._address, f"nothing heard for {seconds:g} s")
        return RequestTimedOut(self._peer, self._address, seconds)

    def end(self) -> None:
        """The asker wants no more: the handler is told, unless it has finished, after the way there."""
        self._is_over = True
        if self._task is not None and not self._task.done():
            self._me.internet.loop.call_later(self._me.internet.delay(), self._task.cancel)

    async def _next(self) -> bytes | None:
        net, found = self._me.internet, self._found
        assert found is not None
        piece = await self._queue.get()
        if self._pieces_until_lost == 0 or not net.connects(found.name, self._me.name):
            net.trace.tell(found.name, f"answers {self._what} of {self._me.name}: lost")
            net.befallen["answer lost"] += 1
            await _silence()
        self._pieces_until_lost -= 1
        if isinstance(piece, Exception):
            raise piece
        if piece is not None:
            if not net.leaves(found.name, f"answer to {self._what}", piece):
                await _silence()
            await asyncio.sleep(net.delay())
        return piece

    def _carry_out(self, found: Host, queue: "asyncio.Queue[bytes | Exception | None]") -> asyncio.Task[None]:
        """Start the handler as a task of the node that is asked: it dies with it, and the answer never comes."""
        loop, me, serve, payload = self._me.internet.loop, self._me, found.serve, self._payload
        assert serve is not None

        async def work() -> None:
            try:
                answer = await serve(me.identity.public_key, me.address, payload)
                if isinstance(answer, bytes):
                    await queue.put(answer)
                else:
                    async for piece in answer:
                        await queue.put(piece)
            except LATE_REFUSALS:
                await queue.put(StreamRefused(found.identity.public_key, found.address, Code.FAILED))
            await queue.put(None)

        def look(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                loop.alarms.append(f"a handler of {found.name} failed: {error!r}")

        task = loop.create_task(work(), context=found.context.copy())
        task.add_done_callback(look)
        return task


class SimulatedNetwork(Network):
    """The real one, on simulated streams."""

    def put_on(self, host: Host) -> None:
        self._streams = SimulatedStreams(host, self._answer)  # type: ignore[assignment]


async def _silence() -> None:
    """Nothing comes. It is the asker's patience that ends this."""
    await asyncio.get_running_loop().create_future()


def _service_of(payload: bytes) -> str:
    try:
        return decode(payload, Request).service
    except BadMessage:
        return "nonsense"
