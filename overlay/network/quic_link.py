"""One connection to one member at one address: its timer, its datagrams, its streams.

A link keeps its address for life. Datagrams for it from elsewhere never reach it, and it sends nowhere else: the QUIC
library could migrate paths, but a peer that comes back from another address simply makes a new connection, and proves
its key again.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Protocol

from aioquic.quic import events
from aioquic.quic.packet import QuicErrorCode

from overlay.clock import Clock
from overlay.keys import PublicKey
from overlay.network.quic_certificate import InvalidCertificate
from overlay.network.quic_connection import MemberConnection
from overlay.network.quic_errors import (
    Address,
    Code,
    Failure,
    PeerUnreachable,
    StreamError,
    WrongPeer,
)
from overlay.network.quic_limits import HANDSHAKE_BYTES, StreamLimits
from overlay.network.quic_multiplex import Multiplex
from overlay.network.quic_pump import Pump, Send
from overlay.network.quic_stream import Stream

LONG_HEADER = 0x80  # RFC 9000 section 17.2: the first bit tells packets of the handshake from the others.


class Owner(Protocol):
    """Who keeps the links. Every call comes from within a method of the link."""

    def link_proven(self, link: "Link") -> None:
        """The peer has proven its key."""

    def link_ended(self, link: "Link") -> None:
        """The link is over; nothing more comes from it."""

    def link_named(self, link: "Link", connection_id: bytes, *, is_valid: bool) -> None:
        """Datagrams with this connection id belong to the link, or no longer do."""

    def request_grew(self, link: "Link", stream: Stream) -> None:
        """The peer sent (more of) a request."""


class Link:
    """A connection from the first datagram to the last. Client links expect a certain member; server links nobody."""

    def __init__(
        self,
        connection: MemberConnection,
        address: Address,
        *,
        owner: Owner,
        send: Send,
        clock: Clock,
        limits: StreamLimits,
        expected: PublicKey | None = None,
    ) -> None:
        self.connection = connection
        self.address = address
        self.expected = expected
        self.limits = limits
        self.peer: PublicKey | None = None
        self.failure: Failure | None = None  # Why it is over; None while it lives.
        self.heard_at = clock.monotonic()
        self._owner = owner
        self._settled = asyncio.Event()  # Proven or over.
        self._waiting = 0
        self._clock = clock
        self._pump = Pump(connection, address, send=send, clock=clock, moved=self._progress, broke=self._broke)
        self._loop = asyncio.get_running_loop()
        self._multiplex = Multiplex(self, partial(owner.request_grew, self))
        self._unproven_bytes = 0
        self._deadline = self._loop.call_later(limits.handshake_seconds, self._handshake_expired)

    # Life

    def connect(self) -> None:
        """Begin the handshake; for client links only."""
        self._pump.connect()

    def receive(self, datagram: bytes) -> str | None:
        """A datagram from this link's address. Returns why it was dropped, None when it proved to be the peer's."""
        if self.peer is None and self._is_handshake_too_long(datagram):
            self.drop(partial(PeerUnreachable, reason="its handshake is too long"))
            return "handshake too long"
        accepted = self.connection.accepted
        if not self._pump.receive(datagram):
            return "library fault"
        if self.connection.accepted == accepted:
            return self._drop_unauthentic(datagram)
        self.heard_at = self._clock.monotonic()
        return None

    def _is_handshake_too_long(self, datagram: bytes) -> bool:
        # Packets of a later stage, which overtook the handshake, are dropped by the library and take no memory.
        if datagram[0] & LONG_HEADER:
            self._unproven_bytes += len(datagram)
        return self._unproven_bytes > HANDSHAKE_BYTES

    def _drop_unauthentic(self, datagram: bytes) -> str:
        if not self.connection.is_reset(datagram):
            return "not authentic"
        self.drop(partial(PeerUnreachable, reason="it has restarted"))
        return "reset"

    def end(self, failure: Failure, code: int = Code.DONE) -> None:
        """Close the connection and fail what hangs on it. The peer is told once; if that is lost, it times out."""
        if self.failure is None:
            self.connection.close(error_code=code)
            self._pump.flush_now()
            self.drop(failure)

    def drop(self, failure: Failure) -> None:
        """As `end`, but without a word to the peer."""
        if self.failure is not None:
            return
        self.failure = failure
        self._pump.stop()
        self._deadline.cancel()
        self._multiplex.fail(failure)
        self._settled.set()
        self._owner.link_ended(self)

    async def handshake(self) -> None:
        """Wait until the link is proven or over. A link for which nobody waits any more is not worth going on with."""
        self._waiting += 1
        try:
            await self._settled.wait()
        finally:
            self._waiting -= 1
            if not self._waiting and not self._settled.is_set():
                self.drop(partial(PeerUnreachable, reason="nobody waits for it"))

    @property
    def is_stillborn(self) -> bool:
        """Whether what should have begun a connection from outside was no packet of QUIC."""
        return self.expected is None and not self.connection.accepted

    @property
    def is_half_open(self) -> bool:
        """Whether a newcomer has begun a handshake here and not proven a key."""
        return self.peer is None and self.expected is None

    @property
    def is_idle(self) -> bool:
        """Whether the link is proven and carries nothing, so that it may make way for another."""
        return self.peer is not None and self._multiplex.is_idle

    def because(self, failure: Failure) -> StreamError:
        """The failure as this link's streams raise it."""
        peer = self.peer or self.expected
        assert peer is not None, "a link whose peer is unknown has no streams"
        return failure(peer, self.address)

    def _broke(self) -> None:
        self.drop(partial(PeerUnreachable, reason="it broke the connection"))

    def _handshake_expired(self) -> None:
        # Without a word: whoever has not finished a handshake may have had three times what he sent already.
        self.drop(partial(PeerUnreachable, reason="no handshake in time"))

    # Streams

    async def open_stream(self) -> Stream:
        """A new stream of ours, as soon as the peer allows one more. Give it back with `done`."""
        return await self._multiplex.open()

    def done(self, stream: Stream, code: int = Code.CANCELLED) -> None:
        """The owner of the stream is through with it; what is not finished is abandoned with `code`."""
        self._multiplex.done(stream, code)

    def flush_soon(self) -> None:
        """Send what is pending, together with what the current callbacks add."""
        self._pump.flush_soon()

    # Events

    def _progress(self) -> None:
        for event in self._events():
            self._handle(event)
        ended = self.connection.ended
        if ended is not None:
            self.end(partial(PeerUnreachable, reason=_describe(ended)))
        self._multiplex.progressed()

    def _events(self) -> Iterator[events.QuicEvent]:
        while self.failure is None and (event := self.connection.next_event()) is not None:
            yield event

    def _handle(self, event: events.QuicEvent) -> None:
        match event:
            case events.StreamDataReceived():
                self._multiplex.data_arrived(event)
            case events.StreamReset():
                self._multiplex.stream_reset(event)
            case events.StopSendingReceived():
                self._multiplex.sending_stopped(event)
            case events.HandshakeCompleted():
                self._prove()
            case events.ConnectionIdIssued():
                self._owner.link_named(self, event.connection_id, is_valid=True)
            case events.ConnectionIdRetired():
                self._owner.link_named(self, event.connection_id, is_valid=False)

    def _prove(self) -> None:
        """Compare all 74 bytes. On a client nothing has left yet that tells the other end who is calling."""
        try:
            presented = self.connection.member()
        except InvalidCertificate:
            self.end(partial(WrongPeer, presented=None), Code.WRONG_PEER)
            return
        if self.expected not in (None, presented):
            self.end(partial(WrongPeer, presented=presented), Code.WRONG_PEER)
            return
        self.peer = presented
        self._deadline.cancel()
        self._settled.set()
        self._owner.link_proven(self)


def _describe(ended: events.ConnectionTerminated) -> str:
    """One phrase for people; the peer's own words are not passed on."""
    if ended.error_code == QuicErrorCode.NO_ERROR:
        return "it closed the connection"
    if ended.reason_phrase == "Idle timeout":
        return "it fell silent"
    return f"the connection broke with code {ended.error_code:#x}"
