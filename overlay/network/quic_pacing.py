"""How a connection is shared and paced: streams, windows that open at the reader's pace, acknowledgements.

What differs from the library's own connection, and why:
- A window opens when the reader takes bytes. The library doubles it when bytes merely arrive, so a slow reader would
  hold everything the peer cares to send.
- Streams are served in the order of their numbers and not of their places in memory, so the same seed gives the same
  simulated run.
- An acknowledgement that is not yet due goes along with what is sent anyway.
"""

from collections.abc import Iterable
from typing import Any

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    CONNECTION_LIMIT_FRAME_CAPACITY,
    MAX_STREAM_DATA_FRAME_CAPACITY,
    QuicConnection,
)
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from overlay.network.quic_limits import StreamLimits


class _InOrder(list[QuicStream]):
    """The library appends a set of streams, whose order is that of memory addresses; here it is that of numbers."""

    def extend(self, streams: Iterable[QuicStream]) -> None:
        super().extend(sorted(streams, key=lambda stream: stream.stream_id or 0))


class PacedConnection(QuicConnection):
    """A QUIC connection with streams of two directions only, whose windows follow the reader."""

    def __init__(self, configuration: QuicConfiguration, limits: StreamLimits, **server_ids: Any) -> None:
        super().__init__(configuration=configuration, **server_ids)
        self._limits = limits
        self._taken = 0
        for limit, value in (
            (self._local_max_streams_bidi, limits.streams_per_connection),
            (self._local_max_streams_uni, 0),
        ):
            limit.value = limit.sent = value

    # Streams

    def may_open_stream(self) -> bool:
        """Whether the peer's limit allows one more. The library would queue streams beyond it, but sends the reset of
        one that is abandoned in its queue, which the peer then takes for a breach of its limit.
        """
        return self._local_next_stream_id_bidi // 4 < self._remote_max_streams_bidi

    def open_stream(self) -> int:
        """The number of a new stream with two directions."""
        stream_id = self.get_next_available_stream_id()
        self.send_stream_data(stream_id, b"")  # The library counts a stream from its first byte, or its lack of bytes.
        return stream_id

    def started_by_peer(self, stream_id: int) -> bool:
        return bool(stream_id & 1) == self._is_client

    def unacknowledged(self, stream_id: int) -> int:
        """Bytes of this stream that wait to be sent or to be acknowledged."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start

    def acknowledged(self, stream_id: int) -> int:
        """Bytes of this stream that the peer has acknowledged, from its beginning; 0 for one that is over."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.sender._buffer_start

    def is_delivered(self, stream_id: int) -> bool:
        """Whether all that was sent on a finished stream, or its reset, has been acknowledged."""
        stream = self._streams.get(stream_id)
        return stream is None or stream.sender.is_finished

    def abandon(self, stream_id: int, code: int) -> None:
        """Send no more on this stream and tell the peer to stop, too. No effect on what is already over."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.sender.reset(code)
        if not stream.receiver.is_finished:
            stream.receiver.stop(code)

    def is_unheard(self, stream_id: int, seconds: float) -> bool:
        """Whether the peer has acknowledged nothing of the stream, although it had `seconds` to do so: three probe
        timeouts are enough for that on a living connection.
        """
        is_silent = not self.acknowledged(stream_id) and not self.is_delivered(stream_id)
        return is_silent and seconds > 3 * self._loss.get_probe_timeout()

    # Windows

    def take(self, stream_id: int, count: int) -> bool:
        """The reader took all `count` bytes that were here. True when the peer should learn of a wider window."""
        self._taken += count
        return self._widen_stream(stream_id) | self._widen_connection()

    def forgo(self, stream_id: int) -> None:
        """The peer reset the stream: what will never arrive counts as read, or the connection's window would leak."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._taken += stream.receiver.highest_offset - stream.receiver.starting_offset()
            self._widen_connection()

    def _widen_stream(self, stream_id: int) -> bool:
        stream = self._streams.get(stream_id)
        if stream is None or stream.receiver.is_finished:
            return False
        granted = stream.receiver.starting_offset() + self._limits.stream_window
        if granted - stream.max_stream_data_local < self._limits.stream_window // 2:
            return False
        stream.max_stream_data_local = granted
        return True

    def _widen_connection(self) -> bool:
        granted = self._taken + self._limits.connection_window
        if granted - self._local_max_data.value < self._limits.connection_window // 2:
            return False
        self._local_max_data.value = granted
        return True

    # Sending

    @property
    def has_unsent(self) -> bool:
        """Whether there is more to send than acknowledgements, which have a timer of their own."""
        if not self._handshake_confirmed or self._handshake_done_pending or self._retire_connection_ids:
            return True
        return any(not stream.sender.buffer_is_empty for stream in self._streams.values())

    # Overridden parts of the library

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """As in the library, but an acknowledgement that is not yet due goes along with what is sent anyway (RFC 9000
        section 13.2.1): a request and its answer are two datagrams then, and not four.
        """
        space = self._spaces.get(tls.Epoch.ONE_RTT)
        if space is not None and space.ack_at is not None and self.has_unsent:
            space.ack_at = min(space.ack_at, now)
        return super().datagrams_to_send(now)

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        """Tell the peer of wider windows (MAX_DATA) and of more streams (MAX_STREAMS, when half are used up)."""
        for limit in (self._local_max_data, self._local_max_streams_bidi):
            is_due = limit is self._local_max_data or 2 * (limit.sent - limit.used) < limit.value - limit.used
            if limit.value == limit.sent or not is_due:
                continue
            frame = builder.start_frame(
                limit.frame_type,
                capacity=CONNECTION_LIMIT_FRAME_CAPACITY,
                handler=self._on_connection_limit_delivery,
                handler_args=(limit,),
            )
            frame.push_uint_var(limit.value)
            limit.sent = limit.value

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        """Tell the peer of a stream's wider window (MAX_STREAM_DATA)."""
        if stream.max_stream_data_local_sent == stream.max_stream_data_local or stream.receiver.is_finished:
            return
        frame = builder.start_frame(
            QuicFrameType.MAX_STREAM_DATA,
            capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
            handler=self._on_max_stream_data_delivery,
            handler_args=(stream,),
        )
        frame.push_uint_var(stream.stream_id or 0)
        frame.push_uint_var(stream.max_stream_data_local)
        stream.max_stream_data_local_sent = stream.max_stream_data_local

    @property
    def _streams_queue(self) -> list[QuicStream]:
        return self._ordered_queue

    @_streams_queue.setter
    def _streams_queue(self, streams: list[QuicStream]) -> None:
        self._ordered_queue = _InOrder(streams)
