"""Keeps the chains of all members alike on all nodes: compares heads, fetches what is missing, asks for fork proofs.

A peer is never believed beyond what it shows: a claim of more blocks costs one question, every block is checked before
it is stored, and a peer that answers something else than was asked, or brings nothing of what it claimed, is left
aside for a while. What has come is kept, so an interrupted answer is gone on with at the next peer.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from overlay.keys import PublicKey, short
from overlay.network.heads import DECLARE, KnownHeads, place, raw_chain, raw_declares, raw_forks
from overlay.network.intake import Conveyor, Intake
from overlay.network.messages import AskHeads, AskRange, BadMessage, Head, Heads, decode, encode, frames, unpack_all
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.store import StorageError
from overlay.trustchain.validation import Invalid

log = logging.getLogger(__name__)

HEADS, RANGE = "heads", "range"
LAST_SEQUENCE = 0xFFFF_FFFF
# Two peers at a time, so that one that answers as slowly as it may does not hold up the others.
WORKERS = 2
# Each worker compares heads with one peer per interval: the one that it has not asked for the longest time.
INTERVAL_SECONDS = 1.0
# What one turn with one peer may take. It ends earlier when nothing is missing; what is missing then comes next time.
TURN_SECONDS = 20.0
# A peer that cannot answer such a small question in time is asked again next time round.
PATIENCE_SECONDS = 3.0
# A chain's blocks come without a pause, or the peer has gone.
RANGE_PATIENCE = 5.0
# Pages of heads in one comparison: 64 x 1,000 members.
MAX_PAGES = 64
# Questions of one comparison that brought nothing although the peer had claimed something.
MAX_EMPTY = 8
# A peer that misled us is left aside for this many of its turns, twice as many each time after.
MAX_STRIKES = 6
# How far each peer was asked for what each member declares, whose chain is not kept: 50,000 x 300 bytes are 15 MB.
MAX_SKIMMED = 50_000
# Blocks of one piece of an answer: 64 of at most 1,445 bytes are less than a stream's outbox (128 KiB).
BLOCKS_PER_PIECE = 64


class Misled(Exception):
    """A peer answered something else than was asked, or not what it claimed to have."""


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
        self._skimmed: dict[tuple[PublicKey, PublicKey], int] = {}  # how far a peer was asked for what one declares
        self._heads = KnownHeads(ledger, members)
        self._intake = Intake(ledger)
        self._asked: dict[PublicKey, int] = {}
        self._strikes: dict[PublicKey, int] = {}
        self._turn = 0
        self._turns: dict[PublicKey, asyncio.Lock] = {}  # one comparison with each peer at a time
        self._fetching: set[PublicKey] = set()  # chains of which blocks are fetched now
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
                while await self._compare(peer):
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

    # Asking

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

    async def _compare(self, peer: PublicKey) -> bool:
        """One comparison; True when it brought something, so that another may bring more."""
        asked: dict[PublicKey, Head] = {}  # the chains that were asked for, as far as they were known before
        skimmed: dict[PublicKey, int] = {}  # those of which was asked only what they declare, and how far
        try:
            async with Conveyor(self._intake) as conveyor:
                await self._ask_for_missing(peer, asked, skimmed, conveyor)
        finally:
            self._fetching -= asked.keys()
        if conveyor.refused:
            raise Misled(str(next(iter(conveyor.refused.values()))))
        self._remember_skimmed(peer, skimmed)
        gains = [_gain(before, self._heads.of(key)) for key, before in asked.items()]
        if gains.count(0) > MAX_EMPTY:
            raise Misled("it shows blocks that do not bear out what it claims")
        return sum(gains) > 0

    def _remember_skimmed(self, peer: PublicKey, skimmed: dict[PublicKey, int]) -> None:
        """Only now that what came is stored: what a broken line kept back must be asked for again."""
        for key, last in skimmed.items():
            if len(self._skimmed) >= MAX_SKIMMED:
                self._skimmed.clear()
            self._skimmed[peer, key] = last

    async def _ask_for_missing(
        self, peer: PublicKey, asked: dict[PublicKey, Head], skimmed: dict[PublicKey, int], conveyor: Conveyor
    ) -> None:
        """Go through the peer's heads, page by page, and put on the conveyor what they promise."""
        empty, after = 0, b""
        for _ in range(MAX_PAGES):
            theirs = await self._heads_of(peer, after)
            for head in theirs.heads:
                if place(head.key) <= place(after):
                    raise Misled("its heads are not in order")
                after = head.key
                empty += await self._follow(peer, head, asked, skimmed, conveyor) == 0
                if empty > MAX_EMPTY:
                    raise Misled("it claims blocks that it does not show")
            if not theirs.more or not theirs.heads or conveyor.refused:
                return

    async def _heads_of(self, peer: PublicKey, after: bytes) -> Heads:
        ask = AskHeads(self._heads.digests(), after)
        return decode(await self._network.call(peer, HEADS, encode(ask), PATIENCE_SECONDS), Heads)

    async def _follow(
        self,
        peer: PublicKey,
        head: Head,
        asked: dict[PublicKey, Head],
        skimmed: dict[PublicKey, int],
        conveyor: Conveyor,
    ) -> int | None:
        """Fetch what one head promises; how many blocks came, None when there was nothing to ask for."""
        key = PublicKey(head.key)
        if key not in self.members() or key in self._fetching:
            return None
        ours = self._heads.of(key)
        asks = [*_wants(ours, head)] if self.keeps(key) else [*self._wants_little(peer, ours, head)]
        if not asks:
            return None
        if not all(ask.declares for ask in asks):  # what declares nothing new is no false claim
            asked[key] = ours
        self._fetching.add(key)
        try:
            came = sum([await self._fetch(peer, ask, conveyor) for ask in asks])
        finally:
            if key not in asked:
                self._fetching.discard(key)
        skimmed |= dict.fromkeys([key for ask in asks if ask.declares], head.contiguous)
        return came if key in asked else None

    def _wants_little(self, peer: PublicKey, ours: Head, head: Head) -> Iterator[AskRange]:
        """What to ask about a chain that is not kept: each peer, once for each place."""
        if head.forks > ours.forks:
            yield AskRange(ours.key, 0, 0, forks=True)
        skimmed = max(ours.contiguous, self._skimmed.get((peer, PublicKey(ours.key)), 0))
        if head.contiguous > skimmed:
            yield AskRange(ours.key, skimmed + 1, head.contiguous, declares=True)

    async def _fetch(self, peer: PublicKey, ask: AskRange, conveyor: Conveyor) -> int:
        """Fetch one range and put it on the conveyor as it comes; returns how many blocks came that may be new."""
        follows, ours = ask.first, self._heads.of(PublicKey(ask.key))
        is_overlap = not ask.forks and not ask.declares and ask.first <= ours.contiguous
        async with self._network.open(peer, RANGE, encode(ask), RANGE_PATIENCE) as batches:
            async for batch in batches:
                found = unpack_all(batch)
                follows = _check_order(ask, found, follows)
                await conveyor.put(found)
                if conveyor.refused:
                    break
        return max(0, follows - ask.first - is_overlap)

    # Answering

    async def _tell_heads(self, peer: PublicKey, payload: bytes) -> bytes:
        return encode(self._heads.page(decode(payload, AskHeads)))

    async def _tell_range(self, peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
        ask = decode(payload, AskRange)
        key, db, first = PublicKey(ask.key), self._ledger.db, ask.first
        if ask.forks:
            yield frames(raw_forks(db, key))
            return
        told = raw_declares if ask.declares else raw_chain
        # Whoever asks for the end of its own chain names the last block that it knows. Of a chain that is not kept we
        # may have that very block and none behind it, and our silence must not be taken for a word that there is none.
        asks_for_end = ask.last == LAST_SEQUENCE and not ask.declares
        if not self.keeps(key) and not told(db, key, first + asks_for_end, ask.last, 1):
            raise Refusal("this node does not keep that chain, and knows nothing of its end")
        while found := told(db, key, first, ask.last, BLOCKS_PER_PIECE):
            yield frames(raw for _, raw in found)
            first = found[-1][0] + 1


def _wants(ours: Head, head: Head) -> Iterator[AskRange]:
    """What to ask about a chain of which a peer knows more, or something else. The block at our own end is asked for
    again: where it is another than ours, that proves two histories, which no comparison of lengths would show."""
    if head.forks > ours.forks:
        yield AskRange(ours.key, 0, 0, forks=True)
    if head.contiguous > ours.contiguous:
        yield AskRange(ours.key, max(1, ours.contiguous), head.contiguous)
    elif head.contiguous == ours.contiguous and head.tip != ours.tip and not ours.forks and not head.forks:
        yield AskRange(ours.key, ours.contiguous, ours.contiguous)


def _gain(before: Head, after: Head) -> int:
    """By how much more of one chain is known."""
    return after.contiguous - before.contiguous + after.forks - before.forks


def _check_order(ask: AskRange, found: list[HalfBlock], follows: int) -> int:
    """Whether blocks are of the chain that was asked for, and numbered from `follows` on without a gap; returns the
    number that follows then. Raises Misled."""
    for block in found:
        if block.public_key != ask.key:
            raise Misled("it sent a block of another chain than was asked for")
        if ask.forks:
            follows += 1
        elif ask.declares:
            if block.type != DECLARE or not follows <= block.sequence_number <= ask.last:
                raise Misled("it sent something else than what one declares")
            follows = block.sequence_number + 1
        elif block.sequence_number != follows or follows > ask.last:
            raise Misled("it sent a block out of order, or of a place that was not asked for")
        else:
            follows += 1
    return follows
