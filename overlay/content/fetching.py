"""One fetch: from an infohash that a block names to a checked file in its place."""

import asyncio

import libtorrent as lt

from overlay.clock import Clock
from overlay.content.disk import drop
from overlay.content.errors import BadMetadata, ContentError, FolderError, WrongContent
from overlay.content.folder import ContentFolder, Partial, Record
from overlay.content.holding import Holding, Peer, from_infohash, from_resume
from overlay.content.swarm import Swarm
from overlay.content.torrent import Torrent, check_metadata, make_torrent
from overlay.content.waiting import within

# A crash costs at most what arrived since the last trace; a trace is some hundred KB for a film.
KEEP_SECONDS = 30.0


class Fetch:
    """Downloads one content. Whatever ends it early, the file is never among the complete ones.

    Cancelled: what has arrived is kept, with libtorrent's resume data, and the next fetch goes on from there.
    Failed (ContentError, FolderError): all that has arrived is deleted.
    """

    def __init__(
        self, swarm: Swarm, folder: ContentFolder, clock: Clock, infohash: str, sha256: str, size: int
    ) -> None:
        self.stated = infohash, sha256, size
        self.holding: Holding | None = None
        self._swarm = swarm
        self._folder = folder
        self._clock = clock
        self._peers: list[Peer] = []
        self._name = ""
        self._placed = False

    def add_peers(self, peers: list[Peer]) -> None:
        """Download from these too."""
        self._peers += peers
        if self.holding is not None:
            self.holding.connect(peers)

    async def run(self, metadata: bytes | None) -> tuple[Torrent, Holding]:
        """The complete file's torrent, and it as it is seeded from now on. Raises ContentError or FolderError."""
        params = await asyncio.to_thread(self._resumed)
        infohash, _, size = self.stated
        holding = self.holding = self._swarm.add(infohash, size, params)
        try:
            await self._download(holding, metadata)
            return await self._settle(holding), holding
        except asyncio.CancelledError:
            await self._keep(holding)
            raise
        except (ContentError, FolderError):
            self._swarm.drop(holding)
            await asyncio.to_thread(self.delete)
            raise
        finally:
            if holding.path is None:
                self._swarm.drop(holding)

    def delete(self) -> None:
        """Delete all that has arrived. The torrent must be gone from the session. Call it in a thread."""
        self._folder.drop_partial(self.stated[0])
        if self._name:
            drop(self._folder.incoming / self._name)
        if self._placed:
            drop(self._folder.complete / self._name)

    def _resumed(self) -> lt.add_torrent_params:
        """Where an earlier run stopped, if its trace is sound and about this very file; else the start."""
        afresh = from_infohash(self.stated[0], self._folder.incoming)
        partial = self._folder.read_partial(self.stated[0])
        params = partial and from_resume(partial.resume, self._folder.incoming)
        if not params or not params.ti:
            return afresh
        try:
            self._name = check_metadata(params.ti.info_section(), *self.stated)
        except BadMetadata:
            return afresh
        return params

    async def _download(self, holding: Holding, metadata: bytes | None) -> None:
        if not self._name:
            await self._learn_name(holding, metadata)
        holding.connect(self._peers)
        while not await within(self._clock, holding.finished, KEEP_SECONDS):
            await self._keep(holding)
        await holding.finished

    async def _learn_name(self, holding: Holding, metadata: bytes | None) -> None:
        """Get the metadata, from the caller or from peers, and let the download begin only if it is as stated."""
        received = holding.signals.expect(lt.metadata_received_alert)
        if metadata is None:
            holding.connect(self._peers)
        else:
            holding.handle.set_metadata(metadata)
        await received
        info = holding.handle.torrent_file()
        self._name = check_metadata(info.info_section() if info else b"", *self.stated)
        holding.handle.unset_flags(lt.torrent_flags.upload_mode)

    async def _settle(self, holding: Holding) -> Torrent:
        """Check the whole file, make it durable, move it into its place, and only then record it."""
        torrent = await asyncio.to_thread(self._check)
        moved = holding.signals.expect(lt.storage_moved_alert)
        holding.handle.move_storage(str(self._folder.complete))
        await moved
        self._placed = True
        await asyncio.to_thread(self._record, torrent, dict(holding.useful.received))
        holding.path = self._folder.complete / self._name
        return torrent

    def _check(self) -> Torrent:
        infohash, sha256, size = self.stated
        self._folder.check_and_sync(infohash, self._name, sha256)
        torrent = make_torrent(self._folder.incoming, self._name, sha256, size)
        if torrent.content.infohash != infohash:
            raise WrongContent(infohash, "the file changed while it was checked")
        return torrent

    def _record(self, torrent: Torrent, received: dict[str, int]) -> None:
        self._folder.sync()
        self._folder.write_record(Record(torrent, received))
        self._folder.drop_partial(self.stated[0])

    async def _keep(self, holding: Holding) -> None:
        """Leave a trace of what has arrived."""
        if not self._name or self._placed:
            return
        saved = holding.signals.expect(lt.save_resume_data_alert)
        holding.handle.save_resume_data(lt.torrent_handle.save_info_dict)
        resume = await saved
        if resume is not None:
            partial = Partial(self.stated[2], resume, dict(holding.useful.received))
            await asyncio.to_thread(self._folder.write_partial, self.stated[0], partial)
