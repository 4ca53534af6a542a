"""How fast a new member's node fetches, checks and stores the chains of a commons.

    python -m experiments.sync_throughput [--json] [--blocks N] [--chains N]

A second process holds a ledger with N blocks, spread over the chains of so many members, and serves them as any node
does. This process is a node that has just been let in: it compares heads, fetches every chain over QUIC streams on the
loopback, checks every signature, and stores and folds every block with the views of a whole node, on disk with
`synchronous=FULL`. The clock runs from the first comparison to the moment in which nothing is missing. Blocks are
proposals of exchanges, 331 bytes each. `fetching_cpu_us` and `serving_cpu_us` are microseconds of processor per block
in each of the two processes. `peak_rss_mb` is the largest resident set in MiB of this process, and
`grown_mb` what fetching added to it. With --json the last line is one JSON object.
"""

import argparse
import asyncio
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from overlay.clock import SystemClock, SystemRandomness
from overlay.content.tallies import TalliesView
from overlay.dao.assembly.groups import GroupsView
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView, member_keys
from overlay.keys import Identity
from overlay.meritrank.feedback import FeedbackView
from overlay.network.network import Network
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import AdmitMember, FoundCommons, ProposeExchange, encode
from overlay.trustchain.view import View

BLOCKS, CHAINS = 100_000, 10
LOOPBACK = "127.0.0.1"
BATCH = 1_000
COLLECTOR, NEWCOMER = "collector", "newcomer"


class Member:
    """One node without content and treasury: ledger, network, sync."""

    def __init__(self, role: str, folder: Path, synchronous: str = "FULL") -> None:
        self.identity = person(role)
        clock, random = SystemClock(), SystemRandomness()
        views: list[View] = [MembersView(), HoldingsView(), FeedbackView(), TalliesView(), GroupsView()]
        self.ledger = Ledger(folder / f"{role}.db", self.identity, views, clock, random, synchronous)  # type: ignore[arg-type]
        self.random, self.clock = random, clock

    async def enter(self, commons: bytes) -> None:
        members = member_keys(self.ledger.db, commons)
        self.network = Network(
            self.identity, commons, self.clock, self.random, members.__contains__, lambda block: None
        )
        self.sync = Sync(self.ledger, self.network, lambda: member_keys(self.ledger.db, commons))
        await self.network.start(LOOPBACK, 0)

    async def leave(self) -> None:
        await self.sync.close()
        await self.network.close()
        self.ledger.close()


def person(role: str) -> Identity:
    """The member who plays this role."""
    return Identity.from_seed(hashlib.sha512(role.encode()).digest())


def proposals(author: Identity, count: int) -> Iterator[HalfBlock]:
    """A chain of so many proposals of exchanges."""
    previous = GENESIS_HASH
    for sequence in range(1, count + 1):
        body = hashlib.sha256(author.public_key + sequence.to_bytes(8)).digest()
        kind, transaction = encode(ProposeExchange(1_800_000_000_000, body, 1, None))
        block = HalfBlock(author.public_key, sequence, ANYONE, 0, previous, kind, transaction, 0)
        block = block.signed_by(author)
        previous = block.hash
        yield block


async def fill(member: Member, count: int, chains: int) -> bytes:
    """Found a commons and store the chains of its members; returns the commons' id."""
    authors = [person(f"author {number}") for number in range(chains)]
    charter = await member.ledger.append(FoundCommons("commons", "", 1))
    for guest in (person(NEWCOMER), *authors):
        await member.ledger.append(
            AdmitMember(guest.public_key),
        )
    for author in authors:
        chain = list(proposals(author, count // chains))
        for start in range(0, len(chain), BATCH):
            part = chain[start : start + BATCH]
            await member.ledger.transact(lambda tx, part=part: [tx.store(block) for block in part])  # type: ignore[misc]
    return charter.hash[:20]


async def serve(folder: Path, count: int, chains: int) -> None:
    """The second process: says where it is, and ends with its standard input."""
    member = Member(COLLECTOR, folder, "NORMAL")
    commons = await fill(member, count, chains)
    await member.enter(commons)
    host, port = member.network.address
    told = [block.pack().hex() for block in blocks.chain(member.ledger.db, member.identity.public_key, 1, 10**6, 10**6)]
    print(json.dumps([commons.hex(), host, port, told]), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await member.leave()


async def fetch(folder: Path, hello: str) -> tuple[float, float, int, int]:
    """Seconds, seconds of processor, blocks fetched, and resident bytes before."""
    commons, host, port, told = json.loads(hello)
    member = Member(NEWCOMER, folder)
    await member.ledger.ingest([blocks_of(raw) for raw in told])
    await member.enter(bytes.fromhex(commons))
    member.network.add_contact((host, port), person(COLLECTOR).public_key)
    before, resident = count_blocks(member), psutil.Process().memory_info().rss
    started, worked = time.perf_counter(), time.process_time()
    behind = -1
    while behind != (behind := count_blocks(member)):
        await member.sync.with_peer(person(COLLECTOR).public_key)
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    await member.leave()
    return seconds, processor, behind - before, resident


def blocks_of(raw: str) -> HalfBlock:
    """One block of the hexadecimal form in which the second process tells the charter and the admissions."""
    from overlay.trustchain.block import unpack

    return unpack(bytes.fromhex(raw))


def count_blocks(member: Member) -> int:
    """How many blocks its ledger holds."""
    return int(member.ledger.db.execute("SELECT count(*) FROM block").fetchone()[0])


def measure(count: int, chains: int) -> dict[str, float]:
    """Run both processes; returns the figures."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "experiments.sync_throughput", "--serve", folder]
        command += ["--blocks", str(count), "--chains", str(chains)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            try:
                hello = other.stdout.readline()
                earlier = sum(psutil.Process(other.pid).cpu_times()[:2])
                seconds, processor, fetched, resident = asyncio.run(fetch(Path(folder), hello))
                serving = sum(psutil.Process(other.pid).cpu_times()[:2]) - earlier
            finally:
                other.terminate()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "blocks": fetched,
        "seconds": round(seconds, 2),
        "blocks_per_s": round(fetched / seconds),
        "fetching_cpu_us": round(1e6 * processor / fetched, 1),
        "serving_cpu_us": round(1e6 * serving / fetched, 1),
        "peak_rss_mb": round(peak / (1 << 20), 1),
        "grown_mb": round((peak - resident) / (1 << 20), 1),
    }


def main() -> None:
    """Parse the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--chains", type=int, default=CHAINS)
    parser.add_argument("--serve", type=Path)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        asyncio.run(serve(chosen.serve, chosen.blocks, chosen.chains))
        return
    figures = measure(chosen.blocks, chosen.chains)
    print(
        json.dumps(figures) if chosen.json else "\n".join(f"{name:>14}  {value:,}" for name, value in figures.items())
    )


if __name__ == "__main__":
    main()
