"""Carries the outbox: every parcel until its receiver has confirmed it, as often as it takes."""

import asyncio
import logging

from overlay.keys import PublicKey
from overlay.network.messages import MAX_PARCEL_BLOCKS, Facts, decode, encode, unpack_all
from overlay.network.network import CallFailed, Network, Refusal
from overlay.network.sync import Sync
from overlay.trustchain import outbox
from overlay.trustchain.commitment import BadDisclosure
from overlay.trustchain.ledger import Ledger

log = logging.getLogger(__name__)

SERVICE = "facts"
# A receiver that did not answer is tried again when it shows itself, and anyway after this long.
RETRY_SECONDS = 5.0


class Courier:
    """One task per receiver to whom something is owed."""

    def __init__(self, ledger: Ledger, network: Network, sync: Sync) -> None:
        self._ledger, self._network, self._sync = ledger, network, sync
        self._rounds: dict[PublicKey, asyncio.Task[None]] = {}
        self._hurry: dict[PublicKey, asyncio.Event] = {}
        network.serve(SERVICE, self._receive)

    def wake(self, receiver: PublicKey) -> None:
        """Something is owed to `receiver`, or it has just been seen."""
        self._hurry.setdefault(receiver, asyncio.Event()).set()
        if receiver not in self._rounds:
            task = asyncio.create_task(self._deliver_all(receiver))
            self._rounds[receiver] = task
            task.add_done_callback(lambda _: self._rounds.pop(receiver, None))

    def wake_all(self) -> None:
        """After a start: go on with what was owed before."""
        for receiver in outbox.receivers(self._ledger.db):
            self.wake(receiver)

    async def close(self) -> None:
        tasks = list(self._rounds.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver_all(self, receiver: PublicKey) -> None:
        hurry = self._hurry.setdefault(receiver, asyncio.Event())
        while (parcel := outbox.parcel(self._ledger.db, receiver, MAX_PARCEL_BLOCKS)) is not None:
            hurry.clear()
            facts = Facts(tuple(block.pack() for block in parcel.blocks), parcel.disclosures)
            try:
                await self._network.call(receiver, SERVICE, encode(facts))
            except CallFailed as failure:
                log.debug("not delivered, will try again: %s", failure)
                await self._wait(hurry)
                continue
            confirmed = parcel
            await self._ledger.transact(lambda tx, done=confirmed: outbox.confirm(tx.db, receiver, done))  # type: ignore[misc]

    async def _wait(self, hurry: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(hurry.wait()), asyncio.ensure_future(self._network.clock.sleep(RETRY_SECONDS))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _receive(self, peer: PublicKey, payload: bytes) -> bytes:
        facts = decode(payload, Facts)
        blocks = unpack_all(facts.blocks)
        authors = {block.public_key for block in blocks}
        if not self._sync.all_members(authors):
            await self._sync.with_peer(peer)  # it may know of an admission that we have not heard of
            if not self._sync.all_members(authors):
                raise Refusal("a block in this message is by somebody who is not a member")
        try:
            refused = await self._ledger.ingest(blocks, facts.parts)
        except BadDisclosure as error:
            raise Refusal(str(error)) from error
        if refused:
            raise Refusal(str(refused[0]))
        return b""
