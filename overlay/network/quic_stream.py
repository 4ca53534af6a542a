"""One bidirectional stream of one connection: bytes in at the reader's pace, bytes out at the peer's."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from overlay.network.quic_connection import MemberConnection
from overlay.network.quic_errors import Failure, RequestTimedOut, StreamError
from overlay.network.quic_limits import StreamLimits


class Carrier(Protocol):
    """What a stream needs of the connection that carries it."""

    connection: MemberConnection
    limits: StreamLimits

    def flush_soon(self) -> None:
        """Send what is pending once the current callbacks are through."""

    def because(self, failure: Failure) -> StreamError:
        """The error, with the peer and address filled in."""


class Stream:
    """Bytes both ways. One task reads, one task writes."""

    def __init__(self, carrier: Carrier, stream_id: int) -> None:
        self.id = stream_id
        self.is_complete = False  # The peer's end of the stream, or its reset, has arrived.
        self.is_discarding = False  # Nobody reads any more.
        self.on_stop: Callable[[], None] | None = None
        self._carrier = carrier
        self._connection = carrier.connection
        self._chunks: list[bytes] = []
        self._has_end = False
        self._sent_end = False
        self._failure: Failure | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    # Called by the connection's owner

    def feed(self, data: bytes, end: bool) -> None:
        """Bytes arrived."""
        self._has_end |= end
        self.is_complete |= end
        if self.is_discarding:
            self._release(len(data))
            return
        if data:
            self._chunks.append(data)
        _wake(self._arrival)

    def fail(self, failure: Failure) -> None:
        """Nothing more will arrive or leave; readers (after what is here) and writers raise the first `failure`."""
        if self._failure is None:
            self._failure = failure
        _wake(self._arrival)
        _wake(self._room)
        if self.on_stop is not None:
            self.on_stop()

    def acknowledged(self) -> None:
        """The peer may have acknowledged something."""
        _wake(self._room)

    # Reading

    def take(self) -> bytes:
        """All bytes that are here, without waiting; the peer may send as many again."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._release(len(data))
        return data

    async def read(self) -> bytes:
        """The next bytes, b"" at the end of the stream. Raises the StreamError that ended it early."""
        while not self._chunks:
            if self._has_end:
                return b""
            if self._failure is not None:
                raise self._carrier.because(self._failure)
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return self.take()

    def _release(self, count: int) -> None:
        if count and self._connection.take(self.id, count):
            self._carrier.flush_soon()

    # Writing

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send `data`, and with `end` nothing after it. Returns when the last of it fits the outbox.

        Raises the StreamError that ended the stream early.
        """
        room = self._carrier.limits.outbox_bytes
        view = memoryview(data)
        for start in range(0, len(data), room):
            await self._until(lambda: self._connection.unacknowledged(self.id) < room)
            self._send(bytes(view[start : start + room]), end and start + room >= len(data))
        if not data:
            self._send(b"", end)

    async def delivered(self) -> None:
        """Wait until the peer has acknowledged everything. Raises the StreamError that ended the stream early."""
        await self._until(lambda: self._connection.is_delivered(self.id))

    def close(self, code: int) -> None:
        """Read no more and send no more; unless both directions have ended properly, tell the peer why."""
        self.is_discarding = True
        if self._chunks:
            self.take()
        if not self._is_over:
            self._connection.abandon(self.id, code)
            self._carrier.flush_soon()

    @property
    def _is_over(self) -> bool:
        """An answer is over when it is acknowledged; a request when its answer is here, for then the peer had it."""
        if not (self._has_end and self._sent_end):
            return False
        return not self._connection.started_by_peer(self.id) or self._connection.is_delivered(self.id)

    def _send(self, data: bytes, end: bool) -> None:
        if self._failure is not None:
            raise self._carrier.because(self._failure)
        self._sent_end |= end
        self._connection.send_stream_data(self.id, data, end)
        self._carrier.flush_soon()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, which only acknowledgements bring about. A peer that acknowledges next to nothing holds
        up memory and a place among the served: raises RequestTimedOut.
        """
        limits = self._carrier.limits
        while self._failure is None and not condition():
            before = self._connection.acknowledged(self.id)
            await self._wait_for(condition, limits.stall_seconds)
            moved = self._connection.acknowledged(self.id) - before
            if self._failure is None and not condition() and moved < limits.stall_bytes:
                raise self._carrier.because(partial(RequestTimedOut, seconds=limits.stall_seconds))
        if self._failure is not None:
            raise self._carrier.because(self._failure)

    async def _wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._failure is None and not condition():
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
