"""A town of members for tests: real ledgers, a clock that is set by hand, and outboxes carried on foot."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.economy.standing import Standing, current_holdings, standing
from overlay.keys import Identity, PublicKey
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import ANYONE, BlockHash, HalfBlock
from overlay.trustchain.commitment import Body
from overlay.trustchain.ledger import Changes, Ledger, Transaction
from overlay.trustchain.outbox import ALL_PARTS
from overlay.trustchain.statements import Anything, Mint
from overlay.trustchain.store import Synchronous

T = TypeVar("T")
START = 1_800_000_000_000
HOUR = 3_600_000


class HandClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000

    async def sleep(self, seconds: float) -> None:
        self.time += int(seconds * 1000)


class SeededRandomness:
    """Bytes that depend on the seed alone."""

    def __init__(self, seed: str) -> None:
        self.seed, self.drawn = seed, 0

    def bytes(self, count: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_256(f"{self.seed}/{self.drawn}".encode()).digest(count)


class Townsperson:
    """One member: a ledger in a file, and the actions that a node would take on it."""

    def __init__(
        self,
        role: str,
        folder: Path,
        clock: HandClock,
        file: str | None = None,
        synchronous: Synchronous = "FULL",
    ) -> None:
        self.role, self.clock = role, clock
        self.random = SeededRandomness(role)
        self.identity = Identity.from_seed(hashlib.sha512(role.encode()).digest())
        self.ledger = Ledger(
            folder / f"{file or role}.db",
            self.identity,
            [MembersView(), HoldingsView()],
            clock,
            self.random,
            synchronous,
        )
        self.changes: list[Changes] = []
        self.ledger.listeners.append(self.changes.append)

    @property
    def key(self) -> PublicKey:
        return self.identity.public_key

    async def do(self, work: Callable[[Transaction], T]) -> T:
        return await self.ledger.transact(work)

    async def mint(self, promise: str, quantity: int, expires: int = 0) -> BlockHash:
        return (await self.ledger.append(Mint(promise, "piece", quantity, "", expires, None))).hash

    async def give(self, to: "Townsperson", voucher: BlockHash, quantity: int, weight: int = 0) -> BlockHash:
        until = self.clock.now() + HOUR
        amount = [Amount(voucher, quantity)]
        return (await self.do(lambda tx: exchange.propose(tx, self.random, to.key, amount, until, weight=weight))).hash

    async def forge(
        self, statement: Anything, *, to: PublicKey = ANYONE, link: HalfBlock | None = None, body: Body | None = None
    ) -> HalfBlock:
        """Sign whatever one likes on the own chain, with none of the checks of `exchange`."""
        return await self.do(lambda tx: tx.append(statement, to=to, link=link, body=body))

    async def show(self, other: "Townsperson", *found: bytes, parts: int = ALL_PARTS) -> None:
        """Hand blocks over, with the parts of their bodies whose bits are set."""
        blocks_ = [block for each in found if (block := self.ledger.block(each))]
        disclosed = [part for each in found for part in blocks.parts(self.ledger.db, each) if parts >> part.index & 1]
        assert await other.ledger.ingest(blocks_, disclosed) == []

    async def agree(self, proposal: BlockHash, *, allow_provisional: bool = False) -> HalfBlock:
        return await self.do(lambda tx: exchange.agree(tx, proposal, allow_provisional=allow_provisional))

    def standing(self, proposal: BlockHash) -> Standing:
        return standing(self.ledger.db, proposal, self.clock.now())

    def holds(self, voucher: BlockHash) -> int:
        found = current_holdings(self.ledger.db, self.key, self.clock.now())
        return sum(each.holding.quantity for each in found if each.holding.voucher == voucher)

    async def react(self) -> None:
        """Let the node do what it does by itself about everything that is new."""
        while self.changes:
            changed = self.changes.pop(0)
            touched = exchange.touched(changed)
            await self.do(lambda tx, touched=touched: exchange.react(tx, touched))  # type: ignore[misc]


class Town:
    """Members whose mail is carried until nobody owes anybody anything."""

    def __init__(self, folder: Path, synchronous: Synchronous = "FULL") -> None:
        self.folder, self.clock, self.synchronous = folder, HandClock(), synchronous
        self.people: dict[PublicKey, Townsperson] = {}

    def person(self, role: str) -> Townsperson:
        made = Townsperson(role, self.folder, self.clock, synchronous=self.synchronous)
        self.people[made.key] = made
        return made

    async def carry(self, *, without: tuple[Townsperson, ...] = ()) -> None:
        """Deliver all mail, and let everyone react, until it is quiet; `without` are offline."""
        online = [person for person in self.people.values() if person not in without]
        moved = True
        while moved:
            moved = False
            for person in online:
                await person.react()
                for receiver in outbox.receivers(person.ledger.db):
                    if any(receiver == other.key for other in online):
                        moved |= await deliver(person, self.people[receiver])

    def close(self) -> None:
        for person in self.people.values():
            person.ledger.close()


async def deliver(sender: Townsperson, receiver: Townsperson, limit: int = 64) -> bool:
    """Carry one parcel over and confirm it."""
    parcel = outbox.parcel(sender.ledger.db, receiver.key, limit)
    if parcel is None:
        return False
    assert await receiver.ledger.ingest(parcel.blocks, parcel.disclosures) == []
    await sender.do(lambda tx: outbox.confirm(tx.db, receiver.key, parcel))
    return True
