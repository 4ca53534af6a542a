"""One comparison with one peer: asks how far it knows each chain, and fetches what this node misses.

A claim of more blocks costs one question, and an answer counts only where it is exactly what was asked for. What has
come is kept, however the comparison ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from overlay.keys import PublicKey
from overlay.network.heads import DECLARE, KnownHeads, place
from overlay.network.intake import Conveyor, Intake
from overlay.network.messages import AskHeads, AskRange, Head, Heads, decode, encode, unpack_all
from overlay.network.network import Network
from overlay.trustchain.block import HalfBlock

HEADS, RANGE = "heads", "range"
# A peer that cannot answer such a small question in time is asked again next time round.
PATIENCE_SECONDS = 3.0
# A chain's blocks come without a pause, or the peer has gone.
RANGE_PATIENCE = 5.0
# Pages of heads in one comparison: 64 x 1,000 members.
MAX_PAGES = 64
# Questions of one comparison that brought nothing although the peer had claimed something.
MAX_EMPTY = 8
# How far each peer was asked for what each member declares, whose chain is not kept: 50,000 x 300 bytes are 15 MB.
MAX_SKIMMED = 50_000


class Misled(Exception):
    """A peer answered something else than was asked, or not what it claimed to have."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the comparisons with all peers share."""

    network: Network
    heads: KnownHeads
    intake: Intake
    fetching: set[PublicKey] = field(default_factory=set)  # chains of which blocks are fetched now
    # How far a peer was asked for what one declares.
    skimmed: dict[tuple[PublicKey, PublicKey], int] = field(default_factory=dict)


class Comparison:
    """Good for one `run`. `keeps` says whose chains are fetched whole: of the others what they declare, and proofs
    against them."""

    def __init__(self, shared: Shared, peer: PublicKey, keeps: Callable[[PublicKey], bool]) -> None:
        self._shared, self._peer, self._keeps = shared, peer, keeps
        self._network, self._heads = shared.network, shared.heads
        self._conveyor = Conveyor(shared.intake)
        self._asked: dict[PublicKey, Head] = {}  # the chains that were asked for, as far as they were known before
        self._skimmed: dict[PublicKey, int] = {}  # those of which was asked only what they declare, and how far

    async def run(self) -> bool:
        """True when it brought something, so that another may bring more.

        Raises CallFailed, BadMessage, StorageError, and Misled when the peer's answers do not bear out its claims.
        """
        try:
            async with self._conveyor:
                await self._ask_for_missing()
        finally:
            self._shared.fetching.difference_update(self._asked)
        if self._conveyor.refused:
            raise Misled(str(next(iter(self._conveyor.refused.values()))))
        self._remember_skimmed()
        gains = [_gain(before, self._heads.of(key)) for key, before in self._asked.items()]
        if gains.count(0) > MAX_EMPTY:
            raise Misled("it shows blocks that do not bear out what it claims")
        return sum(gains) > 0

    def _remember_skimmed(self) -> None:
        """Only now that what came is stored: what a broken line kept back must be asked for again."""
        for key, last in self._skimmed.items():
            if len(self._shared.skimmed) >= MAX_SKIMMED:
                self._shared.skimmed.clear()
            self._shared.skimmed[self._peer, key] = last

    async def _ask_for_missing(self) -> None:
        """Go through the peer's heads, page by page, and put on the conveyor what they promise."""
        empty, after = 0, b""
        for _ in range(MAX_PAGES):
            theirs = await self._heads_of_peer(after)
            for head in theirs.heads:
                if place(head.key) <= place(after):
                    raise Misled("its heads are not in order")
                after = head.key
                empty += await self._follow(head) == 0
                if empty > MAX_EMPTY:
                    raise Misled("it claims blocks that it does not show")
            if not theirs.more or not theirs.heads or self._conveyor.refused:
                return

    async def _heads_of_peer(self, after: bytes) -> Heads:
        ask = AskHeads(self._heads.digests(), after)
        return decode(await self._network.call(self._peer, HEADS, encode(ask), PATIENCE_SECONDS), Heads)

    async def _follow(self, head: Head) -> int | None:
        """Fetch what one head promises; how many blocks came, None when there was nothing to ask for."""
        key = PublicKey(head.key)
        if key not in self._heads.members() or key in self._shared.fetching:
            return None
        ours = self._heads.of(key)
        asks = [*_wants(ours, head)] if self._keeps(key) else [*self._wants_little(ours, head)]
        if not asks:
            return None
        if not all(ask.declares for ask in asks):  # what declares nothing new is no false claim
            self._asked[key] = ours
        self._shared.fetching.add(key)
        try:
            came = sum([await self._fetch(ask) for ask in asks])
        finally:
            if key not in self._asked:
                self._shared.fetching.discard(key)
        self._skimmed |= dict.fromkeys([key for ask in asks if ask.declares], head.contiguous)
        return came if key in self._asked else None

    def _wants_little(self, ours: Head, head: Head) -> Iterator[AskRange]:
        """What to ask about a chain that is not kept: each peer, once for each place."""
        if head.forks > ours.forks:
            yield AskRange(ours.key, 0, 0, forks=True)
        skimmed = max(ours.contiguous, self._shared.skimmed.get((self._peer, PublicKey(ours.key)), 0))
        if head.contiguous > skimmed:
            yield AskRange(ours.key, skimmed + 1, head.contiguous, declares=True)

    async def _fetch(self, ask: AskRange) -> int:
        """Fetch one range and put it on the conveyor as it comes; returns how many blocks came that may be new."""
        follows, ours = ask.first, self._heads.of(PublicKey(ask.key))
        is_overlap = not ask.forks and not ask.declares and ask.first <= ours.contiguous
        async with self._network.open(self._peer, RANGE, encode(ask), RANGE_PATIENCE) as batches:
            async for batch in batches:
                found = unpack_all(batch)
                follows = _check_order(ask, found, follows)
                await self._conveyor.put(found)
                if self._conveyor.refused:
                    break
        return max(0, follows - ask.first - is_overlap)


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
