"""How fast request streams are between two processes on this machine, and how much memory they take.

    python -m experiments.stream_throughput [--json] [--megabytes N] [--requests N]

A second process answers; this one asks, over UDP sockets on the loopback. `transfer_MB_s` is one answer of N times
10^6 bytes in pieces of 64 KiB, read as it comes. Requests of 300 bytes get 300 bytes back: one after the other (for
the latencies, in milliseconds), then 64 at a time. `handshake_ms` is the median of first requests, with the
connection that each has to make. Memory is resident set size in MiB: what importing the streams adds to a process
that has the event loop and the keys, what one connection and its first request add to that, and what each further
connection adds. With --json the last line is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import psutil

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import Identity, PublicKey
from overlay.network.quic_limits import StreamLimits
from overlay.network.streams import Streams

MEBIBYTE = 1 << 20
PIECE = bytes(64 << 10)
REQUEST = bytes(300)
AT_ONCE = 64
MEMBERS = 20
COMMONS = bytes(20)
# All members here share one host, which a node in earnest would not let take so many connections.
LIMITS = StreamLimits(connections=MEMBERS + 16, connections_per_host=MEMBERS + 8)

IMPORT_COST = """
import asyncio, psutil, overlay.keys
before = psutil.Process().memory_info().rss
import overlay.network.streams
print(psutil.Process().memory_info().rss - before)
"""

Address = tuple[str, int]


class Socket(asyncio.DatagramProtocol):
    """A UDP socket as the streams want it."""

    def __init__(self) -> None:
        self.receive: Callable[[Address, bytes], None] = lambda address, datagram: None
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.receive(addr, data)

    def send(self, address: Address, datagram: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(datagram, address)


async def answer(peer: PublicKey, address: Address, request: bytes) -> bytes | AsyncIterator[bytes]:
    """Ten bytes ask for so many bytes in pieces; anything else comes back."""
    return pieces(int.from_bytes(request)) if len(request) == 10 else request


async def pieces(size: int) -> AsyncIterator[bytes]:
    """`size` bytes."""
    for start in range(0, size, len(PIECE)):
        yield PIECE[: size - start]


def member(number: int) -> Identity:
    """The member who has this number here."""
    return Identity.from_seed(number.to_bytes(64))


async def open_streams(number: int) -> tuple[Streams, Address]:
    """Streams on a socket of their own, and its address."""
    loop = asyncio.get_running_loop()
    transport, socket = await loop.create_datagram_endpoint(Socket, local_addr=("127.0.0.1", 0))
    clock, random = SystemClock(), SystemRandomness()
    streams = Streams(member(number), socket.send, clock, random, answer, LIMITS, commons=COMMONS)
    socket.receive = streams.receive
    return streams, transport.get_extra_info("sockname")


async def serve() -> None:
    """The second process: says its port, answers until its standard input ends."""
    streams, address = await open_streams(0)
    print(address[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await streams.close()


class Asker:
    """One member that asks the second process."""

    def __init__(self, streams: Streams, port: int) -> None:
        self._streams = streams
        self._where = ("127.0.0.1", port)
        self._answerer = member(0).public_key

    async def ask(self) -> float:
        """One small request; returns how many milliseconds it took."""
        begin = time.perf_counter()
        await self._streams.request(self._answerer, self._where, REQUEST, timeout=30)
        return (time.perf_counter() - begin) * 1000

    async def fetch(self, size: int) -> float:
        """One long answer; returns the seconds it took."""
        begin = time.perf_counter()
        received = 0
        async with self._streams.open(self._answerer, self._where, size.to_bytes(10), patience=30) as answer:
            async for piece in answer:
                received += len(piece)
        assert received == size
        return time.perf_counter() - begin

    async def ask_many(self, count: int) -> float:
        """Small requests, some at a time; returns how many there were a second."""
        begin = time.perf_counter()

        async def one_after_the_other() -> None:
            for _ in range(count // AT_ONCE):
                await self.ask()

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
        return count // AT_ONCE * AT_ONCE / (time.perf_counter() - begin)


def resident() -> float:
    """Resident memory of this process, in MiB."""
    return psutil.Process().memory_info().rss / MEBIBYTE


def import_cost() -> float:
    """What importing the streams adds to a fresh process, in MiB."""
    return int(subprocess.check_output([sys.executable, "-c", IMPORT_COST])) / MEBIBYTE


async def connections(port: int) -> tuple[dict[str, float], Asker]:
    """Handshakes and what they cost; also returns the first asker, for the rest."""
    opened = [await open_streams(number) for number in range(1, MEMBERS + 1)]
    askers = [Asker(streams, port) for streams, _ in opened]
    before = resident()
    milliseconds = [await askers[0].ask()]
    with_one = resident()
    milliseconds += [await asker.ask() for asker in askers[1:]]
    figures = {
        "import_MiB": import_cost(),
        "first_connection_MiB": with_one - before,
        "further_connection_MiB": (resident() - with_one) / (MEMBERS - 1),
        "handshake_ms": statistics.median(milliseconds),
    }
    for streams, _ in opened[1:]:
        await streams.close()
    return figures, askers[0]


async def measure(port: int, megabytes: int, requests: int) -> dict[str, float]:
    """All figures, against the second process at `port`."""
    figures, asker = await connections(port)
    figures["transfer_MB_s"] = megabytes / await asker.fetch(megabytes * 1_000_000)
    latencies = [await asker.ask() for _ in range(requests)]
    cuts = statistics.quantiles(latencies, n=100)
    figures |= {"latency_p50_ms": cuts[49], "latency_p99_ms": cuts[98]}
    figures["requests_s_one_at_a_time"] = 1000 / statistics.fmean(latencies)
    figures[f"requests_s_{AT_ONCE}_at_a_time"] = await asker.ask_many(requests)
    figures["resident_MiB"] = resident()
    return figures


def main() -> None:
    """Parse the arguments, run both processes, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--requests", type=int, default=6400)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, "-m", "experiments.stream_throughput", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        figures = asyncio.run(measure(port, arguments.megabytes, arguments.requests))
        server.communicate()
    for name, figure in figures.items():
        print(f"{name:28} {figure:10.3f}")
    if arguments.json:
        print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
