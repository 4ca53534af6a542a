"""How many agreements a second two nodes reach over the network, everything on disk, and how long one takes.

    python -m experiments.exchange_throughput [--json] [--seconds S] [--lanes N] [--rounds N]

Two processes on UDP loopback, each with the ledger and all views of a node (WAL, synchronous=FULL), its network, sync,
courier and gossip, and the reactions of a node. This process is the giver and issuer: for each agreement it signs a
proposal; the other checks and countersigns it; this one gives its word as issuer. Three blocks, on disk at both ends.

`agreements_per_s`: N exchanges are kept under way; counted when the word of the last is on both disks. `p50_ms` and
`p99_ms`: at half of that rate, evenly spaced, from the moment at which an exchange was due to the moment at which both
halves and the word are on the giver's disk; `told_p50_ms` and `told_p99_ms` until the word is on the receiver's disk
too. `ceiling_per_s`: the same three signatures, three verifications and all inserts on both sides in this one process
with nothing between them (`exchange_ceiling`), measured in the same run; `ratio` compares. `giver_cpu_us` and
`receiver_cpu_us` are microseconds of processor for one agreement in each process; `load` is the machine's load average
at the end: above 2 on two cores, other programs took part of the time. With --json the last line is one JSON object.
"""

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from experiments import exchange_ceiling
from overlay.clock import SystemClock, SystemRandomness
from overlay.content.tallies import TalliesView
from overlay.dao.assembly.groups import GroupsView
from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView, member_keys
from overlay.economy.standing import Standing, standing
from overlay.keys import Identity
from overlay.meritrank.feedback import FeedbackView
from overlay.network.courier import Courier
from overlay.network.network import Network
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock, unpack
from overlay.trustchain.ledger import Changes, Ledger, meaning
from overlay.trustchain.statements import AdmitMember, FoundCommons, Mint, ProposeExchange, Witness
from overlay.trustchain.view import View

LOOPBACK = "127.0.0.1"
HOUR = 3_600_000
STOCK = 1_000_000
SECONDS, LANES, ROUNDS = 10.0, 256, 2
GIVER, RECEIVER = "giver", "receiver"


class Member:
    """One node without content and interfaces; `finals` tells when the word on each exchange was on its disk."""

    def __init__(self, role: str, folder: Path) -> None:
        self.identity = person(role)
        self.clock, self.random = SystemClock(), SystemRandomness()
        views: list[View] = [MembersView(), HoldingsView(), FeedbackView(), TalliesView(), GroupsView()]
        self.ledger = Ledger(folder / f"{role}.db", self.identity, views, self.clock, self.random)
        self.finals: dict[BlockHash, float] = {}
        self.on_final = list[Any]()
        self._undecided = list[BlockHash]()
        self._waiting: asyncio.Queue[Changes] = asyncio.Queue()

    async def enter(self, commons: bytes) -> None:
        """Begin to listen, compare, deliver, gossip and react, as a node does that belongs to a commons."""
        members = member_keys(self.ledger.db, commons)
        on_block = lambda block: None  # noqa: E731 - what is gossiped here comes by parcel or sync as well
        self.network = Network(self.identity, commons, self.clock, self.random, members.__contains__, on_block)
        self.sync = Sync(self.ledger, self.network, lambda: member_keys(self.ledger.db, commons))
        self.courier = Courier(self.ledger, self.network, self.sync)
        await self.network.start(LOOPBACK, 0)
        self.network.on_peer = self.courier.wake
        self.ledger.listeners.append(self._on_changes)
        self.sync.start()
        self._reacting = asyncio.create_task(self._react())
        self._reacting.add_done_callback(_report)

    async def leave(self) -> None:
        self._reacting.cancel()
        await asyncio.gather(self._reacting, return_exceptions=True)
        await self.sync.close()
        await self.courier.close()
        await self.network.close()
        self.ledger.close()

    def _on_changes(self, changes: Changes) -> None:
        now = time.monotonic()
        for block in changes.blocks:
            said = meaning(block)
            if isinstance(said, Witness):
                self.finals[BlockHash(said.proposal)] = now
                for told in self.on_final:
                    told(BlockHash(said.proposal))
        self.network.gossip(block for block in changes.blocks if block.public_key == self.identity.public_key)
        for receiver in changes.posted:
            self.courier.wake(receiver)
        self._waiting.put_nowait(changes)

    async def _react(self) -> None:
        while True:
            changes = Changes()
            changes.add(await self._waiting.get())
            while not self._waiting.empty():
                changes.add(self._waiting.get_nowait())
            due = exchange.due(self.ledger.db, self.identity.public_key, exchange.touched(changes))
            offered = [
                block.hash
                for block in changes.blocks
                if block.link_public_key == self.identity.public_key and isinstance(meaning(block), ProposeExchange)
            ]
            waiting, self._undecided = [*self._undecided, *offered], []
            await asyncio.gather(*(self._answer(each) for each in due), *(self._agree(each) for each in waiting))

    async def _answer(self, proposal: BlockHash) -> None:
        """What a node does by itself."""
        await self.ledger.transact(lambda tx: exchange.react(tx, [proposal]))

    async def _agree(self, proposal: BlockHash) -> None:
        """This member agrees to everything that it is offered."""
        if standing(self.ledger.db, proposal, self.clock.now()) is not Standing.OPEN:
            return
        elif exchange.can_be_judged(self.ledger.db, proposal):
            await self.ledger.transact(lambda tx: exchange.agree(tx, proposal))
        else:
            self._undecided.append(proposal)  # until what proves it has come


def _report(task: asyncio.Task[None]) -> None:
    """A member that has stopped reacting would let everybody wait in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error)
        os._exit(1)


def person(role: str) -> Identity:
    """The member who plays this role."""
    return Identity.from_seed(hashlib.sha512(role.encode()).digest())


class Trade:
    """The giver's side of the load: lanes, each a voucher of its own that is handed out bit by bit."""

    def __init__(self, giver: Member, mints: Iterable[HalfBlock]) -> None:
        self._giver, self._to = giver, person(RECEIVER).public_key
        self._lanes = [mint.hash for mint in mints]
        self._under_way: dict[BlockHash, asyncio.Future[None]] = {}
        self.due: dict[BlockHash, float] = {}
        giver.on_final.append(self._on_final)

    def _on_final(self, proposal: BlockHash) -> None:
        if proposal in self._under_way:
            self._under_way.pop(proposal).set_result(None)

    async def exchange(self, voucher: BlockHash, due: float) -> None:
        """One exchange, until the word on it is on the own disk."""
        until, amount = self._giver.clock.now() + HOUR, [Amount(voucher, 1)]
        random, to = self._giver.random, self._to
        block = await self._giver.ledger.transact(lambda tx: exchange.propose(tx, random, to, amount, until, weight=1))
        self.due[block.hash] = due
        if block.hash not in self._giver.finals:
            future = self._under_way[block.hash] = asyncio.get_running_loop().create_future()
            await future

    async def flood(self, seconds: float) -> list[BlockHash]:
        """Every lane one exchange after the other."""
        begin, before = time.monotonic(), set(self.due)

        async def lane(voucher: BlockHash) -> None:
            while time.monotonic() - begin < seconds:
                await self.exchange(voucher, time.monotonic())

        await asyncio.gather(*(lane(voucher) for voucher in self._lanes))
        return [each for each in self.due if each not in before]

    async def pace(self, per_second: float, seconds: float) -> list[BlockHash]:
        """So many exchanges a second, evenly spaced, whatever becomes of them; late ones count from when they were
        due."""
        before, begin = set(self.due), time.monotonic()
        free: asyncio.Queue[BlockHash] = asyncio.Queue()
        for voucher in self._lanes:
            free.put_nowait(voucher)

        async def one(due: float) -> None:
            voucher = await free.get()
            await self.exchange(voucher, due)
            free.put_nowait(voucher)

        tasks = []
        for number in range(int(per_second * seconds)):
            due = begin + number / per_second
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
        return [each for each in self.due if each not in before]


class Other:
    """The receiver's process, seen from the giver's."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "experiments.exchange_throughput", "--serve", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line: str) -> Any:
        """One line each way."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    async def finals(self, wanted: list[BlockHash]) -> dict[BlockHash, float]:
        """When the receiver had the word on each of these on its disk, once it has all."""
        while True:
            told = await asyncio.to_thread(self.ask, "finals")
            found = {BlockHash(bytes.fromhex(key)): at for key, at in told.items()}
            if found.keys() >= set(wanted):
                return found
            await asyncio.sleep(0.1)

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


async def serve(folder: Path) -> None:
    """The receiver's process: enters the commons that the first line tells, then answers each line."""
    member, loop = Member(RECEIVER, folder), asyncio.get_running_loop()
    commons, told = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    await member.ledger.ingest([unpack(bytes.fromhex(raw)) for raw in told])
    await member.enter(bytes.fromhex(commons))
    print(json.dumps(member.network.address), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({proposal.hex(): at for proposal, at in member.finals.items()}), flush=True)
    await member.leave()


async def measure(folder: Path, seconds: float, lanes: int, rounds: int) -> dict[str, Any]:
    """Both figures of the network between two measurements of the ceiling; the best of so many rounds of each."""
    giver, other = Member(GIVER, folder), Other(folder)
    try:
        charter = await giver.ledger.append(FoundCommons("commons", "", 1))
        admission = await giver.ledger.append(AdmitMember(person(RECEIVER).public_key))
        mints = await asyncio.gather(
            *(giver.ledger.append(Mint(f"bread {at}", "loaf", STOCK, "", 0, None)) for at in range(lanes))
        )
        await giver.enter(charter.hash[:20])
        told = [block.pack().hex() for block in (charter, admission)]
        host, port = await asyncio.to_thread(other.ask, json.dumps([charter.hash[:20].hex(), told]))
        giver.network.add_contact((host, port), person(RECEIVER).public_key)
        trade = Trade(giver, mints)
        await trade.flood(seconds / 10)  # warm up: the connection, files, statements, pages
        figures: dict[str, Any] = {"lanes": lanes, "agreements_per_s": 0.0, "ceiling_per_s": 0.0}
        for number in range(rounds):
            with tempfile.TemporaryDirectory() as other_folder:
                ceiling = await exchange_ceiling.measure(Path(other_folder), int(seconds * 200), min(lanes, 128))
            figures["ceiling_per_s"] = max(figures["ceiling_per_s"], ceiling["agreements_per_s"])
            begin, worked = time.monotonic(), [process_seconds(None), process_seconds(other.process.pid)]
            done = await trade.flood(seconds)
            finals = await other.finals(done)
            worked = [process_seconds(None) - worked[0], process_seconds(other.process.pid) - worked[1]]
            names = ("giver_cpu_us", "receiver_cpu_us")
            figures |= {name: round(1e6 * each / len(done), 1) for name, each in zip(names, worked, strict=True)}
            rate = len(done) / (max(finals[each] for each in done) - begin)
            figures["agreements_per_s"] = max(figures["agreements_per_s"], round(rate, 1))
            print(f"round {number}: {rate:,.0f}/s of {ceiling['agreements_per_s']:,.0f}/s", flush=True)
        figures["ratio"] = round(figures["agreements_per_s"] / figures["ceiling_per_s"], 3)
        done = await trade.pace(figures["agreements_per_s"] / 2, seconds)
        finals = await other.finals(done)
        figures |= latencies("", [giver.finals[each] - trade.due[each] for each in done])
        figures |= latencies("told_", [finals[each] - trade.due[each] for each in done])
        figures |= {"agreements": len(trade.due), "blocks": blocks.count(giver.ledger.db)}
        figures |= {"drops": dict(giver.network.drops), "load": round(os.getloadavg()[0], 1)}
    finally:
        await asyncio.to_thread(other.end)
        await giver.leave()
    return figures


def process_seconds(process: int | None) -> float:
    """Seconds of processor that a process (this one: None) has used."""
    return float(sum(psutil.Process(process).cpu_times()[:2]))


def latencies(prefix: str, seconds: list[float]) -> dict[str, float]:
    """The median and the 99th percentile, in milliseconds."""
    parts = statistics.quantiles(seconds, n=100)
    return {f"{prefix}p50_ms": round(parts[49] * 1_000, 2), f"{prefix}p99_ms": round(parts[98] * 1_000, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--lanes", type=int, default=LANES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        asyncio.run(serve(chosen.serve))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), chosen.seconds, chosen.lanes, chosen.rounds))
    for name, figure in figures.items():
        print(f"{name:>20}  {figure}")
    if chosen.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
