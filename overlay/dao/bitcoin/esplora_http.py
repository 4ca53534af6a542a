"""HTTP as a client speaks it to an Esplora server that may be broken, hostile, or something else entirely."""

from typing import NamedTuple, TypeVar

import aiohttp
import msgspec

from overlay.dao.bitcoin.backend import BackendError, Rejected
from overlay.dao.bitcoin.bitcoind import DECODE_FAILED, KNOWN_ALREADY, REFUSED, REFUSED_BY_RULES
from overlay.dao.bitcoin.jsonrpc import decode, limited, plain

T = TypeVar("T")

SECONDS = 30.0
OK, BAD_REQUEST, NOT_FOUND, TOO_MANY = 200, 400, 404, 429


class Reply(NamedTuple):
    """Status and body of an answer; the status is one of 200, 400 and 404."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body, fit to be shown."""
        return plain(self.body.decode("ascii", "replace"))


class Failure(msgspec.Struct, frozen=True):
    """The error of bitcoind that Esplora passes on."""

    code: int
    message: str


class EsploraHttp:
    """One server, at the address under which its paths begin, such as https://blockstream.info/api."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # For people: without a user name and password that the address may hold.
        self.name = self._url.rpartition("@")[2]
        self._session: aiohttp.ClientSession | None = None

    async def text(self, path: str) -> str | None:
        """What the server has at `path`, as text; None where it has nothing."""
        reply = await self._good(path)
        if reply is None:
            return None
        try:
            return reply.body.decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise BackendError(f"the Bitcoin server gave a malformed answer to {path}") from error

    async def json(self, shape: type[T], path: str) -> T | None:
        """What the server has at `path`, as `shape`; None where it has nothing."""
        reply = await self._good(path)
        return None if reply is None else decode(reply.body, shape, path)

    async def post(self, path: str, body: str) -> Reply:
        """Hand `body` to the server."""
        return await self._exchange("POST", path, body)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _good(self, path: str) -> Reply | None:
        reply = await self._exchange("GET", path, None)
        if reply.status == BAD_REQUEST:
            raise BackendError(f"the Bitcoin server at {self.name} refuses {path}: {reply.text}")
        return None if reply.status == NOT_FOUND else reply

    async def _exchange(self, method: str, path: str, body: str | None) -> Reply:
        if self._session is None:
            # Without cookies, by which a public server could know its visitors again.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS), cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.request(
                method, self._url + path, data=None if body is None else body.encode(), allow_redirects=False
            ) as response:
                self._check(response.status)
                return Reply(response.status, await limited(response))
        except TimeoutError as error:
            raise BackendError(f"the Bitcoin server at {self.name} did not answer in {SECONDS:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise BackendError(f"the Bitcoin server at {self.name} can't be reached") from error

    def _check(self, status: int) -> None:
        if status == TOO_MANY:
            raise BackendError(f"the Bitcoin server at {self.name} is asked too often; try again in a moment")
        if status not in (OK, BAD_REQUEST, NOT_FOUND):
            raise BackendError(f"the Bitcoin server at {self.name} answers with HTTP status {status}")


def check_refusal(reply: Reply) -> None:
    """Raises Rejected with bitcoind's reason, BackendError without one; what is known already is no refusal."""
    found = _failure(reply) if reply.status == BAD_REQUEST else None
    if found is None:
        raise BackendError(f"the Bitcoin server does not send the transaction: {reply.text}")
    if found.code == KNOWN_ALREADY:
        return
    if found.code in (DECODE_FAILED, REFUSED, REFUSED_BY_RULES):
        raise Rejected(plain(found.message) or "no reason given")
    raise BackendError(f"the Bitcoin server does not send the transaction: {plain(found.message)}")


def _failure(reply: Reply) -> Failure | None:
    """bitcoind's error in the text of a refusal, where there is one."""
    start = reply.body.find(b"{")
    try:
        return msgspec.json.decode(reply.body[start:], type=Failure) if start >= 0 else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
