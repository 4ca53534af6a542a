"""JSON-RPC over HTTP as a client speaks it to a bitcoind that may be broken, hostile, or something else entirely."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from overlay.dao.bitcoin.backend import BackendError

T = TypeVar("T")

# The largest answer asked for is a verbose transaction of 400 kB: as hex, again in its decoded parts, and in assembler
# text; or the ids of a full block, 4,000,000 / 60 of them at 67 bytes. 8 MiB hold either.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
# bitcoind's cookie is `__cookie__:` and 64 hex digits.
MAX_COOKIE_BYTES = 1_000
MAX_QUOTED = 200
CHUNK = 64 * 1024


class RpcFailure(Exception):
    """bitcoind answered with an error: its `code` and printable `text`."""

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, plain(text)
        super().__init__(f"{self.text} (code {code})")


@dataclass(frozen=True, slots=True)
class Password:
    """`rpcuser` and `rpcpassword` of bitcoind."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CookieFile:
    """The `.cookie` file of bitcoind, written anew at each of its starts and so read anew for each call."""

    path: Path


Credentials = Password | CookieFile


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str


class _Answer(msgspec.Struct, frozen=True):
    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


def plain(text: str) -> str:
    """Text from the other side, cut and without anything but printable ASCII, fit to be shown."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:MAX_QUOTED])


def decode(raw: bytes | msgspec.Raw, shape: type[T], what: str) -> T:
    """`raw` as exactly `shape`; raises BackendError naming `what` was asked for."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BackendError(f"the Bitcoin node gave a malformed answer to {what}") from error


class JsonRpc:
    """One server and the right to use it."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.url = url
        self._credentials = credentials
        self._ids = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    async def call(self, shape: type[T], method: str, *params: Any, timeout: float) -> T:
        """Call `method`; its result as `shape`. `timeout` in seconds. Raises RpcFailure, BackendError."""
        number = next(self._ids)
        request = {"jsonrpc": "1.0", "id": number, "method": method, "params": params}
        body = await self._exchange(msgspec.json.encode(request), timeout)
        answer = decode(body, _Answer, method)
        if answer.id != number:
            raise BackendError(f"the Bitcoin node answered {method} with the answer to something else")
        if answer.error is not None:
            raise RpcFailure(answer.error.code, answer.error.message)
        return decode(answer.result, shape, method)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, body: bytes, timeout: float) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(
                self.url,
                data=body,
                auth=self._auth(),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                self._check(response)
                return await limited(response)
        except TimeoutError as error:
            raise BackendError(f"the Bitcoin node at {self.url} did not answer in {timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise BackendError(f"the Bitcoin node at {self.url} can't be reached") from error

    def _auth(self) -> aiohttp.BasicAuth:
        if isinstance(self._credentials, Password):
            return aiohttp.BasicAuth(self._credentials.user, self._credentials.password, encoding="utf-8")
        user, _, password = _read_cookie(self._credentials.path).partition(":")
        return aiohttp.BasicAuth(user, password)

    def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 401:
            raise BackendError(f"the Bitcoin node at {self.url} does not accept the user name and password")
        # bitcoind tells errors of a method by 500, unknown methods by 404, broken requests by 400, all in JSON.
        if response.status not in (200, 400, 404, 500):
            raise BackendError(f"the Bitcoin node at {self.url} answers with HTTP status {response.status}")


def _read_cookie(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_COOKIE_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BackendError(f"no cookie of a running Bitcoin node can be read at {path}") from error


async def limited(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer, or BackendError where it is longer than any honest one."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise BackendError(f"the Bitcoin node gave an answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)
