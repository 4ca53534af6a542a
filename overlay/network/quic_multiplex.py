"""The streams of one connection: opened in turn, fed from its events, forgotten when both ends are through."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from aioquic.quic import events

from overlay.network.quic_errors import Code, Failure, StreamRefused
from overlay.network.quic_stream import Carrier, Stream


class Multiplex:
    """All streams of `carrier`. `request_grew` is called with a stream of the peer's when bytes or its end arrived."""

    def __init__(self, carrier: Carrier, request_grew: Callable[[Stream], None]) -> None:
        self._requests = 0  # Streams of ours that somebody waits for.
        self._pulse: asyncio.TimerHandle | None = None
        self._carrier = carrier
        self._connection = carrier.connection
        self._request_grew = request_grew
        self._streams: dict[int, Stream] = {}
        self._turns: deque[asyncio.Future[Stream]] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything here."""
        return not self._turns and all(stream.is_discarding for stream in self._streams.values())

    # Streams of ours

    async def open(self) -> Stream:
        """A new stream, as soon as the peer allows one more. Give it back with `done`. Raises what ends the link."""
        if self._connection.may_open_stream() and not self._turns:
            return self._begin()
        turn: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # Cancelled in the moment between being given a stream and resuming with it.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.done(turn.result())
            raise

    def done(self, stream: Stream, code: int = Code.CANCELLED) -> None:
        """The owner of a stream is through with it; what is not finished is abandoned with `code`."""
        if not self._connection.started_by_peer(stream.id):
            self._requests -= 1
        if stream.id in self._streams:
            stream.close(code)
            self._forget_if_complete(stream)

    def _begin(self) -> Stream:
        stream = Stream(self._carrier, self._connection.open_stream())
        self._streams[stream.id] = stream
        self._requests += 1
        if self._pulse is None:
            self._keep_alive()
        return stream

    def _keep_alive(self) -> None:
        seconds = self._carrier.limits.idle_seconds / 3
        self._pulse = asyncio.get_running_loop().call_later(seconds, self._beat)

    def _beat(self) -> None:
        """While a request of ours is open, the connection does not go idle."""
        self._pulse = None
        if self._requests:
            self._connection.send_ping(0)
            self._carrier.flush_soon()
            self._keep_alive()

    # What the connection tells

    def progressed(self) -> None:
        """The peer may have acknowledged bytes or allowed more streams."""
        for stream in self._streams.values():
            stream.acknowledged()
        while self._turns and self._connection.may_open_stream():
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(self._begin())

    def fail(self, failure: Failure) -> None:
        """The connection is over."""
        if self._pulse is not None:
            self._pulse.cancel()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(failure)
        for turn in self._turns:
            if not turn.done():
                turn.set_exception(self._carrier.because(failure))
        self._turns.clear()

    def data_arrived(self, event: events.StreamDataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            stream = self._streams[event.stream_id] = Stream(self._carrier, event.stream_id)
        stream.feed(event.data, event.end_stream)
        if stream.is_discarding:
            self._forget_if_complete(stream)
        elif self._connection.started_by_peer(stream.id):
            self._request_grew(stream)

    def stream_reset(self, event: events.StreamReset) -> None:
        """The peer sends no more; what it did not send before counts as read."""
        self._connection.forgo(event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is None:
            self._connection.abandon(event.stream_id, Code.CANCELLED)
            return
        stream.is_complete = True
        self._refuse(stream, event.error_code)
        self._forget_if_complete(stream)

    def sending_stopped(self, event: events.StopSendingReceived) -> None:
        """The peer reads no more."""
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            self._refuse(stream, event.error_code)

    def _refuse(self, stream: Stream, code: int) -> None:
        stream.fail(partial(StreamRefused, code=code))

    def _forget_if_complete(self, stream: Stream) -> None:
        if stream.is_discarding and stream.is_complete:
            self._streams.pop(stream.id, None)
