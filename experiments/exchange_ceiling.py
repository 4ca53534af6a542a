"""How many agreements a second one process can sign, verify and store durably.

    python -m experiments.exchange_ceiling [--json] [--agreements N] [--window W] [--profile]

Two members' ledgers in this one process, without a network between them. For each agreement the giver, who is also
the issuer, signs a proposal; the receiver verifies and stores it with its terms, checks them and signs the agreement
half; the giver verifies that and signs its word as issuer; the receiver verifies that. Every block is in both ledgers,
on disk (WAL, synchronous=FULL, group commit) before it is handed over, and confirmed. At most W exchanges are under
way at a time. `agreements_per_s` counts whole agreements, both sides' work included; `bytes_per_agreement` is what the
giver's file grows by, all indexes, folded views and free pages included. With --json the last line is one JSON object.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from overlay.clock import SystemClock, SystemRandomness
from overlay.content.tallies import TalliesView
from overlay.dao.assembly.groups import GroupsView
from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.economy.standing import Standing, standing
from overlay.keys import Identity
from overlay.meritrank.feedback import FeedbackView
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import BlockHash, unpack
from overlay.trustchain.ledger import Changes, Ledger
from overlay.trustchain.statements import Mint

HOUR = 3_600_000
PARCEL_BLOCKS = 256


class Party:
    """One member: a ledger with every view of a node, and what it has to react to."""

    def __init__(self, folder: Path, name: str, seed: int) -> None:
        self.identity = Identity.from_seed(bytes([seed]) * 64)
        self.random, self.clock = SystemRandomness(), SystemClock()
        views = [MembersView(), HoldingsView(), FeedbackView(), TalliesView(), GroupsView()]
        self.path = folder / f"{name}.db"
        self.ledger = Ledger(self.path, self.identity, views, self.clock, self.random)
        self.touched: set[BlockHash] = set()
        self.ledger.listeners.append(self._note)

    def _note(self, changes: Changes) -> None:
        self.touched |= exchange.touched(changes)

    async def propose(self, to: "Party", voucher: BlockHash) -> BlockHash:
        until, amount = self.clock.now() + HOUR, [Amount(voucher, 1)]
        key = to.identity.public_key
        block = await self.ledger.transact(lambda tx: exchange.propose(tx, self.random, key, amount, until, weight=1))
        return block.hash

    async def agree(self, proposal: BlockHash) -> None:
        await self.ledger.transact(lambda tx: exchange.agree(tx, proposal))

    async def react(self) -> None:
        touched, self.touched = self.touched, set()
        await self.ledger.transact(lambda tx: exchange.react(tx, touched))

    async def deliver(self, to: "Party") -> None:
        """Hand over everything that is owed, as bytes, and forget what is confirmed."""
        key = to.identity.public_key
        while (parcel := outbox.parcel(self.ledger.db, key, PARCEL_BLOCKS)) is not None:
            received = [unpack(block.pack()) for block in parcel.blocks]
            assert await to.ledger.ingest(received, parcel.disclosures) == []
            done = parcel
            await self.ledger.transact(lambda tx, done=done: outbox.confirm(tx.db, key, done))  # type: ignore[misc]

    def size(self) -> int:
        """Bytes on disk once everything is in the main file."""
        (pages,) = self.ledger.db.execute("PRAGMA page_count").fetchone()
        (page,) = self.ledger.db.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(page)


async def trade(giver: Party, receiver: Party, vouchers: list[BlockHash]) -> list[BlockHash]:
    """One agreement for each voucher, all at once; returns the proposals."""
    proposals = await asyncio.gather(*(giver.propose(receiver, voucher) for voucher in vouchers))
    await giver.deliver(receiver)
    await asyncio.gather(*(receiver.agree(proposal) for proposal in proposals))
    await receiver.deliver(giver)
    giver.touched.update(proposals)
    await giver.react()
    await giver.deliver(receiver)
    return list(proposals)


async def measure(folder: Path, agreements: int, window: int) -> dict[str, Any]:
    giver, receiver = Party(folder, "giver", 1), Party(folder, "receiver", 2)
    mints = await asyncio.gather(
        *(giver.ledger.append(Mint(f"bread {at}", "loaf", 1_000_000, "", 0, None)) for at in range(window))
    )
    vouchers = [mint.hash for mint in mints]
    await trade(giver, receiver, vouchers)  # warm up: files, statements, pages
    before, begin = giver.size(), time.perf_counter()
    proposals: list[BlockHash] = []
    while len(proposals) < agreements:
        proposals += await trade(giver, receiver, vouchers[: agreements - len(proposals)])
    seconds = time.perf_counter() - begin
    for party in (giver, receiver):
        stands = {standing(party.ledger.db, each, party.clock.now()) for each in proposals}
        assert stands == {Standing.FINAL}, stands
    result = {
        "agreements": agreements,
        "window": window,
        "seconds": round(seconds, 3),
        "agreements_per_s": round(agreements / seconds, 1),
        "blocks_per_s": round(6 * agreements / seconds, 1),
        "bytes_per_agreement": round((giver.size() - before) / agreements, 1),
        "blocks": blocks.count(giver.ledger.db),
    }
    for party in (giver, receiver):
        party.ledger.close()
    return result


def run(work: Coroutine[Any, Any, dict[str, Any]], *, profile: bool) -> dict[str, Any]:
    if not profile:
        return asyncio.run(work)
    with cProfile.Profile() as profiler:
        result = asyncio.run(work)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--agreements", type=int, default=4_096)
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--profile", action="store_true", help="where the time of the event loop's thread goes")
    ask = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(measure(Path(folder), ask.agreements, ask.window), profile=ask.profile)
    for name, figure in result.items():
        print(f"{name:>24} {figure:>12,}")
    if ask.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
