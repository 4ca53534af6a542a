"""Moves datagrams and time between the QUIC library, which does no I/O, and the event loop, for one connection."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from overlay.clock import Clock
from overlay.network.quic_connection import MemberConnection
from overlay.network.quic_errors import Address

_log = logging.getLogger(__name__)

Send = Callable[[Address, bytes], None]

# Timers go off this many seconds late. The library compares sums of times that are rounded differently; a timer that is
# early by a rounding error finds nothing to do and is set again for the same instant, in virtual time for ever.
_LATE = 1e-6

# The library raises typed errors of its own, and handles them, for all misuse that its authors thought of. What remains
# would be one of these, from a check of its own that hostile bytes slipped past; it ends that connection only.
_LIBRARY_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Pump:
    """Runs one connection. `moved` is called when it may have news, `broke` when the library failed on it."""

    def __init__(
        self,
        connection: MemberConnection,
        address: Address,
        *,
        send: Send,
        clock: Clock,
        moved: Callable[[], None],
        broke: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._address = address
        self._send = send
        self._clock = clock
        self._moved = moved
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._flushing: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_stopped = False

    def connect(self) -> None:
        """Begin the handshake."""
        self._connection.connect(self._address, now=self._clock.monotonic())
        self.flush_soon()

    def receive(self, datagram: bytes) -> bool:
        """Give a datagram to the library. False when it broke on it."""
        now = self._clock.monotonic()
        if not self._survives(partial(self._connection.receive_datagram, datagram, self._address, now=now)):
            return False
        self._moved()
        if self._connection.has_unsent:
            self.flush_soon()
        else:
            self._arm()
        return True

    def flush_soon(self) -> None:
        """Send what is pending once the current callbacks are through: requests made together travel together."""
        if self._flushing is None and not self._is_stopped:
            self._flushing = self._loop.call_soon(self._flush)

    def flush_now(self) -> None:
        """Send what is pending."""
        datagrams: list[tuple[bytes, Address]] = []
        now = self._clock.monotonic()
        if self._survives(lambda: datagrams.extend(self._connection.datagrams_to_send(now))):
            for datagram, address in datagrams:
                # A server may ask to be probed at an address of its choice; it is not our business to knock there.
                if address == self._address:
                    self._send(address, datagram)

    def stop(self) -> None:
        """Do nothing any more."""
        self._is_stopped = True
        for handle in (self._flushing, self._timer):
            if handle is not None:
                handle.cancel()

    def _flush(self) -> None:
        self._flushing = None
        self.flush_now()
        self._moved()
        self._arm()

    def _arm(self) -> None:
        """Wake up when the library asks for it, or earlier: a timer that is set too early is not worth moving."""
        due = None if self._is_stopped else self._connection.get_timer()
        if due is None:
            return
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(0.0, due - self._clock.monotonic()) + _LATE, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._survives(partial(self._connection.handle_timer, now=self._clock.monotonic())):
            self._moved()
            self.flush_soon()

    def _survives(self, step: Callable[[], object]) -> bool:
        """Run a step of the library; should it break on what the peer sent, only this connection goes down."""
        try:
            step()
        except _LIBRARY_FAULTS:
            _log.warning("the QUIC library broke on a datagram from %s", self._address, exc_info=True)
            self._broke()
            return False
        return True
