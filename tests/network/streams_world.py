"""A small world for the stream tests: virtual time, an unreliable in-memory internet, members with known keys."""

import asyncio
import heapq
import random
import selectors
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from overlay.keys import Identity, PublicKey
from overlay.network.quic_errors import Address
from overlay.network.quic_limits import StreamLimits
from overlay.network.quic_serving import Handler
from overlay.network.streams import Streams

T = TypeVar("T")
COMMONS = bytes(range(20))


class Stuck(Exception):
    """Nothing is ready and no timer is set: the test would wait for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer when nothing else is left to do."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        self._virtual_now = 0.0

    def time(self) -> float:
        return self._virtual_now

    def _run_once(self) -> None:
        if not self._ready:
            self._drop_cancelled()
            if not self._scheduled:
                raise Stuck
            self._virtual_now = max(self._virtual_now, self._scheduled[0].when())
        super()._run_once()  # type: ignore[misc]

    def _drop_cancelled(self) -> None:
        """The base class would wait in real time for what comes after a cancelled timer."""
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1

    def pending_timers(self) -> list[asyncio.TimerHandle]:
        return [handle for handle in self._scheduled if not handle.cancelled()]


def run(scene: Coroutine[Any, Any, T]) -> T:
    """Run a scene in virtual time; tasks that fail unheard fail the test."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scene)


class LoopClock:
    """The running loop's time."""

    def now(self) -> int:
        return int(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SeededRandom:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


@dataclass
class Internet:
    """Carries datagrams between addresses: some are lost, doubled, delayed and so reordered, all by one seed."""

    seed: int = 0
    loss: float = 0.0
    doubling: float = 0.0
    delay: tuple[float, float] = (0.01, 0.01)
    trace: list[tuple[float, Address, Address, int]] = field(default_factory=list)
    sent: list[tuple[Address, Address, bytes]] = field(default_factory=list)
    receivers: dict[Address, Callable[[Address, bytes], None]] = field(default_factory=dict)

    sockets: dict[Address, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def next_seed(self) -> int:
        """Another for each node, also for one that was there before."""
        return self._chance.getrandbits(64)

    def sender(self, source: Address) -> Callable[[Address, bytes], None]:
        """How a node at this address sends, until another node takes the address over."""
        socket = self.sockets[source] = object()

        def send(target: Address, datagram: bytes) -> None:
            if self.sockets[source] is not socket:
                return
            self.trace.append((asyncio.get_running_loop().time(), source, target, len(datagram)))
            self.sent.append((source, target, datagram))
            for _ in range(self._copies()):
                asyncio.get_running_loop().call_later(
                    self._chance.uniform(*self.delay), self.deliver, source, target, datagram
                )

        return send

    def deliver(self, source: Address, target: Address, datagram: bytes) -> None:
        if target in self.receivers:
            self.receivers[target](source, datagram)

    def _copies(self) -> int:
        if self._chance.random() < self.loss:
            return 0
        return 2 if self._chance.random() < self.doubling else 1


def rough_internet(seed: int) -> Internet:
    """One datagram in ten is lost, one in ten arrives twice, none takes less than 5 ms or more than 60 ms."""
    return Internet(seed, loss=0.1, doubling=0.1, delay=(0.005, 0.06))


def identity(name: str) -> Identity:
    """The member who plays this role."""
    return Identity.from_seed(random.Random(name).randbytes(64))


def address(number: int) -> Address:
    return (f"10.0.0.{number}", 7759)


async def echo(peer: PublicKey, address: Address, request: bytes) -> bytes:
    return request


async def refuse_all(peer: PublicKey, address: Address, request: bytes) -> bytes:
    raise AssertionError("nobody was to reach this handler")


@dataclass
class Member:
    """One node: its key, its address, its streams."""

    key: PublicKey
    where: Address
    streams: Streams


def join(
    internet: Internet,
    name: str,
    number: int,
    serve: Handler = echo,
    limits: StreamLimits | None = None,
    commons: bytes = COMMONS,
    who: Identity | None = None,
) -> Member:
    """Put a node on the internet; one that is there already is replaced without a word, as by a crash."""
    where = address(number)
    who = who or identity(name)
    streams = Streams(
        who,
        internet.sender(where),
        LoopClock(),
        SeededRandom(internet.next_seed()),
        serve,
        limits,
        commons=commons,
    )
    internet.receivers[where] = streams.receive
    return Member(who.public_key, where, streams)


async def ask(asker: Member, answerer: Member, payload: bytes, timeout: float = 60.0) -> bytes:
    return await asker.streams.request(answerer.key, answerer.where, payload, timeout=timeout)


async def until(condition: Callable[[], bool]) -> None:
    """Let virtual time pass until the condition holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise Stuck


def answering(pieces: Callable[[], AsyncIterator[bytes]]) -> Handler:
    """A handler that answers every request with these pieces."""

    async def serve(peer: PublicKey, address: Address, request: bytes) -> AsyncIterator[bytes]:
        return pieces()

    return serve


def pattern(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


async def hundred_pieces() -> AsyncIterator[bytes]:
    for number in range(100):
        yield bytes([number]) * 10_000
