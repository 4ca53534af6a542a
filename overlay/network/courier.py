"""Carries the outbox: every row until its receiver has confirmed it, as often as it takes; and takes what others carry.

Each receiver to whom something is owed has a delivery of its own, so that none waits for another.
"""

import asyncio
import logging
from collections.abc import Sequence

from overlay.keys import PublicKey, short
from overlay.network.delivery import PARCELS, SERVICE, Delivery, Tools
from overlay.network.messages import MAX_REFUSAL, Facts, Receipt, Refused, decode, encode, unpack_all
from overlay.network.network import Network
from overlay.network.rates import Buckets
from overlay.network.sync import Sync
from overlay.trustchain import outbox
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.commitment import BadDisclosure, Disclosure
from overlay.trustchain.ledger import Ledger

log = logging.getLogger(__name__)

# Parcels on their way at once, to all receivers together: 16 x 0.9 MB.
AT_ONCE = 16


class Courier:
    """One task per receiver to whom something is owed."""

    def __init__(self, ledger: Ledger, network: Network, sync: Sync) -> None:
        self._ledger, self._network, self._sync = ledger, network, sync
        self._deliveries: dict[PublicKey, Delivery] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._granted: Buckets[PublicKey] = Buckets(network.clock, PARCELS)
        network.serve(SERVICE, self._receive)

    def wake(self, receiver: PublicKey) -> None:
        """Something is owed to `receiver`, or it has just been seen."""
        running = self._deliveries.get(receiver)
        if running is not None:
            running.hasten()
        elif outbox.is_owed(self._ledger.db, receiver):
            tools = Tools(self._ledger, self._network, self._room, self._granted)
            self._deliveries[receiver] = Delivery(tools, receiver, self._deliveries)

    def wake_all(self) -> None:
        """After a start: go on with what was owed before."""
        for receiver in outbox.receivers(self._ledger.db):
            self.wake(receiver)

    async def close(self) -> None:
        """Stop; what is not confirmed stays owed."""
        tasks = [each.task for each in self._deliveries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, peer: PublicKey, payload: bytes) -> bytes:
        facts = decode(payload, Facts)
        found = unpack_all(facts.blocks)
        if not self._sync.all_members(block.public_key for block in found):
            await self._sync.with_peer(peer)  # it may know of an admission that we have not heard of
        reasons = await self._take(found, facts.parts)
        for reason in reasons.values():
            self._network.count_drop("block of a parcel refused")
            log.info("a block from %s is refused: %s", short(peer), reason)
        return encode(Receipt(tuple(Refused(index, reason[:MAX_REFUSAL]) for index, reason in reasons.items())))

    async def _take(self, found: list[HalfBlock], parts: Sequence[Disclosure]) -> dict[int, str]:
        """Store what can be stored; for the others why not, by their places."""
        members = self._sync.members()
        strange = {at: "its author is not a member" for at, each in enumerate(found) if each.public_key not in members}
        rest = [at for at in range(len(found)) if at not in strange]
        try:
            return strange | await self._take_some(found, rest, parts)
        except BadDisclosure:
            alone = [await self._take_alone(found, at, parts) for at in rest]
            return strange | {at: reason for each in alone for at, reason in each.items()}

    async def _take_some(
        self, found: list[HalfBlock], places: list[int], parts: Sequence[Disclosure]
    ) -> dict[int, str]:
        refused = await self._sync.take([found[at] for at in places], parts)
        return {at: str(refused[found[at].hash]) for at in places if found[at].hash in refused}

    async def _take_alone(self, found: list[HalfBlock], at: int, parts: Sequence[Disclosure]) -> dict[int, str]:
        """One block with its own parts, so that a wrong part does not keep out the others."""
        try:
            return await self._take_some(found, [at], [part for part in parts if part.block == found[at].hash])
        except BadDisclosure as error:
            return {at: str(error)}
