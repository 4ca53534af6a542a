"""How long honest members wait for one another while junk arrives at 20,000 packets a second.

    python -m experiments.junk_flood [--json] [--seconds N] [--rate N]

Three nodes of one commons run on the loopback; two of them ask the third, in turn and at once, for 300 bytes and give
300 bytes, and send it a signed block in one datagram now and then. First on a quiet line (`quiet_p50_ms`,
`quiet_p99_ms`), then while another process sends junk to the third from 100 addresses, 127.0.1.1 to 127.0.1.100, at
the given rate (`p50_ms`, `p99_ms`). The junk, in equal shares: bytes of no commons, unknown messages, forged
introductions, unsolicited introductions, puncture requests, QUIC datagrams of no connection, true first datagrams of
strangers' handshakes, and forged blocks of a member. `sent` and `arrived` say how much of it there was, `failed` counts
honest requests that got no answer, `cpu` is what the three nodes together use of one core. With --json the last line
is one JSON object.
"""

import argparse
import asyncio
import hashlib
import json
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import Identity, PublicKey
from overlay.network.community import BLOCK_MESSAGE, QUIC_MESSAGE
from overlay.network.network import CallFailed, Network
from overlay.network.streams import Streams
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock

LOOPBACK, SOURCES, RATE, SECONDS = "127.0.0.1", 100, 20_000, 10.0
COMMONS = bytes(20)
PREFIX = b"\x00\x02" + COMMONS
PAYLOAD = bytes(300)
# Pauses between requests: members talk, they do not flood.
PAUSE_SECONDS = 0.02
KINDS = 8


def person(role: str) -> Identity:
    """The member who plays this role."""
    return Identity.from_seed(hashlib.sha512(role.encode()).digest())


ROLES = ("farmer", "baker", "mechanic")
MEMBERS = {person(role).public_key for role in ROLES}


async def echo(peer: PublicKey, payload: bytes) -> bytes:
    """Give back what came."""
    return payload


async def handshakes(count: int, commons: bytes = COMMONS) -> list[bytes]:
    """The first datagrams of so many strangers' handshakes, as any program of ours would send them."""
    found: asyncio.Queue[bytes] = asyncio.Queue()
    first: list[bytes] = []
    for number in range(count):
        streams = Streams(
            person(f"stranger {number}"),
            lambda _, datagram: found.put_nowait(datagram),
            SystemClock(),
            SystemRandomness(),
            lambda peer, address, request: echo(peer, request),
            commons=commons,
        )
        asking = asyncio.ensure_future(streams.request(person("farmer").public_key, (LOOPBACK, 1), b"", timeout=10))
        first.append(await found.get())
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await streams.close()
    return first


def junk(kind: int, chance: random.Random, first: list[bytes]) -> bytes:
    """One packet of a kind; `first` are first datagrams of handshakes."""
    noise = chance.randbytes(200)
    signed = b"\x00\x4a" + person("baker").public_key + noise
    forged = HalfBlock(person("baker").public_key, chance.randrange(1, 1 << 32), ANYONE, 0, GENESIS_HASH, b"", noise, 0)
    return (
        noise,
        PREFIX + b"\x07" + noise,
        PREFIX + bytes([246]) + signed,
        PREFIX + bytes([245]) + signed,
        PREFIX + bytes([250]) + noise[:30],
        PREFIX + bytes([QUIC_MESSAGE, 0x40]) + noise,
        PREFIX + bytes([QUIC_MESSAGE]) + chance.choice(first),
        PREFIX + bytes([BLOCK_MESSAGE]) + forged.pack(),
    )[kind]


def flood(port: int, rate: int, seconds: float) -> int:
    """Send junk for so long; returns how many packets left."""
    chance = random.Random(1)
    sockets = []
    for number in range(1, SOURCES + 1):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((f"127.0.1.{number}", 0))
        made.connect((LOOPBACK, port))
        sockets.append(made)
    first = asyncio.run(handshakes(200))
    packets = [junk(number % KINDS, chance, first) for number in range(4_000)]
    print("begun", flush=True)
    sent, started = 0, time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        for _ in range(int(elapsed * rate) - sent):
            sockets[sent % SOURCES].send(packets[sent % len(packets)])
            sent += 1
        time.sleep(0.001)
    return sent


class Members:
    """Three nodes that know each other."""

    async def __aenter__(self) -> "Members":
        clock, chance = SystemClock(), SystemRandomness()
        self.heard: list[HalfBlock] = []
        self.nodes = [
            Network(person(role), COMMONS, clock, chance, MEMBERS.__contains__, self.heard.append) for role in ROLES
        ]
        self.target, *self.askers = self.nodes
        for node in self.nodes:
            node.serve("echo", echo)
            await node.start(LOOPBACK, 0)
        for asker in self.askers:
            asker.add_contact(self.target.address, self.target.identity.public_key)
            await asker.call(self.target.identity.public_key, "echo", PAYLOAD)
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes:
            await node.close()

    async def talk(self, until: float) -> tuple[list[float], int]:
        """Ask until then; returns how long each answer took, and how many failed."""
        outcomes = await asyncio.gather(*(self._ask(asker, until) for asker in self.askers))
        return [each for times, _ in outcomes for each in times], sum(failed for _, failed in outcomes)

    async def _ask(self, asker: Network, until: float) -> tuple[list[float], int]:
        times, failed = list[float](), 0
        while time.monotonic() < until:
            started = time.perf_counter()
            try:
                await asker.call(self.target.identity.public_key, "echo", PAYLOAD)
            except CallFailed:
                failed += 1
            times.append(time.perf_counter() - started)
            await asyncio.sleep(PAUSE_SECONDS)
        return times, failed


async def measure(rate: int, seconds: float) -> dict[str, float]:
    """The figures."""
    async with Members() as members:
        quiet, _ = await members.talk(time.monotonic() + seconds / 2)
        command = [sys.executable, "-m", "experiments.junk_flood", "--flood", str(members.target.address[1])]
        command += ["--rate", str(rate), "--seconds", str(seconds)]
        flooding = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert flooding.stdout is not None
        await flooding.stdout.readline()  # it begins
        worked, began = time.process_time(), time.monotonic()
        times, failed = await members.talk(began + seconds - 1)
        busy = (time.process_time() - worked) / (time.monotonic() - began)
        told, _ = await flooding.communicate()
        return {
            "packets_per_s": round(int(told) / seconds),
            "sent": int(told),
            "arrived": sum(members.target.drops.values()),
            "requests": len(times),
            "failed": failed,
            **milliseconds("quiet_", quiet),
            **milliseconds("", times),
            "cpu": round(busy, 2),
            "rss_mb": round(psutil.Process().memory_info().rss / (1 << 20), 1),
        }


def milliseconds(name: str, times: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    cuts = statistics.quantiles(times, n=100)
    return {f"{name}p50_ms": round(1e3 * cuts[49], 2), f"{name}p99_ms": round(1e3 * cuts[98], 2)}


def lines(figures: dict[str, float]) -> Iterator[str]:
    """For people."""
    for name, value in figures.items():
        yield f"{name:>14}  {value:,}"


def main() -> None:
    """Parse the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--flood", type=int, metavar="PORT", help="be the other process")
    chosen = parser.parse_args()
    if chosen.flood is not None:
        print(flood(chosen.flood, chosen.rate, chosen.seconds))
        return
    figures = asyncio.run(measure(chosen.rate, chosen.seconds))
    print(json.dumps(figures) if chosen.json else "\n".join(lines(figures)))


if __name__ == "__main__":
    main()
