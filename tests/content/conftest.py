"""Real sessions on the loopback interface, hostile seeders, and a clock that a test rings by hand."""

import asyncio
import hashlib
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from PIL import Image

from overlay.clock import SystemClock
from overlay.content import Content, ContentEvent, ContentSession, new_token
from overlay.content.torrent import make_torrent

# A test that waits longer than this for an event is stuck.
STUCK_SECONDS = 60.0


class Chance:
    """Reproducible randomness: each call gives other bytes, each run the same ones."""

    def __init__(self) -> None:
        self.calls = 0

    def bytes(self, count: int) -> bytes:
        self.calls += 1
        return hashlib.shake_128(self.calls.to_bytes(4, "big")).digest(count)


class RungClock(SystemClock):
    """Who sleeps a number of seconds on it wakes up once per `ring` of that number, before or after."""

    def __init__(self) -> None:
        self._rings: defaultdict[float, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))

    async def sleep(self, seconds: float) -> None:
        await self._rings[seconds].acquire()

    def ring(self, seconds: float) -> None:
        self._rings[seconds].release()


class Member:
    """A content session and everything that it told."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.token = token
        self.session: ContentSession
        self.told: list[ContentEvent] = []
        self._news = asyncio.Event()

    async def start(self, **options: Any) -> "Member":
        self.session = await ContentSession.open(
            self.folder,
            **{"clock": SystemClock(), "token": self.token, "on_event": self._tell, **options},
        )
        return self

    def _tell(self, event: ContentEvent) -> None:
        self.told.append(event)
        self._news.set()

    async def heard(self, wanted: Callable[[ContentEvent], bool]) -> ContentEvent:
        """The first event that `wanted` accepts, past or to come."""
        async with asyncio.timeout(STUCK_SECONDS):
            while True:
                for event in self.told:
                    if wanted(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def fetch(self, content: Content, *sources: Any, metadata: bytes | None = None, **options: Any) -> Path:
        peers = [source.session.endpoint for source in sources]
        return await self.session.fetch(
            content.infohash,
            content.sha256,
            content.size,
            peers,
            **{"metadata": metadata, "timeout": STUCK_SECONDS, **options},
        )

    def files(self) -> list[str]:
        """Every content file in the folder, complete or not, without records."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".record")


class RawSeeder:
    """A bare libtorrent session, for what ours would never do: junk metadata, half files, wrong bytes."""

    def __init__(self, folder: Path, token: str, **settings: Any) -> None:
        self.folder = folder
        self.token = token
        quiet = dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False)
        shown: Any = {
            "listen_interfaces": "127.0.0.1:0",
            "peer_fingerprint": bytes.fromhex(token),
            "allow_multiple_connections_per_ip": True,
            "alert_mask": lt.alert_category.all & ~lt.alert_category.peer_log,
            **quiet,
            **settings,
        }
        self._lt = lt.session(lt.session_params(shown))
        self.session = self

    @property
    def endpoint(self) -> tuple[str, int]:
        return "127.0.0.1", self._lt.listen_port()

    async def alert(self, kind: type[lt.alert]) -> None:
        """Wait for an alert of `kind`."""
        await asyncio.wait_for(asyncio.to_thread(self._wait, kind), STUCK_SECONDS)

    def _wait(self, kind: type[lt.alert]) -> None:
        while True:
            self._lt.wait_for_alert(1000)
            if any(isinstance(alert, kind) for alert in self._lt.pop_alerts()):
                return

    async def seed(self, encoded: bytes, flags: int = 0) -> None:
        """Serve a .torrent's files from the folder, once they are checked."""
        params = lt.load_torrent_buffer(encoded, {"max_buffer_size": 64 * 1024**2})
        params.save_path = str(self.folder)
        params.flags = flags
        self._lt.add_torrent(params)
        await self.alert(lt.torrent_checked_alert)

    async def close(self) -> None:
        held = [self.__dict__.pop("_lt")]
        await asyncio.to_thread(held.clear)


class Community:
    """Members and seeders of one test, closed at its end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.chance = Chance()
        self._open: list[Any] = []

    async def member(self, role: str, **options: Any) -> Member:
        member = Member(self.root / role, new_token(self.chance))
        self._open.append(await member.start(**options))
        return member

    def seeder(self, role: str, **settings: Any) -> RawSeeder:
        folder = self.root / role
        folder.mkdir()
        seeder = RawSeeder(folder, new_token(self.chance), **settings)
        self._open.append(seeder)
        return seeder

    async def restart(self, member: Member, **options: Any) -> Member:
        await member.session.close()
        member.told.clear()
        return await member.start(**options)

    async def close(self) -> None:
        for opened in self._open:
            await opened.session.close()


@pytest.fixture
async def community(tmp_path: Path) -> AsyncIterator[Community]:
    community = Community(tmp_path)
    yield community
    await community.close()


@pytest.fixture
def rung_clock() -> type[RungClock]:
    return RungClock


@pytest.fixture(scope="session")
def some_bytes() -> Callable[..., bytes]:
    """Incompressible bytes that are the same in every run."""
    return lambda count, seed=0: hashlib.shake_128(bytes([seed])).digest(count)


@pytest.fixture
def claim() -> Callable[..., Any]:
    """The canonical torrent of a file that lies under the name of another SHA-256."""

    def claim(folder: Path, name_sha256: str, data: bytes) -> Any:
        name = name_sha256 + ".png"
        (folder / name).write_bytes(data)
        return make_torrent(folder, name, name_sha256, len(data))

    return claim


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """A small real picture in a format of Pillow's."""

    def picture(kind: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
        file = io.BytesIO()
        gradient = Image.linear_gradient("L").resize(size)
        (gradient if kind == "GIF" else gradient.convert("RGB")).save(file, kind, **options)
        return file.getvalue()

    return picture
