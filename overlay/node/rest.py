"""The REST interface: one route per action, one event stream; for its token, host and origin only (docs/using.md).

The browser of the same user can be made to send requests here by any web page: so every request needs the token in a
header that no page can guess, names this very host (against rebinding of DNS names), and if it names an origin, ours.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from overlay.node.actions import ACTIONS, Action, BadRequest
from overlay.node.config import RestSection
from overlay.node.node import Node
from overlay.node.openapi import document
from overlay.node.problems import EXPECTED, problem
from overlay.node.wire import Ask, Problem

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A picture of 4 MiB in base64, and the rest of its request.
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_QUERY_BYTES = 8 * 1024
HEARTBEAT_SECONDS = 15.0


class RestPortInUse(OSError):
    """The TCP port that the configuration names belongs to another process."""


class Rest:
    """Serves one node. `start`, then `url`; `close` at the end."""

    def __init__(self, node: Node, token: str) -> None:
        self._node, self._token = node, token
        self.url = ""
        self._hosts: set[str] = set()
        app = web.Application(middlewares=[self._guard, _problems], client_max_size=MAX_BODY_BYTES)
        for each in ACTIONS.values():
            app.router.add_route("GET" if each.query else "POST", each.path, self._route(each))
        app.router.add_get("/v1/events", self._events)
        app.router.add_get("/v1/openapi.json", self._openapi)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)

    async def start(self, place: RestSection) -> None:
        """Listen. Raises RestPortInUse."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, place.host, place.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise RestPortInUse(
                f"TCP port {place.port} on {place.host} is in use by another program; choose another port"
            ) from error
        host, port = self._runner.addresses[0][:2]
        self._hosts = {f"{name}:{port}" for name in (host, "localhost", "127.0.0.1")}
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal:
            return _json(Problem(refusal, "forbidden"), 403)
        return await handler(request)

    def _refusal(self, request: web.Request) -> str:
        if request.headers.get("Host", "") not in self._hosts:
            return "this request names another host than this node"
        origin = request.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            return "this request comes from a page of another origin"
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return "this request does not carry this node's token"
        return ""

    def _route(self, action: Action) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return _json(await action.run(self._node, await _ask(action, request)))

        return answer

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        return _json(document(self.url))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events until the listener goes away, with a comment as a heartbeat."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        with self._node.events.subscribe() as waiting:
            await response.prepare(request)
            await response.write(b": listening\n\n")
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        event = await waiting.get()
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if event is None:
                    return response
                await response.write(b"event: %s\ndata: %s\n\n" % (event.topic.encode(), msgspec.json.encode(event)))


async def _ask(action: Action, request: web.Request) -> Ask:
    """Decode what is asked: the query of a GET, the JSON body of a POST. Raises BadRequest."""
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise BadRequest(f"a query has at most {MAX_QUERY_BYTES} bytes")
    try:
        if action.query:
            return msgspec.convert(dict(request.query), action.ask, strict=False)
        return msgspec.json.decode(await request.read() or b"{}", type=action.ask)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"this request is malformed: {error}") from error


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except EXPECTED as error:
        return _json(*problem(error))
    except web.HTTPRequestEntityTooLarge:
        return _json(Problem(f"a request has at most {MAX_BODY_BYTES} bytes", "bad-request"), 413)
    except web.HTTPNotFound:
        return _json(Problem(f"this node has nothing at {request.path}", "not-found"), 404)
    except web.HTTPMethodNotAllowed as error:
        return _json(Problem(f"{request.path} takes {', '.join(error.allowed_methods)}", "bad-request"), 405)
    except ConnectionResetError:
        raise
    except Exception:  # the edge: the log gets the traceback, the asker one sentence
        log.exception("%s %s", request.method, request.path)
        return _json(*problem(RuntimeError()))


def _json(told: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(told), status=status, content_type="application/json")
