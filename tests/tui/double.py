"""A real HTTP server that answers as a node would: wire structs, problems, and server-sent events."""

import asyncio
from collections import Counter
from typing import Self

import msgspec
from aiohttp import web

from overlay.node.wire import Done, Event, Problem, Tell
from tests.tui.story import invitation, some_id, story

TOKEN = "a-token-of-the-tests"


class NodeDouble:
    """Serves `answers` by path, records what was asked, and speaks and falls silent as the test wants."""

    def __init__(self, answers: dict[str, Tell] | None = None) -> None:
        self.answers = story() if answers is None else answers
        self.done: dict[str, Tell] = {"commons/invite": invitation()}
        self.problems: dict[str, tuple[int, Problem]] = {}
        self.reads: Counter[str] = Counter()
        self.queries: list[dict[str, str]] = []
        self.commands: list[tuple[str, dict[str, object]]] = []
        self.gate = asyncio.Event()  # answers wait for it: a test closes it to see what gathers meanwhile
        self.gate.set()
        self._streams: list[asyncio.Queue[bytes | None]] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop again on the same port."""
        app = web.Application(client_max_size=8 * 1024**2)
        app.router.add_get("/v1/events", self._events)
        app.router.add_get("/v1/{group}/{verb}", self._read)
        app.router.add_post("/v1/{group}/{verb}", self._command)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End every stream and listen no longer."""
        self.hang_up()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def hang_up(self) -> None:
        """End the event streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    def tell(self, *events: Event) -> None:
        """Send events to all who listen."""
        for event in events:
            data = msgspec.json.encode(event).decode()
            self.send(f"event: {event.topic}\ndata: {data}\n\n".encode())

    def send(self, raw: bytes) -> None:
        """Send these bytes on every event stream."""
        for stream in self._streams:
            stream.put_nowait(raw)

    @property
    def listeners(self) -> int:
        return len(self._streams)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.append(stream)
        try:
            while (raw := await stream.get()) is not None:
                await response.write(raw)
        finally:
            self._streams.remove(stream)
        return response

    async def _read(self, request: web.Request) -> web.Response:
        self._check(request)
        path = _path(request)
        self.reads[path] += 1
        self.queries.append(dict(request.query))
        await self.gate.wait()
        return self._say(path, self.answers)

    async def _command(self, request: web.Request) -> web.Response:
        self._check(request)
        path = _path(request)
        self.commands.append((path, await request.json()))
        await self.gate.wait()
        return self._say(path, {path: self.done.get(path, Done(some_id(path)))})

    def _say(self, path: str, answers: dict[str, Tell]) -> web.Response:
        if path in self.problems:
            status, problem = self.problems[path]
            return web.Response(status=status, body=msgspec.json.encode(problem), content_type="application/json")
        return web.Response(body=msgspec.json.encode(answers[path]), content_type="application/json")

    def _check(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPForbidden(body=msgspec.json.encode(Problem("This token opens nothing.", "forbidden")))


def _path(request: web.Request) -> str:
    return f"{request.match_info['group']}/{request.match_info['verb']}"
