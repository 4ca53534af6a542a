"""Fetches the pictures of what its member holds (a headless node: of everything), and settles the bandwidth."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial

from overlay.content import ContentError, ContentReceived, ContentSession, FolderError
from overlay.content.events import ContentEvent
from overlay.content.tallies import countersign, record_sent, seeds, sign_tally, tallies
from overlay.dao.assembly.reading import to_read
from overlay.economy.holdings import holdings
from overlay.economy.members import member
from overlay.keys import PublicKey
from overlay.network.network import Network
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction
from overlay.trustchain.statements import Media

log = logging.getLogger(__name__)

# Seconds for an attempt to fetch a picture: the first, in which headless nodes alone are asked where there are any, and
# twice as long each time after. What is there by then stays, and the next attempt goes on, at those who share by then:
# news of a picture may come before news of where its maker is.
FIRST_ATTEMPT_SECONDS = 5.0
ATTEMPT_SECONDS = 40.0
RETRY_SECONDS = 1.0
MAX_SOURCES = 8
# Pictures of one attempt at a time: a newcomer to a large commons does not start a thousand downloads.
MAX_AT_ONCE = 8


class Pictures:
    """One per node that belongs to a commons."""

    def __init__(
        self, ledger: Ledger, network: Network, content: ContentSession, headless: bool, tell: Callable[[str], None]
    ) -> None:
        """`tell` takes the infohash of each picture that has come."""
        self._ledger, self._network, self._content = ledger, network, content
        self._headless, self._tell = headless, tell
        self._fetching: dict[bytes, asyncio.Task[None]] = {}
        self._counted: tuple[dict[PublicKey, int], dict[PublicKey, int]] = ({}, {})
        self._settling = asyncio.Lock()

    def look(self) -> None:
        """Start to fetch what is wanted and not here. Call it when the ledger has changed."""
        for media in wanted(self._ledger.db, self._ledger.identity.public_key, self._headless):
            here = self._content.status(media.infohash.hex()).path is not None
            if not here and media.infohash not in self._fetching and len(self._fetching) < MAX_AT_ONCE:
                task = asyncio.create_task(self._fetch(media))
                self._fetching[media.infohash] = task
                task.add_done_callback(partial(self._forget, media.infohash))

    def on_event(self, event: ContentEvent) -> None:
        """What the content session tells."""
        if isinstance(event, ContentReceived):
            self._tell(event.infohash)

    async def settle(self) -> None:
        """Sign for what was received from each member, and countersign what others say, as far as we sent it."""
        members = {seed.token: seed.member for seed in seeds(self._ledger.db)}
        async with self._settling:
            counted = (_by_member(self._content.sent(), members), _by_member(self._content.received(), members))
            if counted == self._counted and not self._has_claims():
                return
            sent, received = counted
            try:
                await self._ledger.transact(lambda tx: _settle(tx, sent, self._counted[0], received))
            except SigningRefused as refusal:
                log.info("bandwidth is settled later: %s", refusal)
                return
            self._counted = counted

    def _has_claims(self) -> bool:
        me = self._ledger.identity.public_key
        return any(tally.uploader == me and not tally.agreed for tally in tallies(self._ledger.db))

    async def close(self) -> None:
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, infohash: bytes, _: asyncio.Task[None]) -> None:
        self._fetching.pop(infohash, None)

    async def _fetch(self, media: Media) -> None:
        """Ask the carriers alone first: they are there for it, and members' own devices are spared."""
        patience = FIRST_ATTEMPT_SECONDS
        while True:
            carriers, others = self._sources()
            sources = carriers if carriers and patience == FIRST_ATTEMPT_SECONDS else [*carriers, *others]
            if sources and await self._attempt(media, sources[:MAX_SOURCES], patience):
                await self.settle()
                return
            patience = min(2 * patience, ATTEMPT_SECONDS)
            await self._network.clock.sleep(RETRY_SECONDS)

    async def _attempt(self, media: Media, sources: list[tuple[str, int]], patience: float) -> bool:
        try:
            await self._content.fetch(media.infohash.hex(), media.sha256.hex(), media.size, sources, timeout=patience)
        except (ContentError, FolderError) as error:
            log.info("a picture has not come yet: %s", error)
            return False
        return True

    def _sources(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Where members that are reachable share content: headless carriers, and the others."""
        places = self._network.addresses()
        carriers: list[tuple[str, int]] = []
        others: list[tuple[str, int]] = []
        for seed in seeds(self._ledger.db):
            if seed.member in places:
                found = carriers if member(self._ledger.db, seed.member).headless else others
                found.append((places[seed.member][0], seed.port))
        return carriers, others


def wanted(db: sqlite3.Connection, me: PublicKey, headless: bool) -> list[Media]:
    """The pictures of vouchers that this member has ever held, or of all; and what its groups talk about."""
    rows = db.execute("SELECT id, infohash, sha256, size FROM voucher_mint WHERE infohash IS NOT NULL ORDER BY id")
    held = {each.voucher for each in holdings(db, me)}
    found = [Media(*media) for id_, *media in rows if headless or BlockHash(id_) in held]
    return found + to_read(db, me)


def _by_member(counted: dict[str, int], members: dict[str, PublicKey]) -> dict[PublicKey, int]:
    return {members[token]: total for token, total in counted.items() if token in members}


def _settle(
    tx: Transaction, sent: dict[PublicKey, int], sent_before: dict[PublicKey, int], received: dict[PublicKey, int]
) -> None:
    me = tx.identity.public_key
    for downloader, total in sorted(sent.items()):
        record_sent(tx, downloader, total - sent_before.get(downloader, 0))
    for uploader, total in sorted(received.items()):
        if uploader != me:
            sign_tally(tx, uploader, total, ())
    for tally in tallies(tx.db):
        if tally.uploader == me and not tally.agreed:
            countersign(tx, tally.id)
