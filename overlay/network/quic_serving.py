"""Answering requests: collect a request, hand it to the handler with the peer's proven key, send the answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from overlay.keys import PublicKey
from overlay.network.quic_errors import Address, Code, Refusal, RequestTimedOut, StreamError
from overlay.network.quic_limits import StreamLimits
from overlay.network.quic_link import Link
from overlay.network.quic_stream import Stream

Answer = bytes | AsyncIterator[bytes]
Handler = Callable[[PublicKey, Address, bytes], Awaitable[Answer]]


class _Stop(Exception):
    """The answer cannot be sent; `code` says why."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


class Budget:
    """Bytes of whole requests and answers that are held for peers."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._per_peer: Counter[PublicKey] = Counter()
        self.held = 0

    def reserve(self, peer: PublicKey, count: int) -> bool:
        """Whether `count` more bytes may be held for `peer`; if so they are counted until `free`."""
        per_peer = self._per_peer[peer] + count
        if per_peer > self._limits.held_bytes_per_peer or self.held + count > self._limits.held_bytes:
            return False
        self._per_peer[peer] = per_peer
        self.held += count
        return True

    def free(self, peer: PublicKey, count: int) -> None:
        """`count` bytes of `peer` are no longer held."""
        self._per_peer[peer] -= count
        self.held -= count
        if not self._per_peer[peer]:
            del self._per_peer[peer]


class Desk:
    """Serves the requests of all links. Handlers run as tasks of their own, and end when the requester goes away."""

    def __init__(self, handler: Handler, limits: StreamLimits) -> None:
        self._handler = handler
        self._limits = limits
        self._budget = Budget(limits)
        self._visits: dict[Stream, _Visit] = {}

    def request_grew(self, link: Link, stream: Stream) -> None:
        """More of a request has arrived on `stream`, or its end."""
        visit = self._visits.get(stream)
        if visit is None:
            if not self._has_place(link.address[0]):
                link.done(stream, Code.BUSY)
                return
            visit = self._visits[stream] = _Visit(self._handler, link, stream, self._budget, self._visits.pop)
        visit.collect()

    def _has_place(self, host: str) -> bool:
        if len(self._visits) >= self._limits.served:
            return False
        return sum(visit.host == host for visit in self._visits.values()) < self._limits.served_per_host

    async def close(self) -> None:
        """Cancel the handlers and wait until they are gone."""
        tasks = [visit.task for visit in self._visits.values() if visit.task is not None]
        for visit in list(self._visits.values()):
            visit.stop()
        if tasks:
            await asyncio.wait(tasks)


class _Visit:
    """One request, from its first byte to the acknowledgement of the last byte of its answer."""

    def __init__(
        self, handler: Handler, link: Link, stream: Stream, budget: Budget, left: Callable[[Stream], object]
    ) -> None:
        assert link.peer is not None, "only proven links carry streams"
        self.task: asyncio.Task[None] | None = None
        self.host = link.address[0]
        self._handler = handler
        self._peer = link.peer
        self._link = link
        self._stream = stream
        self._budget = budget
        self._left = left
        self._request = bytearray()
        self._reserved = 0
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = None
        stream.on_stop = self.stop

    def collect(self) -> None:
        """Take what has arrived; begin to serve when it is all there."""
        data = self._stream.take()
        if len(self._request) + len(data) > self._link.limits.request_bytes:
            self._leave(Code.TOO_LARGE)
        elif not self._hold(len(data)):
            self._leave(Code.BUSY)
        else:
            self._request += data
            self._serve_if_complete()

    def stop(self) -> None:
        """The requester is gone, or we are closing."""
        if self.task is not None:
            self.task.cancel()
        else:
            self._leave(Code.CANCELLED)

    def _serve_if_complete(self) -> None:
        if self._stream.is_complete:
            self._cancel_deadline()
            self.task = self._loop.create_task(self._serve())
            self.task.add_done_callback(self._served)
        elif self._deadline is None:
            self._watch(len(self._request))

    def _watch(self, so_far: int) -> None:
        """Look again in a while whether the request has grown."""
        self._deadline = self._loop.call_later(self._link.limits.stall_seconds, self._check_growth, so_far)

    def _check_growth(self, before: int) -> None:
        if len(self._request) - before < self._link.limits.stall_bytes:
            self._leave(Code.STALLED)
        else:
            self._watch(len(self._request))

    async def _serve(self) -> None:
        request, self._request = bytes(self._request), bytearray()
        answer = await self._handler(self._peer, self._link.address, request)
        if isinstance(answer, bytes):
            await self._send_whole(answer)
        else:
            await self._send_pieces(answer)
        await self._explain(self._stream.delivered())

    async def _send_whole(self, answer: bytes) -> None:
        if not self._hold(len(answer)):
            raise _Stop(Code.BUSY)
        await self._explain(self._stream.write(answer, end=True))

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            async for piece in pieces:
                await self._explain(self._stream.write(piece))
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        await self._explain(self._stream.write(b"", end=True))

    async def _explain(self, sending: Awaitable[None]) -> None:
        """Tells trouble with the requester from trouble that a handler has with peers of its own."""
        try:
            await sending
        except RequestTimedOut as error:
            raise _Stop(Code.STALLED) from error
        except StreamError as error:
            raise _Stop(Code.CANCELLED) from error

    def _served(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        match error:
            case None:
                self._leave(Code.CANCELLED)
            case Refusal() | _Stop():
                self._leave(error.code)
            case _:
                # A fault of the handler: the requester learns that there was one, the log learns which.
                self._leave(Code.FAILED)
                self._loop.call_exception_handler({"message": "a request handler failed", "exception": error})

    def _hold(self, count: int) -> bool:
        is_held = self._budget.reserve(self._peer, count)
        self._reserved += count if is_held else 0
        return is_held

    def _leave(self, code: int) -> None:
        self._cancel_deadline()
        self._stream.on_stop = None
        self._budget.free(self._peer, self._reserved)
        self._left(self._stream)
        self._link.done(self._stream, code)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
