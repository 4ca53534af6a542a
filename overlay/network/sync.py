"""Keeps the chains of all members alike on all nodes: compares heads, fetches what is missing, asks for fork proofs.

A peer is never believed beyond what it shows: a claim of more blocks costs one question, every block is checked before
it is stored, and a peer that answers something else than was asked, or brings nothing of what it claimed, is left
aside for a while. What has come is kept, so an interrupted answer is gone on with at the next peer.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable

from overlay.keys import PublicKey, short
from overlay.network.comparison import HEADS, PATIENCE_SECONDS, RANGE, Comparison, Misled, Shared
from overlay.network.heads import KnownHeads
from overlay.network.intake import Intake
from overlay.network.messages import AskHeads, AskRange, BadMessage, decode, encode, unpack_all
from overlay.network.network import CallFailed, Network
from overlay.network.telling import LAST_SEQUENCE, tell
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.store import StorageError
from overlay.trustchain.validation import Invalid

log = logging.getLogger(__name__)

# Two peers at a time, so that one that answers as slowly as it may does not hold up the others.
WORKERS = 2
# Each worker compares heads with one peer per interval: the one that it has not asked for the longest time.
INTERVAL_SECONDS = 1.0
# What one turn with one peer may take. It ends earlier when nothing is missing; what is missing then comes next time.
TURN_SECONDS = 20.0
# A peer that misled us is left aside for this many of its turns, twice as many each time after.
MAX_STRIKES = 6


class Sync:
    """Compares and fetches. `members` says whose chains are heard of, `keeps` which of these are fetched whole: of the
    others what they declare, and proofs against them."""

    def __init__(
        self,
        ledger: Ledger,
        network: Network,
        members: Callable[[], set[PublicKey]],
        keeps: Callable[[PublicKey], bool] = lambda _: True,
    ) -> None:
        self._ledger, self._network, self.keeps = ledger, network, keeps
        self._heads = KnownHeads(ledger, members)
        self._intake = Intake(ledger)
        self._shared = Shared(network, self._heads, self._intake)
        self._asked: dict[PublicKey, int] = {}
        self._strikes: dict[PublicKey, int] = {}
        self._turn = 0
        self._turns: dict[PublicKey, asyncio.Lock] = {}  # one comparison with each peer at a time
        self._workers: list[asyncio.Task[None]] = []
        network.follow_members(self.members)
        network.serve(HEADS, self._tell_heads)
        network.serve_blocks(RANGE, self._tell_range)

    def start(self) -> None:
        """Begin to compare with one peer after another, until `close`."""
        self._workers = [asyncio.create_task(self._run()) for _ in range(WORKERS)]

    async def close(self) -> None:
        """Stop comparing."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._heads.close()
        self._intake.close()

    def members(self) -> set[PublicKey]:
        """Whose chains are kept."""
        return self._heads.members()

    def forgotten(self, keys: Iterable[PublicKey]) -> None:
        """Blocks of these chains are no longer here: others are told so from now on."""
        self._heads.look_again(keys)

    def all_members(self, keys: Iterable[PublicKey]) -> bool:
        """Whether these are all members, as far as this node knows."""
        return self.members().issuperset(keys)

    def watch_own(self, on_foreign: Callable[[HalfBlock], None]) -> None:
        """Call `on_foreign` with every valid block of our own key that comes from a peer and was not known here."""
        self._intake.on_foreign = on_foreign

    async def take(self, found: Iterable[HalfBlock], parts: Iterable[Disclosure] = ()) -> dict[BlockHash, Invalid]:
        """Check and store what a peer sent; returns the verdict of each block that is refused.

        Raises BadDisclosure, StorageError.
        """
        return await self._intake.take(list(found), list(parts))

    async def with_peer(self, peer: PublicKey) -> None:
        """Fetch from one peer all that it knows of members and we do not. Gives up quietly when it is silent."""
        async with self._turns.setdefault(peer, asyncio.Lock()):
            await self._take_turn(peer)

    async def _take_turn(self, peer: PublicKey) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                while await Comparison(self._shared, peer, self.keeps).run():
                    pass  # an admission that was fetched may name one more chain to fetch
        except TimeoutError:
            log.debug("comparing with %s goes on another time", short(peer))
        except CallFailed as error:
            log.debug("comparing with %s ended: %s", short(peer), error)
        except (BadMessage, Misled) as error:
            self._strike(peer, error)
        except StorageError as error:
            log.warning("what %s sent could not be stored: %s", short(peer), error)
        else:
            self._strikes.pop(peer, None)

    async def holds_own(self, peer: PublicKey, known: int) -> list[HalfBlock]:
        """Blocks of our own key that `peer` has at `known` and behind: at most one batch. Who gives no word about our
        end is asked for what it has at `known`, which counts where it is another block than ours. Raises CallFailed,
        BadMessage."""
        try:
            return await self._own(peer, known, LAST_SEQUENCE)
        except CallFailed as error:
            if not error.refused:
                raise
            shown = await self._own(peer, known, known)
            if all(blocks.contains(self._ledger.db, block.hash) for block in shown):
                raise
            return shown

    async def _own(self, peer: PublicKey, first: int, last: int) -> list[HalfBlock]:
        ask = AskRange(self._ledger.identity.public_key, first, last)
        async with self._network.open(peer, RANGE, encode(ask), PATIENCE_SECONDS) as batches:
            async for batch in batches:
                return [block for block in unpack_all(batch) if block.public_key == ask.key]
        return []

    def _is_busy(self, peer: PublicKey) -> bool:
        turn = self._turns.get(peer)
        return turn is not None and turn.locked()

    async def _run(self) -> None:
        while True:
            peer = self._next_peer()
            if peer is not None:
                await self.with_peer(peer)
            await self._network.clock.sleep(INTERVAL_SECONDS)

    def _next_peer(self) -> PublicKey | None:
        """The peer that was not asked for the longest time; with n strikes it waits for 2^n - 1 more rounds."""
        peers = [peer for peer in self._network.peers() if not self._is_busy(peer)]
        if not peers:
            return None

        def due(peer: PublicKey) -> int:
            return self._asked.get(peer, 0) + len(peers) * ((1 << self._strikes.get(peer, 0)) - 1)

        self._turn += 1
        peer = min(peers, key=due)
        self._asked[peer] = self._turn
        return peer

    def _strike(self, peer: PublicKey, error: Exception) -> None:
        self._network.count_drop("comparison that misled us")
        self._strikes[peer] = min(self._strikes.get(peer, 0) + 1, MAX_STRIKES)
        log.warning("comparing with %s ended: %s", short(peer), error)

    async def _tell_heads(self, peer: PublicKey, payload: bytes) -> bytes:
        return encode(self._heads.page(decode(payload, AskHeads)))

    def _tell_range(self, peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
        return tell(self._ledger.db, self.keeps, decode(payload, AskRange))
