"""The torrents of one session: what libtorrent says about them becomes counters, signals and errors."""

from collections.abc import Callable
from pathlib import Path

import libtorrent as lt

from overlay.content.bandwidth import Tally
from overlay.content.errors import ContentError, FolderError
from overlay.content.holding import Holding, Peer
from overlay.content.pump import AlertPump, Handler, Listening, Signals
from overlay.content.settings import session_params

OnUseful = Callable[[str, str, int], None]
OnDamaged = Callable[[Holding], None]


class Swarm:
    """All torrents of one libtorrent session, by handle.

    `on_useful(infohash, remote, total)` is called when a remote's verified bytes of a content grow;
    `on_damaged(holding)` when a seeded file turns out to hold other bytes than it should.
    """

    def __init__(self, tally: Tally, on_useful: OnUseful, on_damaged: OnDamaged) -> None:
        self.tally = tally
        self._on_useful = on_useful
        self._on_damaged = on_damaged
        self._held: dict[lt.torrent_handle, Holding] = {}

    async def open(self, host: str, port: int, token: str, upload_limit: int) -> Peer:
        """Start to listen; the endpoint with its real port. Raises ListenError."""
        listening = Listening(host, port)
        params = session_params(host, port, token, upload_limit)
        self._pump = AlertPump(params, self._handlers() | listening.handlers())
        try:
            return host, await listening.port()
        except BaseException:  # also when cancelled: the session's threads must end; raised again
            await self._pump.close()
            raise

    async def close(self) -> None:
        self._held.clear()
        await self._pump.close()

    def add(self, infohash: str, size: int, params: lt.add_torrent_params, path: Path | None = None) -> Holding:
        """Hand a torrent to libtorrent; `path` is the complete file, None while it is fetched."""
        signals = Signals()
        useful = self.tally.content(infohash, size)
        finished = signals.expect(lt.torrent_finished_alert)
        handle = self._pump.session.add_torrent(params)
        holding = Holding(infohash, size, handle, useful, signals, finished, path)
        self._held[handle] = holding
        return holding

    def drop(self, holding: Holding) -> None:
        """Forget a torrent, if it is still there; its files stay."""
        if self._held.pop(holding.handle, None) is not None:
            self._pump.session.remove_torrent(holding.handle)

    def _handlers(self) -> dict[type[lt.alert], Handler]:
        return {
            lt.block_finished_alert: self._block_finished,
            lt.piece_finished_alert: self._piece_finished,
            lt.block_uploaded_alert: self._block_uploaded,
            lt.hash_failed_alert: self._hash_failed,
            lt.metadata_received_alert: self._arrived,
            lt.torrent_finished_alert: self._arrived,
            lt.storage_moved_alert: self._arrived,
            lt.save_resume_data_alert: self._resume_saved,
            lt.save_resume_data_failed_alert: self._resume_failed,
            lt.file_error_alert: self._file_failed,
            lt.storage_moved_failed_alert: self._move_failed,
            lt.torrent_error_alert: self._torrent_failed,
        }

    def _block_finished(self, alert: lt.block_finished_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.useful.block_finished(alert.piece_index, alert.block_index, str(alert.pid))

    def _piece_finished(self, alert: lt.piece_finished_alert) -> None:
        if holding := self._held.get(alert.handle):
            for remote, total in holding.useful.piece_finished(alert.piece_index).items():
                self._on_useful(holding.infohash, remote, total)

    def _block_uploaded(self, alert: lt.block_uploaded_alert) -> None:
        if holding := self._held.get(alert.handle):
            self.tally.block_uploaded(holding.infohash, str(alert.pid), alert.piece_index, alert.block_index)

    def _hash_failed(self, alert: lt.hash_failed_alert) -> None:
        # While fetching, a bad piece is libtorrent's business: it asks again, and bans who sent it.
        holding = self._held.get(alert.handle)
        if holding is not None and holding.path is not None:
            self._on_damaged(holding)

    def _arrived(self, alert: lt.torrent_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.signals.arrived(type(alert))

    def _resume_saved(self, alert: lt.save_resume_data_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.signals.arrived(lt.save_resume_data_alert, lt.write_resume_data_buf(alert.params))

    def _resume_failed(self, alert: lt.save_resume_data_failed_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.signals.arrived(lt.save_resume_data_alert, None)

    def _file_failed(self, alert: lt.file_error_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.signals.failed(FolderError(Path(alert.filename()), alert.error.message()))

    def _move_failed(self, alert: lt.storage_moved_failed_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.signals.failed(FolderError(Path(alert.file_path()), alert.error.message()))

    def _torrent_failed(self, alert: lt.torrent_error_alert) -> None:
        if holding := self._held.get(alert.handle):
            holding.signals.failed(ContentError(holding.infohash, alert.error.message()))
