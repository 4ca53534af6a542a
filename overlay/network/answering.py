"""Answers requests: who may ask what how often, and how a refusal is told."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from overlay.clock import Clock
from overlay.keys import PublicKey
from overlay.network.endpoint import Address
from overlay.network.messages import MAX_REFUSAL, Answer, BadMessage, Request, decode, encode, frames
from overlay.network.rates import ALL_STRANGER_REQUESTS, HOST_REQUESTS, MEMBER_REQUESTS, Allowance, Buckets
from overlay.trustchain.store import StorageError

Service = Callable[[PublicKey, bytes], Awaitable[bytes]]
# Answers with pieces, each of which is a sequence of frames (`messages.frames`).
LongService = Callable[[PublicKey, bytes], AsyncIterator[bytes]]

# Requests of one member that are answered at once: a quarter of those of all (StreamLimits.served).
MAX_AT_ONCE = 32
MAX_OF_ALL = 112  # so that long answers and new requests of others always find one of the 128
# Long answers, of one member and of all: each takes its turn with pieces that cost 1 ms, so that 16 delay others by
# 16 ms at most.
MAX_LONG_AT_ONCE = 4
MAX_LONG_OF_ALL = 16


class Refusal(Exception):
    """Raised by a service to refuse a request: the asker gets the sentence."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """One service: it answers whole or at length, members only or everybody."""

    whole: Service | None
    long: LongService | None
    strangers: bool


class Answering:
    """The services of one node."""

    def __init__(self, clock: Clock, is_member: Callable[[PublicKey], bool], count_drop: Callable[[str], None]) -> None:
        self._is_member, self._count_drop = is_member, count_drop
        self._offers: dict[str, _Offer] = {}
        self._under_way: Counter[PublicKey] = Counter()
        self._long_under_way: Counter[PublicKey] = Counter()
        self._of_members: Buckets[PublicKey] = Buckets(clock, MEMBER_REQUESTS)
        self._of_strangers: Allowance[str] = Allowance(clock, HOST_REQUESTS, ALL_STRANGER_REQUESTS)

    def serve(self, service: str, handler: Service, *, strangers: bool) -> None:
        """Answer a service whole."""
        self._offers[service] = _Offer(handler, None, strangers)

    def serve_blocks(self, service: str, handler: LongService) -> None:
        """Answer a service at length, members only."""
        self._offers[service] = _Offer(None, handler, strangers=False)

    async def answer(self, peer: PublicKey, address: Address, raw: bytes) -> bytes | AsyncIterator[bytes]:
        """Answer one request. The peer's key is proven; nothing else is."""
        try:
            self._check_rate(peer, address)
            request = decode(raw, Request)
            offer = self._offer(peer, request.service)
            if offer.long is not None:
                return self._at_length(peer, offer.long, request.payload)
            assert offer.whole is not None, "an offer answers whole or at length"
            with _one_of_few(self._under_way, peer, MAX_AT_ONCE, MAX_OF_ALL):
                return encode(Answer(True, await offer.whole(peer, request.payload), ""))
        except (Refusal, BadMessage, StorageError) as refusal:
            return self._refuse(refusal)

    async def _at_length(self, peer: PublicKey, handler: LongService, payload: bytes) -> AsyncIterator[bytes]:
        """The answer's own frame goes with the first piece: until then the handler may still refuse."""
        head = frames([encode(Answer(True, b"", ""))])
        try:
            with _one_of_few(self._long_under_way, peer, MAX_LONG_AT_ONCE, MAX_LONG_OF_ALL):
                async with aclosing(handler(peer, payload)) as pieces:  # type: ignore[type-var]
                    async for piece in pieces:
                        yield head + piece
                        head = b""
        except (Refusal, BadMessage, StorageError) as refusal:
            if not head:
                raise  # in the middle of an answer nothing can be said any more: the stream is broken off
            head = frames([self._refuse(refusal)])
        if head:
            yield head

    def _refuse(self, refusal: Exception) -> bytes:
        self._count_drop(f"refused: {type(refusal).__name__}")
        # What went wrong with our disk names our folders, and is nobody's business.
        said = "this node cannot store anything now" if isinstance(refusal, StorageError) else str(refusal)
        return encode(Answer(False, b"", said[:MAX_REFUSAL]))

    def _check_rate(self, peer: PublicKey, address: Address) -> None:
        is_member = self._is_member(peer)
        if not (self._of_members.take(peer) if is_member else self._of_strangers.take(address[0])):
            raise Refusal("too many requests; ask more slowly")

    def _offer(self, peer: PublicKey, service: str) -> _Offer:
        offer = self._offers.get(service)
        if offer is None:
            raise Refusal("this node has no such service")
        if not offer.strangers and not self._is_member(peer):
            raise Refusal("only members of this commons are answered")
        return offer


@contextmanager
def _one_of_few(under_way: Counter[PublicKey], peer: PublicKey, most: int, most_of_all: int) -> Iterator[None]:
    if under_way[peer] >= most or under_way.total() >= most_of_all:
        raise Refusal("too many requests at once; ask one after another")
    under_way[peer] += 1
    try:
        yield
    finally:
        under_way[peer] -= 1
        if not under_way[peer]:
            del under_way[peer]
