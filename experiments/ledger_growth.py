"""Whether a ledger stays as fast when it grows.

    python -m experiments.ledger_growth [--json] [--sizes 10000,100000,1000000] [--repeat N]

One member's ledger is filled with the exchanges of 64 members: each gives away 1 of its own voucher (proposal,
agreement, its word as issuer) and honours it when it is handed back (proposal, agreement). At each size the member
itself makes N exchanges with a newcomer and looks at N screens. `exchange_ms` is the median time of what its own node
does in one whole exchange: propose, take in the agreement, give its word as issuer, each on disk before the next.
`query_ms` is the median time of one screen: what it holds, the supply of 8 vouchers, how 20 exchanges stand, the heads
of 20 chains and a page of 50 blocks. `bytes_per_agreement` is the file's growth over the last step, all indexes and
views included. With --json the last line is one JSON object; `exchange_growth` and `query_growth` compare the largest
size with the smallest.
"""

import argparse
import asyncio
import hashlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.exchange_ceiling import HOUR, Party
from overlay.economy.standing import current_holdings, standing, supply
from overlay.keys import Identity, PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import Body, Disclosure
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import (
    AgreeExchange,
    Anything,
    Leg,
    Mint,
    ProposeExchange,
    Source,
    Witness,
    encode,
    encode_part,
)

MEMBERS = 64
STOCK = 1_000_000
FILL_BATCH = 512
BLOCKS_PER_ROUND = 5
START = 1_800_000_000_000


class Salts:
    """Salts by counting: fast, and of no use to anybody."""

    def __init__(self) -> None:
        self.drawn = 0

    def bytes(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")


class Member:
    """Signs its own chain in memory."""

    def __init__(self, seed: int) -> None:
        self.identity = Identity.from_seed(hashlib.sha512(b"member %d" % seed).digest())
        self.sequence, self.previous = 0, GENESIS_HASH

    def sign(
        self, statement: Anything, to: PublicKey = ANYONE, link: HalfBlock | None = None, at: int = START
    ) -> HalfBlock:
        kind, transaction = encode(statement)
        self.sequence += 1
        block = HalfBlock(
            self.identity.public_key,
            self.sequence,
            link.public_key if link else to,
            link.sequence_number if link else 0,
            self.previous,
            kind,
            transaction,
            at,
        ).signed_by(self.identity)
        self.previous = block.hash
        return block


class Town:
    """Members who give and honour their own vouchers, round after round."""

    def __init__(self) -> None:
        self.members = [Member(seed) for seed in range(MEMBERS)]
        self.salts, self.rounds = Salts(), 0
        self.mints = [member.sign(Mint("work", "hour", STOCK, "", 0, None)) for member in self.members]
        self.stock = [(mint.hash, 0, STOCK) for mint in self.mints]
        self.proposals: list[BlockHash] = []

    def round(self) -> tuple[list[HalfBlock], list[Disclosure]]:
        """One gift and its redemption: five blocks and two parts."""
        at = self.rounds % MEMBERS
        giver, taker = self.members[at], self.members[(at + 1 + self.rounds // MEMBERS % (MEMBERS - 1)) % MEMBERS]
        voucher, (source, index, left) = self.mints[at].hash, self.stock[at]
        gift, gift_part = self.propose(giver, taker, voucher, Source(source, index), left)
        agreed = taker.sign(AgreeExchange(gift.hash, 1), link=gift)
        word = giver.sign(Witness(gift.hash, agreed.hash, 1, True), to=taker.identity.public_key)
        back, back_part = self.propose(taker, giver, voucher, Source(gift.hash, 0), 1)
        honoured = giver.sign(AgreeExchange(back.hash, 0), link=back)
        self.stock[at] = (gift.hash, 1, left - 1)
        self.rounds += 1
        self.proposals.append(gift.hash)
        return [gift, agreed, word, back, honoured], [gift_part, back_part]

    def propose(
        self, giver: Member, taker: Member, voucher: bytes, source: Source, held: int
    ) -> tuple[HalfBlock, Disclosure]:
        body = Body([encode_part(Leg(True, voucher, (source,), 1, held - 1, 1, ()))], self.salts)
        said = ProposeExchange(START + HOUR, body.root, 1, None)
        proposal = giver.sign(said, to=taker.identity.public_key)
        return proposal, body.disclosures(proposal.hash)[0]


async def fill(party: Party, town: Town, size: int) -> None:
    """Store rounds until the ledger has `size` blocks. They are ours: nothing is verified."""

    def store(tx: Transaction, rounds: int) -> None:
        for _ in range(rounds):
            found, parts = town.round()
            for block in found:
                tx.store(block)
            for part in parts:
                tx.disclose(part)

    left = (size - blocks.count(party.ledger.db)) // BLOCKS_PER_ROUND
    while left > 0:
        some = min(left, FILL_BATCH)
        await party.ledger.transact(lambda tx, some=some: store(tx, some))  # type: ignore[misc]
        left -= some
    party.touched.clear()


async def exchange_once(giver: Party, receiver: Party, voucher: BlockHash) -> float:
    """One exchange; returns the seconds that the giver's own node worked for it."""
    begin = time.perf_counter()
    proposal = await giver.propose(receiver, voucher)
    seconds = time.perf_counter() - begin
    await giver.deliver(receiver)
    await receiver.agree(proposal)
    begin = time.perf_counter()
    await receiver.deliver(giver)
    giver.touched.add(proposal)
    await giver.react()
    seconds += time.perf_counter() - begin
    await giver.deliver(receiver)
    return seconds


def look(party: Party, town: Town, chance: random.Random) -> float:
    """One screen; returns its seconds."""
    db, me = party.ledger.db, party.identity.public_key
    proposals = chance.choices(town.proposals, k=20)
    mints = [mint.hash for mint in chance.sample(town.mints, 8)]
    keys = [member.identity.public_key for member in chance.sample(town.members, 20)]
    begin = time.perf_counter()
    current_holdings(db, me, START)
    for voucher in mints:
        supply(db, voucher, START)
    for proposal in proposals:
        standing(db, proposal, START)
    for key in keys:
        blocks.head(db, key)
        blocks.first_gap(db, key)
    blocks.chain(db, keys[0], 1, 50, 50)
    return time.perf_counter() - begin


async def measure(folder: Path, sizes: list[int], repeat: int) -> dict[str, Any]:
    party, newcomer, town, chance = Party(folder, "giver", 1), Party(folder, "newcomer", 2), Town(), random.Random(7)
    mint = await party.ledger.append(Mint("bread", "loaf", STOCK, "", 0, None))
    await party.ledger.ingest(town.mints)
    exchange_ms, query_ms, per_agreement = list[float](), list[float](), list[float]()
    for size in sizes:
        before, stored = party.size(), blocks.count(party.ledger.db)
        await fill(party, town, size)
        agreements = (blocks.count(party.ledger.db) - stored) * 2 / BLOCKS_PER_ROUND
        per_agreement.append((party.size() - before) / agreements)
        seconds = [await exchange_once(party, newcomer, mint.hash) for _ in range(repeat)]
        exchange_ms.append(statistics.median(seconds) * 1_000)
        query_ms.append(statistics.median(look(party, town, chance) for _ in range(repeat)) * 1_000)
        print(
            f"{size:>12,} blocks {exchange_ms[-1]:>10.2f} ms an exchange {query_ms[-1]:>10.2f} ms a screen", flush=True
        )
    stored = blocks.count(party.ledger.db)
    for each in (party, newcomer):
        each.ledger.close()
    return {
        "sizes": sizes,
        "blocks": stored,
        "exchange_ms": [round(each, 3) for each in exchange_ms],
        "query_ms": [round(each, 3) for each in query_ms],
        "bytes_per_agreement": round(per_agreement[-1], 1),
        "exchange_growth": round(exchange_ms[-1] / exchange_ms[0], 2),
        "query_growth": round(query_ms[-1] / query_ms[0], 2),
    }


def rows(result: dict[str, Any]) -> Iterator[str]:
    for name, figure in result.items():
        yield f"{name:>24} {figure}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--repeat", type=int, default=100)
    ask = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(Path(folder), [int(each) for each in ask.sizes.split(",")], ask.repeat))
    for row in rows(result):
        print(row)
    if ask.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
