"""How what a node needs grows with the size of its commons: many nodes in one process, in virtual time.

    python -m experiments.many_nodes [--nodes N,N,...] [--agreements N] [--json]

Real nodes (ledger, views, courier, sync, gossip, discovery, opinions) of one commons on the simulation's in-memory
internet. Replaced are: QUIC by the simulation's streams, the writer's thread by a job of the loop (files lie in
memory), the content session by its account books; and no node announces a content port, so that all new blocks are
those of exchanges. Everybody begins with the charter and all admissions, and with the addresses of three others. When
they have
found one another, pairs of members agree on a gift each: a mint, a proposal, an agreement, the issuer's word.

    kib_per_node             resident memory of the process that came with the nodes, by their number
    messages_per_agreement   parcels, receipts and gossip from the first proposal until everybody knows everything
    messages_per_node_per_s  what a node sends when nothing happens, in virtual seconds: greetings, comparisons of heads
    virtual_s_to_agree       from the proposals until all are final with both parties
    virtual_s_to_converge    from the proposals until every node has every block

One line for each size; with --json the last line is one JSON object with lists in the order of `nodes`. Exit status 1
says that a commons did not converge within two virtual minutes.
"""

import argparse
import asyncio
import json
import logging
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil

from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.economy.standing import Standing, standing
from overlay.keys import PublicKey
from overlay.node.folder import DataFolder
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import AdmitMember, Mint, Profile
from tests.simulation.internet import Internet
from tests.simulation.member import Member, SimulatedNode
from tests.simulation.trace import Trace
from tests.simulation.virtual_time import VirtualLoop

NODES, AGREEMENTS = (100, 300, 1_000), 20
CONTACTS = 3
# Virtual seconds: to find one another, between two looks, until it is called a failure, and to see what is sent idly.
MEETING_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, IDLE_SECONDS = 8.0, 0.25, 120.0, 5.0
HOUR = 3_600_000
# Files per node: the lock, and the ledger and its log twice, and the index of the log.
FILES_PER_NODE = 8
MEMORY = Path("/dev/shm")


class QuietNode(SimulatedNode):
    """Announces nothing of its own."""

    async def _announce(self) -> None:
        """There is no content session."""


class Resident(Member):
    """A member of a large commons."""

    def __init__(self, number: int, folder: Path, internet: Internet) -> None:
        super().__init__(number, f"member {number}", folder / str(number), internet, seed=1)
        self.address = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 7_000)
        data = DataFolder(self.folder, self.chance)
        self.key = data.identity.public_key
        data.close()

    def make_node(self) -> SimulatedNode:
        return QuietNode.on(self)

    def lacks(self, wanted: list[tuple[PublicKey, int]]) -> bool:
        """Whether one of these chains is not known to its head."""
        return any(blocks.first_gap(self.up.db, key) <= head for key, head in wanted)


class Commons:
    """So many members of one commons, who have just come online."""

    def __init__(self, count: int, folder: Path, loop: VirtualLoop) -> None:
        self.loop, self.random = loop, Random(count)
        self.internet = Internet(loop, Random(count), Trace(loop))
        self.members = [Resident(number, folder, self.internet) for number in range(1, count + 1)]

    async def open(self) -> None:
        """The founder admits everybody; the others begin with what it knows."""
        founder, *others = self.members
        await founder.start()
        await founder.spawn(founder.up.found_commons("village", "trade", Profile("founder", "")))
        await founder.spawn(
            founder.up.ledger.transact(lambda tx: [tx.append(AdmitMember(each.key)) for each in others])
        )
        await founder.stop()
        for member in others:
            shutil.copy(founder.folder / "ledger.db", member.folder / "ledger.db")
        for member in self.members:
            self._introduce(member)
        for member in self.members:
            await member.start()
        await asyncio.sleep(MEETING_SECONDS)

    def _introduce(self, member: Resident) -> None:
        others = self.random.sample([each for each in self.members if each is not member], CONTACTS)
        with sqlite3.connect(member.folder / "ledger.db") as db:
            db.executemany("INSERT INTO node_contact VALUES (?,?,?)", [(each.key, *each.address) for each in others])
        db.close()

    async def agree(self, count: int) -> dict[str, float]:
        """Let pairs agree; returns how long everything took in virtual seconds, and what was sent."""
        pairs = list(zip(*[iter(self.random.sample(self.members, 2 * count))] * 2, strict=True))
        before, began, agreed = self.internet.sent.copy(), self.loop.time(), 0.0
        waiting = dict[BlockHash, tuple[Resident, Resident]]()
        for giver, receiver in pairs:
            waiting[(await giver.spawn(giver.up.ledger.transact(_gift(giver, receiver)))).hash] = (giver, receiver)
        unanswered, proposals = dict(waiting), list(waiting)
        while waiting or self._is_apart():
            if self.loop.time() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"{len(waiting)} exchanges wait, and not everybody knows everything")
            for proposal, (_, receiver) in list(unanswered.items()):
                if exchange.can_be_judged(receiver.up.db, proposal):
                    del unanswered[proposal]
                    receiver.spawn(receiver.up.ledger.transact(lambda tx, one=proposal: exchange.agree(tx, one)))  # type: ignore[misc]
            for proposal, parties in list(waiting.items()):
                if all(standing(each.up.db, proposal, each.clock.now()) is Standing.FINAL for each in parties):
                    del waiting[proposal]
                    agreed = self.loop.time() - began
            await asyncio.sleep(LOOK_SECONDS)
        seconds, sent = self.loop.time() - began, self.internet.sent - before
        own = sum(sent[kind] for kind in ("facts", "answer to facts", "gossip"))
        return {
            "messages_per_agreement": round(own / len(proposals), 1),
            "virtual_s_to_agree": round(agreed, 2),
            "virtual_s_to_converge": round(seconds, 2),
        }

    async def idle(self) -> dict[str, float]:
        """What is sent when nothing happens."""
        before = self.internet.sent.total()
        await asyncio.sleep(IDLE_SECONDS)
        sent = self.internet.sent.total() - before
        return {"messages_per_node_per_s": round(sent / len(self.members) / IDLE_SECONDS, 1)}

    def _is_apart(self) -> bool:
        """Whether somebody lacks a block that somebody has signed."""
        wanted = [(member.key, head[0]) for member in self.members if (head := blocks.head(member.up.db, member.key))]
        return any(member.lacks(wanted) for member in self.members)

    async def close(self) -> None:
        for member in self.members:
            await member.stop()


def _gift(giver: Resident, receiver: Resident) -> Callable[[Transaction], HalfBlock]:
    def work(tx: Transaction) -> HalfBlock:
        voucher = tx.append(Mint("bread", "loaf", 10, "", 0, None)).hash
        return exchange.propose(tx, giver.chance, receiver.key, [Amount(voucher, 3)], tx.now + HOUR)

    return work


def measure(count: int, agreements: int) -> dict[str, float]:
    """The figures of one size."""
    began, process = time.monotonic(), psutil.Process()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        loop, before = VirtualLoop(), process.memory_info().rss
        asyncio.set_event_loop(loop)
        try:
            commons = Commons(count, Path(folder), loop)
            loop.run_until_complete(commons.open())
            found = loop.run_until_complete(commons.agree(min(agreements, count // 2)))
            found |= loop.run_until_complete(commons.idle())
            grown = process.memory_info().rss - before
            loop.run_until_complete(commons.close())
        finally:
            loop.close()
            asyncio.set_event_loop(None)
    return (
        {"nodes": count, "kib_per_node": round(grown / 1024 / count)}
        | found
        | {"seconds": round(time.monotonic() - began, 1)}
    )


def main() -> int:
    """Parse the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default=",".join(map(str, NODES)), help="the sizes, with commas between")
    parser.add_argument("--agreements", type=int, default=AGREEMENTS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sizes = [int(each) for each in asked.nodes.split(",")]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, FILES_PER_NODE * max(sizes) + 256), hard))
    logging.getLogger("overlay").setLevel(logging.ERROR)
    found = []
    try:
        for size in sizes:
            found.append(measure(size, asked.agreements))
            print("  ".join(f"{name} {value:,}" for name, value in found[-1].items()), flush=True)
    except TimeoutError as late:
        print(f"{sizes[len(found)]} nodes: {late}", file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps({name: [each[name] for each in found] for name in found[0]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
