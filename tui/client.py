"""A typed client of one node's REST interface: structs in, structs out, one error."""

from collections.abc import AsyncGenerator, Mapping
from io import BytesIO
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from overlay.node.wire import Ask, Event, Nothing, Problem, Tell
from tui.event_stream import EventStream
from tui.problem import NodeProblem
from tui.sanitize import plain

T = TypeVar("T", bound=Tell)

# The longest answer is the list of people: 10,000 members at some 600 bytes are 6 MB.
RESPONSE_LIMIT = 8 * 1024**2
CHUNK = 64 * 1024
# A command waits for signing and the disk, sometimes for a peer that is joined; longer is no answer.
ANSWER_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
# Events may be hours apart, but a living node sends a heartbeat every 15 seconds: three that are missing are too many.
EVENTS_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=45)


class NodeClient:
    """Speaks to one node. Use as an async context manager inside a running loop.

    Every method raises NodeProblem and nothing else: with the node's own sentence where it refused, with ours where it
    could not be reached or understood. Every text in an answer has been sanitized.
    """

    def __init__(self, url: str, token: str) -> None:
        self._base = url.rstrip("/") + "/v1/"
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}, timeout=ANSWER_TIMEOUT
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def read(self, path: str, answer: type[T], request: Ask | None = None) -> T:
        """GET `path` ("people/list"), the request's fields as query parameters."""
        query = {name: str(value) for name, value in msgspec.to_builtins(request or Nothing()).items()}
        return await self._answer("GET", path, answer, query, b"")

    async def command(self, path: str, request: Ask, answer: type[T]) -> T:
        """POST the request as JSON to `path` ("voucher/mint")."""
        return await self._answer("POST", path, answer, {}, msgspec.json.encode(request))

    async def _answer(self, method: str, path: str, answer: type[T], query: Mapping[str, str], body: bytes) -> T:
        headers = {"Content-Type": "application/json"} if body else {}
        data = BytesIO(body) if body else None  # a picture's bytes in one piece would block the loop
        try:
            async with self._session.request(
                method, self._base + path, params=query, data=data, headers=headers, allow_redirects=False
            ) as response:
                content = await _bounded(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NodeProblem.unreachable() from error
        if response.status != 200:
            raise _refusal(response.status, content)
        return plain(_decode(content, answer))

    async def events(self) -> AsyncGenerator[tuple[Event, ...], None]:
        """The node's events in batches, as they arrive; an empty first batch says that the stream is open."""
        stream = EventStream()
        try:
            async with self._session.get(
                self._base + "events",
                headers={"Accept": "text/event-stream"},
                timeout=EVENTS_TIMEOUT,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise _refusal(response.status, await _bounded(response))
                yield ()
                while chunk := await response.content.readany():
                    if found := stream.feed(chunk):
                        yield tuple(plain(event) for event in found)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NodeProblem.unreachable() from error


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The whole body; raises NodeProblem over RESPONSE_LIMIT."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        content += chunk
        if len(content) > RESPONSE_LIMIT:
            raise NodeProblem(f"The node's answer has more than {RESPONSE_LIMIT:,} bytes.", "internal")
    return bytes(content)


def _decode(content: bytes, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NodeProblem("The node's answer can't be read: is it of another version?", "internal") from error


def _refusal(status: int, content: bytes) -> NodeProblem:
    """The node's own words for an HTTP error, or ours where it is something else that answered."""
    try:
        problem = plain(_decode(content, Problem))
    except NodeProblem:
        return NodeProblem(f"The node answered with HTTP status {status} and no reason.", "internal")
    return NodeProblem(problem.problem, problem.kind)
