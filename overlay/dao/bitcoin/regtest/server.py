"""JSON-RPC 1.0 and 2.0 over HTTP with basic authentication, as bitcoind serves it; Esplora's API stands beside it."""

import base64
import binascii
import hmac
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from overlay.clock import Clock
from overlay.dao.bitcoin.regtest import esplora, methods_blocks, methods_control, methods_mempool, methods_transactions
from overlay.dao.bitcoin.regtest.errors import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
)
from overlay.dao.bitcoin.regtest.node import RegtestNode
from overlay.dao.bitcoin.regtest.table import METHODS

# Importing a module of methods registers them.
MODULES = (methods_blocks, methods_control, methods_mempool, methods_transactions)
# A block of 4,000,000 bytes is 8,000,000 hex digits; 64 KiB more for what is around them.
MAX_BODY_BYTES = 8_000_000 + 64 * 1024
MAX_BATCH = 100
# bitcoind's answer to a wrong password takes this long, so that guessing does.
REFUSAL_SECONDS = 0.25

# Fractions are read as Decimal, exactly; one with an impossible exponent is an ArithmeticError.
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _Request(msgspec.Struct, frozen=True):
    method: str
    params: list[Any] | dict[str, Any] | None = None
    id: Any = None
    jsonrpc: str | None = None


class RpcServer:
    """Answers HTTP requests by the methods of the table, for whoever knows one of the `logins` ("user:password")."""

    def __init__(self, node: RegtestNode, clock: Clock, logins: list[str]) -> None:
        self._node, self._clock = node, clock
        self._logins = [login.encode() for login in logins]
        self.application = web.Application(client_max_size=MAX_BODY_BYTES)
        self.application.router.add_route("*", "/", self._serve)
        self.application.router.add_route("*", "/wallet/{name}", self._serve)
        esplora.add_routes(self.application, node)

    async def _serve(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, text="JSONRPC server handles only POST requests\r\n")
        if not self._authorised(request.headers.get("Authorization", "")):
            await self._clock.sleep(REFUSAL_SECONDS)
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="jsonrpc"'})
        return self._answer(await request.read())

    def _authorised(self, header: str) -> bool:
        scheme, _, encoded = header.partition(" ")
        if scheme != "Basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return any(hmac.compare_digest(given, login) for login in self._logins)

    def _answer(self, body: bytes) -> web.Response:
        try:
            content = _DECODER.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ArithmeticError):
            return _response(*_failure(None, RpcError(PARSE_ERROR, "Parse error")))
        if not isinstance(content, list):
            return _response(*self._one(content))
        if len(content) > MAX_BATCH:
            return _response(*_failure(None, RpcError(INVALID_REQUEST, f"more than {MAX_BATCH} calls at once")))
        return _response(200, [self._one(each)[1] for each in content])

    def _one(self, content: Any) -> tuple[int, dict[str, Any]]:
        """HTTP status and answer of one call."""
        try:
            request = msgspec.convert(content, _Request)
        except msgspec.ValidationError:
            return _failure(None, RpcError(INVALID_REQUEST, "Invalid Request object"))
        try:
            result = METHODS.call(self._node, request.method, request.params or [])
        except RpcError as error:
            return _failure(request, error)
        except OSError as error:
            # What was told may no longer be what is on disk: like bitcoind, go down rather than on.
            self._node.stopping.set()
            return _failure(request, RpcError(INTERNAL_ERROR, f"the data folder failed: {error.strerror}"))
        if request.jsonrpc == "2.0":
            return 200, {"jsonrpc": "2.0", "result": result, "id": request.id}
        return 200, {"result": result, "error": None, "id": request.id}


def _failure(request: _Request | None, error: RpcError) -> tuple[int, dict[str, Any]]:
    told = {"code": error.code, "message": error.message}
    number = None if request is None else request.id
    if request is not None and request.jsonrpc == "2.0":
        return 200, {"jsonrpc": "2.0", "error": told, "id": number}
    status = {INVALID_REQUEST: 400, METHOD_NOT_FOUND: 404}.get(error.code, 500)
    return status, {"result": None, "error": told, "id": number}


def _response(status: int, content: Any) -> web.Response:
    return web.Response(status=status, body=_ENCODER.encode(content) + b"\n", content_type="application/json")
