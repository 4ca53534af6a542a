"""Delivers to one receiver, parcel by parcel, until nothing is owed to it.

A receiver confirms or refuses block by block: one that it does not take is set aside and tried again ever more seldom,
and the others go on. A receiver that does not answer is tried again after a pause that grows, and at once when it
shows itself. While one parcel is stored there the next may be on its way: a full one, or what came up since, as often
as the receiver grants its members requests.
"""

import asyncio
import logging
from dataclasses import dataclass

from overlay.keys import PublicKey, short
from overlay.network.messages import MAX_PARCEL_BLOCKS, BadMessage, Facts, Receipt, decode, encode
from overlay.network.network import CallFailed, Network, plain
from overlay.network.parcels import first_that_fit
from overlay.network.rates import MEMBER_REQUESTS, Buckets, Rate
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.outbox import Parcel
from overlay.trustchain.store import StorageError

log = logging.getLogger(__name__)

SERVICE = "facts"
# A receiver that did not answer is tried again when it shows itself, and anyway after 1, 2, 4, ... 60 s.
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
# A block that was refused is tried again after 5, 10, 20, ... 600 s: what it refers to may have come by then.
REFUSED_SECONDS = 5.0
MAX_REFUSED_SECONDS = 600.0
# Parcels on their way at once to one receiver: one is stored there, one is checked, one is on its way.
TO_ONE = 3
# What a receiver grants one member, less a fifth, and half of what it grants at once, for everything else that we ask
# it. Who hands over small parcels faster than that waits, and they grow.
PARCELS = Rate(0.8 * MEMBER_REQUESTS.per_second, 0.5 * MEMBER_REQUESTS.burst)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all deliveries share: the room for parcels, and how many each receiver grants."""

    ledger: Ledger
    network: Network
    room: asyncio.Semaphore
    granted: Buckets[PublicKey]


@dataclass(slots=True)
class _Aside:
    """When a refused block is tried again."""

    at: float
    pause: float


class Delivery:
    """Delivers to one receiver until nothing is owed to it; then it takes itself off the list of `deliveries`."""

    def __init__(self, tools: Tools, receiver: PublicKey, deliveries: dict[PublicKey, "Delivery"]) -> None:
        self._ledger, self._network, self._room = tools.ledger, tools.network, tools.room
        self._granted, self._receiver, self._deliveries = tools.granted, receiver, deliveries
        self._hurry, self._moved = asyncio.Event(), asyncio.Event()
        self._aside: dict[BlockHash, _Aside] = {}
        self._under_way: list[asyncio.Task[None]] = []
        self._on_way, self._has_failed = 0, False
        self._pause = RETRY_SECONDS
        self.task = asyncio.create_task(self._deliver_all())
        self.task.add_done_callback(self._report)

    def hasten(self) -> None:
        """More is owed, or the receiver has been seen: look at once."""
        self._hurry.set()
        self._moved.set()

    async def _deliver_all(self) -> None:
        try:
            while outbox.is_owed(self._ledger.db, self._receiver):
                await self._wait(await self._sweep())
        finally:
            del self._deliveries[self._receiver]
            for each in self._under_way:
                each.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _report(self, task: asyncio.Task[None]) -> None:
        """Nothing that a peer sends ends a delivery; if something of our own does, the next `wake` begins anew."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("delivering to %s has stopped", short(self._receiver), exc_info=error)

    async def _sweep(self) -> float:
        """Hand over, once, all that is owed and not set aside; returns how long to wait before the next time."""
        self._hurry.clear()
        self._has_failed, last, is_idle = False, 0, True
        while not self._has_failed:
            self._moved.clear()
            self._settle()
            parcel = self._next(last)
            if parcel is not None and self._may_go(parcel):
                last, is_idle = blocks.find_id(self._ledger.db, parcel.receipts[-1][0]) or last, False
                await self._take_turn()
                self._send(parcel)
            elif self._under_way:
                await self._moved.wait()
            else:
                break
        await asyncio.gather(*self._under_way)
        self._settle()
        if self._has_failed:
            pause, self._pause = self._pause, min(2 * self._pause, MAX_RETRY_SECONDS)
            return pause
        return self._until_next() if is_idle else 0.0

    def _next(self, last: int) -> Parcel | None:
        """The next parcel of what this node came to know after the block with the small number `last`."""
        if self._on_way == TO_ONE:
            return None
        now = self._network.clock.monotonic()
        skipped = {each for each, aside in self._aside.items() if aside.at > now}
        owed = outbox.parcel(self._ledger.db, self._receiver, MAX_PARCEL_BLOCKS + len(self._aside), last)
        parcel = first_that_fit(owed, skipped) if owed is not None else None
        return parcel if parcel is not None and parcel.receipts else None

    def _may_go(self, parcel: Parcel) -> bool:
        """A small parcel waits for the one before it to arrive: until then more may come up."""
        return not self._on_way or len(parcel.receipts) == MAX_PARCEL_BLOCKS

    async def _take_turn(self) -> None:
        while not self._granted.take(self._receiver):
            await self._network.clock.sleep(1 / PARCELS.per_second)

    def _send(self, parcel: Parcel) -> None:
        self._on_way += 1
        task = asyncio.create_task(self._deliver(parcel))
        self._under_way.append(task)
        task.add_done_callback(lambda _: self._moved.set())

    def _settle(self) -> None:
        """Forget the parcels that have arrived."""
        for task in self._under_way:
            if task.done():
                task.result()
        self._under_way = [task for task in self._under_way if not task.done()]

    async def _deliver(self, parcel: Parcel) -> None:
        """Hand over one parcel, and forget what is confirmed."""
        facts = Facts(tuple(block.pack() for block in parcel.blocks), parcel.disclosures)
        try:
            try:
                receipt = await self._hand_over(facts)
            finally:
                self._on_way -= 1
                self._moved.set()
            await self._confirm(parcel, receipt)
        except (CallFailed, BadMessage, StorageError) as failure:
            log.debug("not delivered to %s, will try again: %s", short(self._receiver), failure)
            self._has_failed = True
        else:
            self._pause = RETRY_SECONDS

    async def _hand_over(self, facts: Facts) -> Receipt:
        if not facts.blocks:
            return Receipt()  # rows whose blocks are not in the ledger: there is nothing to hand over
        async with self._room:
            return decode(await self._network.call(self._receiver, SERVICE, encode(facts)), Receipt)

    async def _confirm(self, parcel: Parcel, receipt: Receipt) -> None:
        refused = {
            parcel.blocks[each.index].hash: each.reason for each in receipt.refused if each.index < len(parcel.blocks)
        }
        taken = tuple((block, mask) for block, mask in parcel.receipts if block not in refused)
        done = Parcel((), (), taken)
        await self._ledger.transact(lambda tx: outbox.confirm(tx.db, self._receiver, done))
        for block, _ in taken:
            self._aside.pop(block, None)
        for block, reason in refused.items():
            self._set_aside(block, reason)

    def _set_aside(self, block: BlockHash, reason: str) -> None:
        before = self._aside.get(block)
        pause = min(2 * before.pause, MAX_REFUSED_SECONDS) if before else REFUSED_SECONDS
        self._aside[block] = _Aside(self._network.clock.monotonic() + pause, pause)
        log.warning("%s does not take a block: %s", short(self._receiver), plain(reason))

    def _until_next(self) -> float:
        """How long until the first of those set aside is due."""
        now = self._network.clock.monotonic()
        return max(0.0, min((each.at for each in self._aside.values()), default=now) - now)

    async def _wait(self, seconds: float) -> None:
        """Until then, or until there is reason to hurry."""
        if seconds <= 0.0:
            return
        waits = [asyncio.ensure_future(self._hurry.wait()), asyncio.ensure_future(self._network.clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._hurry.is_set():
                self._pause = RETRY_SECONDS
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
