"""Keeps the chains of all members alike on all nodes: compares heads, fetches what is missing, asks for fork proofs.

Also the check of the own head: whether a peer holds a block of ours that this folder does not know (DESIGN 3.3).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from overlay.keys import PublicKey, short
from overlay.network.messages import (
    MAX_RANGE,
    AskRange,
    BadMessage,
    Head,
    Heads,
    Range,
    decode,
    encode,
    unpack_all,
)
from overlay.network.network import CallFailed, Network
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Ledger

log = logging.getLogger(__name__)

HEADS, RANGE = "heads", "range"
# Every node compares heads with one peer per interval, in turn.
INTERVAL_SECONDS = 1.0
# An admission that is fetched names one more chain to fetch: go round until nothing is new, but not for ever.
MAX_ROUNDS = 8
# Chains that one comparison follows to their end: 256 requests of 256 blocks.
MAX_REQUESTS = 256
# A peer that cannot answer such a small question in time is asked again next time round.
PATIENCE_SECONDS = 3.0
OWN_HEAD_WITNESSES = 3
OWN_HEAD_PATIENCE = 3.0


class Sync:
    """Compares and fetches. `members` says whose chains are kept."""

    def __init__(self, ledger: Ledger, network: Network, members: Callable[[], set[PublicKey]]) -> None:
        self._ledger, self._network, self._members = ledger, network, members
        self._turn = 0
        self._task: asyncio.Task[None] | None = None
        network.serve(HEADS, self._tell_heads)
        network.serve(RANGE, self._tell_range)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def all_members(self, keys: Iterable[PublicKey]) -> bool:
        """Whether these are all members, as far as this node knows."""
        return self._members().issuperset(keys)

    async def with_peer(self, peer: PublicKey) -> None:
        """Fetch from one peer all that it knows of members and we do not. Gives up quietly when it is silent."""
        try:
            for _ in range(MAX_ROUNDS):
                if not await self._fetch_once(peer):
                    return
        except (CallFailed, BadMessage) as error:
            log.debug("comparing with %s ended: %s", short(peer), error)

    async def own_head(self, peers: list[PublicKey]) -> tuple[int, str | None]:
        """Ask peers for our own head: how many answered, and a sentence when one proves that this folder is behind."""
        asked = peers[:OWN_HEAD_WITNESSES]
        answers = await asyncio.gather(*(self._ahead_of_us(peer) for peer in asked))
        return sum(answer is not None for answer in answers), next((answer for answer in answers if answer), None)

    async def _run(self) -> None:
        while True:
            peers = self._network.peers()
            if peers:
                self._turn += 1
                await self.with_peer(peers[self._turn % len(peers)])
            await self._network.clock.sleep(INTERVAL_SECONDS)

    async def _fetch_once(self, peer: PublicKey) -> bool:
        """One comparison; True when it brought something, so that another may bring more."""
        theirs = await self._heads_of(peer)
        members, fetched, requests = self._members(), 0, 0
        for head in theirs.heads:
            key = PublicKey(head.key)
            if key not in members:
                continue
            if head.forked and not blocks.has_forked(self._ledger.db, key):
                fetched += await self._fetch(peer, AskRange(key, 0, 0, forks=True))
            missing = blocks.first_gap(self._ledger.db, key)
            while missing <= head.contiguous and requests < MAX_REQUESTS:
                requests += 1
                if not await self._fetch(peer, AskRange(key, missing, head.contiguous)):
                    break
                fetched, missing = fetched + 1, blocks.first_gap(self._ledger.db, key)
        return fetched > 0

    async def _heads_of(self, peer: PublicKey) -> Heads:
        return decode(await self._network.call(peer, HEADS, b"", PATIENCE_SECONDS), Heads)

    async def _fetch(self, peer: PublicKey, ask: AskRange) -> int:
        """Fetch one range; returns how many blocks were new to us."""
        answer = decode(await self._network.call(peer, RANGE, encode(ask)), Range)
        found = [block for block in unpack_all(answer.blocks) if block.public_key == ask.key]
        new = [block for block in found if not blocks.contains(self._ledger.db, block.hash)]
        for invalid in await self._ledger.ingest(new):
            log.warning("%s sent: %s", short(peer), invalid)
        return sum(blocks.contains(self._ledger.db, block.hash) for block in new)

    async def _ahead_of_us(self, peer: PublicKey) -> str | None:
        """None without an answer, an empty text when the peer knows nothing newer, else what it proves."""
        own = self._ledger.identity.public_key
        known = (blocks.head(self._ledger.db, own) or (0, b""))[0]
        try:
            async with asyncio.timeout(OWN_HEAD_PATIENCE):
                theirs = next((h.highest for h in (await self._heads_of(peer)).heads if h.key == own), 0)
                if theirs <= known:
                    return ""
                ask = encode(AskRange(own, theirs, theirs))
                answer = decode(await self._network.call(peer, RANGE, ask), Range)
                proof = [b for b in unpack_all(answer.blocks) if b.public_key == own and b.sequence_number == theirs]
        except (CallFailed, BadMessage, TimeoutError):
            return None
        if not any(block.has_valid_signature() for block in proof):
            return ""  # a claim without a signature of ours is no reason to stop
        return (
            f"this folder ends at your statement {known}, but {short(peer)} holds your statement {theirs}: the folder"
            " is an old copy. Signing on from here would look like cheating, so this node signs nothing."
        )

    async def _tell_heads(self, peer: PublicKey, payload: bytes) -> bytes:
        db = self._ledger.db
        told = []
        for key in sorted(self._members()):
            head = blocks.head(db, key)
            if head is not None:
                told.append(Head(key, blocks.first_gap(db, key) - 1, head[0], blocks.has_forked(db, key)))
        return encode(Heads(tuple(told)))

    async def _tell_range(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, AskRange)
        key = PublicKey(ask.key)
        if ask.forks:
            found = [block for pair in blocks.forks(self._ledger.db) if pair[0].public_key == key for block in pair]
        else:
            found = blocks.chain(self._ledger.db, key, ask.first, ask.last, MAX_RANGE)
        return encode(Range(tuple(block.pack() for block in found[:MAX_RANGE])))
