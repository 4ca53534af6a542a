"""Requests and answers of any length between members: QUIC streams carried inside another datagram socket.

QUIC here is only a way to write datagrams. Somebody else owns the socket (the IPv8 community, with its punctured
holes), hands in `send`, and passes what arrives to `receive`:

    async def serve(peer: PublicKey, address: Address, request: bytes) -> Answer:
        if request == b"chain":
            return blocks_in_pieces(peer)      # an async generator of bytes: sent at the reader's pace
        return b"you are " + peer              # or bytes, sent whole

    streams = Streams(identity, community.send_quic, clock, random, serve, commons=community_id)
    community.on_quic = streams.receive        # (address, datagram); never raises

    answer = await streams.request(peer, address, b"who am I", timeout=10)

    async with streams.open(peer, address, b"chain", patience=10) as pieces:
        async for piece in pieces:             # read slowly, and the peer sends slowly
            await store(piece)

    await streams.close()

One connection per member and address is made when needed, used for requests in both directions, and dropped when it
has been silent. Both ends prove their 74-byte keys in the handshake (`quic_certificate`), so `serve` knows who asks
and `request` knows who answers. The commons is part of the protocol's name: a handshake that somebody diverts from one
commons to another between the same two members fails.

`clock.monotonic()` must run with the loop's own time; waiting is done with the running loop's timers only.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from overlay.clock import Clock, Randomness
from overlay.keys import Identity, PublicKey
from overlay.network.quic_errors import (
    Address,
    AnswerTooLarge,
    PeerUnreachable,
    RequestTimedOut,
    StreamError,
    StreamsClosed,
)
from overlay.network.quic_limits import StreamLimits
from overlay.network.quic_links import Links
from overlay.network.quic_pump import Send
from overlay.network.quic_serving import Desk, Handler
from overlay.network.quic_stream import Stream


class Pieces:
    """An answer as it arrives: an async iterator of bytes objects that are not empty.

    Raises RequestTimedOut when nothing arrives for `patience` seconds, and what else ends a request early.
    """

    def __init__(self, stream: Stream, peer: PublicKey, address: Address, patience: float) -> None:
        self._stream = stream
        self._peer = peer
        self._address = address
        self._patience = patience

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout(self._patience):
                piece = await self._stream.read()
        except TimeoutError as error:
            raise RequestTimedOut(self._peer, self._address, self._patience) from error
        if not piece:
            raise StopAsyncIteration
        return piece


class Streams:
    """Asks members for answers and answers them. Call its methods from the event loop's thread only.

    `send(address, datagram)` carries at most `QUIC_DATAGRAM_BYTES`, must not raise, and must not call `receive`
    from within. `commons` is the identifier of the commons that both ends must share.
    """

    def __init__(
        self,
        identity: Identity,
        send: Send,
        clock: Clock,
        random: Randomness,
        serve: Handler,
        limits: StreamLimits | None = None,
        *,
        commons: bytes,
    ) -> None:
        self._limits = limits or StreamLimits()
        self._clock = clock
        self._desk = Desk(serve, self._limits)
        self._links = Links(
            identity,
            commons,
            send=send,
            clock=clock,
            random=random,
            desk=self._desk,
            limits=self._limits,
        )

    @property
    def drops(self) -> Counter[str]:
        """How many datagrams were dropped, by reason."""
        return self._links.drops

    @property
    def connections(self) -> int:
        """How many connections there are, unfinished handshakes included."""
        return len(self._links)

    def receive(self, address: Address, datagram: bytes) -> None:
        """Take in a datagram from anyone. Never raises; what is dropped is counted in `drops`."""
        self._links.receive(address, datagram)

    async def request(
        self, peer: PublicKey, address: Address, payload: bytes, *, timeout: float, limit: int | None = None
    ) -> bytes:
        """Ask `peer` at `address` and return its whole answer, at most `limit` bytes (`answer_bytes` by default).

        `timeout` in seconds covers everything. Raises PeerUnreachable, WrongPeer, RequestTimedOut, StreamRefused,
        AnswerTooLarge, StreamsClosed: all StreamError.
        """
        limit = self._limits.answer_bytes if limit is None else limit
        try:
            async with asyncio.timeout(timeout), self._asking(peer, address, payload) as stream:
                answer = await _read_whole(stream, limit)
        except TimeoutError as error:
            raise self._late(peer, address, timeout) from error
        if answer is None:
            raise AnswerTooLarge(peer, address, limit)
        return answer

    @asynccontextmanager
    async def open(
        self, peer: PublicKey, address: Address, payload: bytes, *, patience: float
    ) -> AsyncIterator[Pieces]:
        """Ask `peer` at `address` for an answer of any length, to be read piece by piece in constant memory.

        Leaving the block before the end tells the peer to stop. `patience` is how many seconds may pass without a
        byte. Raises as `request` does, but never AnswerTooLarge.
        """
        async with self._asking(peer, address, payload, patience) as stream:
            yield Pieces(stream, peer, address, patience)

    @asynccontextmanager
    async def _asking(
        self, peer: PublicKey, address: Address, payload: bytes, patience: float | None = None
    ) -> AsyncIterator[Stream]:
        try:
            async with asyncio.timeout(patience):
                link = await self._links.to(peer, address)
                stream = await link.open_stream()
        except TimeoutError as error:
            raise self._late(peer, address, patience or 0.0) from error
        started = self._clock.monotonic()
        try:
            await stream.write(payload, end=True)
            yield stream
        finally:
            if link.connection.is_unheard(stream.id, self._clock.monotonic() - started):
                self._links.retire(link)
            link.done(stream)

    def _late(self, peer: PublicKey, address: Address, seconds: float) -> StreamError:
        if self._links.knows(peer, address):
            return RequestTimedOut(peer, address, seconds)
        return PeerUnreachable(peer, address, f"nothing heard for {seconds:g} s")

    def moved(self, peer: PublicKey, address: Address) -> None:
        """`peer` is proven to be at `address`: requests that it does not answer elsewhere raise PeerUnreachable."""
        self._links.moved(peer, address)

    async def close(self) -> None:
        """End everything: requests in flight raise StreamsClosed, handlers are cancelled; no task or timer is left."""
        self._links.close(StreamsClosed)
        await self._desk.close()


async def _read_whole(stream: Stream, limit: int) -> bytes | None:
    """All bytes of the stream, None when there are more than `limit`."""
    answer = bytearray()
    while piece := await stream.read():
        answer += piece
        if len(answer) > limit:
            return None
    return bytes(answer)
