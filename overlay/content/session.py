"""One content session per node: publishes, fetches and seeds files over BitTorrent, and counts who delivered what."""

import asyncio
from pathlib import Path

from overlay.clock import Clock
from overlay.content import library
from overlay.content.bandwidth import Tally
from overlay.content.errors import ContentError, FetchTimeout, FolderError, WrongContent
from overlay.content.events import ContentFailed, ContentReceived, ContentStatus, OnEvent, PeerUseful
from overlay.content.fetching import Fetch
from overlay.content.folder import ContentFolder
from overlay.content.holding import Holding, Peer, from_torrent, usable
from overlay.content.running import Running
from overlay.content.swarm import Swarm
from overlay.content.torrent import Content, Torrent, check_metadata, check_reference


class ContentSession:
    """See the package for an example. All methods belong to the event loop in which `open` ran."""

    def __init__(self, folder: ContentFolder, clock: Clock, token: str, on_event: OnEvent) -> None:
        """Use `open`."""
        self.token = token
        self.endpoint: Peer = ("", 0)
        self._folder = folder
        self._clock = clock
        self._on_event = on_event
        self._tally = Tally()
        self._swarm = Swarm(self._tally, self._useful, self._damaged)
        self._seeded: dict[str, tuple[Content, Holding]] = {}
        self._fetches: dict[str, Running] = {}

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        clock: Clock,
        token: str,
        on_event: OnEvent,
        host: str = "127.0.0.1",
        port: int = 0,
        upload_limit: int = 0,
    ) -> "ContentSession":
        """Listen on `host` and `port` (0: any free one) and keep files in `folder`.

        `upload_limit` is in bytes a second for all peers together, 0 for none. Raises ListenError, FolderError, and
        ValueError for a token that is none of ours.
        """
        session = cls(ContentFolder(folder), clock, token, on_event)
        await asyncio.to_thread(library.restore, session._folder, session._tally)
        session.endpoint = await session._swarm.open(host, port, token, upload_limit)
        return session

    async def close(self) -> None:
        """Stop. Unfinished fetches keep what they have and end in ContentError."""
        for running in list(self._fetches.values()):
            await running.stop()
        await self._swarm.close()

    async def publish(self, source: bytes | Path, extension: str) -> Content:
        """Store bytes, or a copy of a user's file, and seed them; on disk when this returns.

        Raises ValueError for a source that is empty, too large, unreadable or of an extension not allowed; FolderError.
        """
        torrent = await asyncio.to_thread(library.take_in, self._folder, self._tally, source, extension)
        infohash = torrent.content.infohash
        if infohash in self._fetches:
            await self._fetches[infohash].stop()
        if infohash not in self._seeded:
            self._seed(torrent)
        return torrent.content

    async def fetch(
        self, infohash: str, sha256: str, size: int, peers: list[Peer], *, metadata: bytes | None = None, timeout: float
    ) -> Path:
        """The complete, checked file; it is seeded from then on. What is there already returns at once.

        `peers` are numeric addresses with ports, unusable ones are left out; `timeout` is in seconds. A second call
        for a content on its way joins the first. Raises BadReference, BadMetadata, WrongContent, FetchTimeout (all
        ContentError) and FolderError.
        """
        check_reference(infohash, sha256, size)
        if metadata is not None:
            check_metadata(metadata, infohash, sha256, size)
        if infohash in self._seeded:
            return self._there(infohash, sha256, size)
        running = self._fetches.get(infohash) or self._begin(infohash, sha256, size, metadata)
        if running.fetch.stated != (infohash, sha256, size):
            raise WrongContent(infohash, "another block states another file for it")
        running.fetch.add_peers(usable(peers))
        try:
            return await running.arrival(timeout)
        except FetchTimeout as error:
            self._on_event(ContentFailed(infohash, error.reason))
            raise

    async def seed_all(self) -> list[Content]:
        """Seed every complete content of the folder; what is damaged or missing there is a ContentFailed event."""
        for infohash in await asyncio.to_thread(self._folder.recorded):
            if infohash in self._seeded:
                continue
            try:
                torrent = await asyncio.to_thread(library.sound, self._folder, infohash)
                if torrent is not None:
                    self._seed(torrent)
            except ContentError as error:
                self._on_event(ContentFailed(infohash, error.reason))
        return [content for content, _ in self._seeded.values()]

    async def forget(self, infohash: str) -> None:
        """Stop to fetch or seed a content and delete its file; what remotes delivered of it stays counted.

        Raises KeyError for a content that is not here, FolderError.
        """
        if infohash in self._fetches:
            running = self._fetches[infohash]
            await running.stop()
            await asyncio.to_thread(running.fetch.delete)
        else:
            self._swarm.drop(self._seeded.pop(infohash)[1])
            await asyncio.to_thread(library.forget, self._folder, infohash)

    def status(self, infohash: str) -> ContentStatus:
        """How a content stands; no progress and no path for one that is not here."""
        holding = self._holding(infohash)
        if holding is None:
            return ContentStatus(0.0, 0, False, None)
        status = holding.handle.status(0)
        progress = min(1.0, status.total_done / holding.size)
        return ContentStatus(progress, status.num_peers, holding.path is not None, holding.path)

    def add_peers(self, infohash: str, peers: list[Peer]) -> None:
        """More peers for a content that is fetched or seeded here; raises KeyError for another."""
        if infohash in self._fetches:
            self._fetches[infohash].fetch.add_peers(usable(peers))
        else:
            self._seeded[infohash][1].connect(usable(peers))

    def received(self) -> dict[str, int]:
        """Verified bytes that each remote (its token) has delivered; only grows, also over restarts.

        Summed over remotes, a content counts at most its size, however often it was fetched.
        """
        return self._tally.received()

    def sent(self) -> dict[str, int]:
        """Bytes sent to each remote since `open`: no honest tally of a remote about us claims more."""
        return self._tally.sent()

    def _seed(self, torrent: Torrent) -> None:
        content = torrent.content
        params = from_torrent(torrent.encoded, self._folder.complete)
        if params is None:
            raise WrongContent(content.infohash, "its record on disk is damaged")
        path = self._folder.complete / torrent.name
        self._seeded[content.infohash] = content, self._swarm.add(content.infohash, content.size, params, path)

    def _holding(self, infohash: str) -> Holding | None:
        if infohash in self._fetches:
            return self._fetches[infohash].fetch.holding
        return self._seeded[infohash][1] if infohash in self._seeded else None

    def _there(self, infohash: str, sha256: str, size: int) -> Path:
        content, holding = self._seeded[infohash]
        if (content.sha256, content.size) != (sha256, size) or holding.path is None:
            raise WrongContent(infohash, "another block states another file for it")
        return holding.path

    def _begin(self, infohash: str, sha256: str, size: int, metadata: bytes | None) -> Running:
        fetch = Fetch(self._swarm, self._folder, self._clock, infohash, sha256, size)
        running = self._fetches[infohash] = Running(fetch, self._clock, self._run(fetch, metadata))
        # Not at the end of `_run`: a task that is cancelled at once never begins.
        running.task.add_done_callback(lambda _: self._fetches.pop(infohash))
        return running

    async def _run(self, fetch: Fetch, metadata: bytes | None) -> Path:
        infohash = fetch.stated[0]
        try:
            torrent, holding = await fetch.run(metadata)
        except (ContentError, FolderError) as error:
            self._on_event(ContentFailed(infohash, error.reason))
            raise
        path = self._folder.complete / torrent.name
        self._seeded[infohash] = torrent.content, holding
        self._on_event(ContentReceived(infohash, path))
        return path

    def _useful(self, infohash: str, remote: str, total: int) -> None:
        # Later, so that an error of the callback cannot stop the alerts that wait behind this one.
        asyncio.get_running_loop().call_soon(self._on_event, PeerUseful(infohash, remote, total))

    def _damaged(self, holding: Holding) -> None:
        self._swarm.drop(holding)
        del self._seeded[holding.infohash]
        failed = ContentFailed(holding.infohash, "its file on disk was damaged; fetch it again")
        asyncio.get_running_loop().call_soon(self._on_event, failed)
