"""Alerts of libtorrent, brought into the event loop: a socket pair wakes it, nothing is polled."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import libtorrent as lt

from overlay.content.errors import ListenError

Handler = Callable[[Any], None]


class AlertPump:
    """Owns one libtorrent session, and calls one handler per kind of alert in the event loop's thread.

    An alert is valid only while its handler runs (libtorrent reuses the memory): handlers copy what they keep.
    """

    def __init__(self, params: lt.session_params, handlers: dict[type[lt.alert], Handler]) -> None:
        self._loop = asyncio.get_running_loop()
        self._handlers = handlers
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._held = [lt.session(params)]
        self._loop.add_reader(self._reader, self._drain)
        self.session.set_alert_fd(self._writer.fileno())

    @property
    def session(self) -> lt.session:
        """The session; raises RuntimeError after `close`."""
        if not self._held:
            raise RuntimeError("the content session is closed")
        return self._held[0]

    async def close(self) -> None:
        """Let go of the session. Its destructor waits for peers and disk, so it runs in a thread."""
        self._loop.remove_reader(self._reader)
        await asyncio.to_thread(self._held.clear)
        self._reader.close()
        self._writer.close()

    def _drain(self) -> None:
        # One byte per batch is enough to know; the rest is taken so that the next one wakes us again.
        self._reader.recv(4096)
        for alert in self.session.pop_alerts():
            handler = self._handlers.get(type(alert))
            if handler is not None:
                handler(alert)


class Listening:
    """Waits until a session listens with TCP and uTP, or fails to."""

    def __init__(self, host: str, port: int) -> None:
        self._where = host, port
        self._ports: list[int] = []
        self._ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def handlers(self) -> dict[type[lt.alert], Handler]:
        return {lt.listen_succeeded_alert: self._succeeded, lt.listen_failed_alert: self._failed}

    async def port(self) -> int:
        """The one port of both protocols; raises ListenError."""
        return await self._ready

    def _succeeded(self, alert: lt.listen_succeeded_alert) -> None:
        self._ports.append(alert.port)
        if len(self._ports) == 2 and not self._ready.done():
            self._ready.set_result(self._ports[0])

    def _failed(self, alert: lt.listen_failed_alert) -> None:
        if not self._ready.done():
            cause = f"{alert.error.message()}; free it or choose another port"
            self._ready.set_exception(ListenError(*self._where, cause))


class Signals:
    """What one torrent's fetch waits for: the alert of a kind, or the failure that comes instead."""

    def __init__(self) -> None:
        self._awaited: dict[type[lt.alert], asyncio.Future[Any]] = {}
        self._failure: Exception | None = None

    def expect(self, kind: type[lt.alert]) -> "asyncio.Future[Any]":
        """A future of the next alert of `kind`: ask for it before starting what causes the alert."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._failure is not None:
            future.set_exception(self._failure)
        else:
            self._awaited[kind] = future
        return future

    def arrived(self, kind: type[lt.alert], value: object = None) -> None:
        future = self._awaited.pop(kind, None)
        if future is not None and not future.done():
            future.set_result(value)

    def failed(self, error: Exception) -> None:
        """Everything that is or will be waited for ends in `error`; the first failure stays the reason."""
        self._failure = self._failure or error
        for future in self._awaited.values():
            if not future.done():
                future.set_exception(self._failure)
                future.exception()  # whoever awaits it still gets it; nobody else needs a warning
        self._awaited.clear()
