"""The HTTP API of Esplora, beside the JSON-RPC on the same port, under /esplora/api.

Like Esplora it knows no passwords, so it answers only to this machine. Served of what Blockstream's documentation
lists: everything about transactions, addresses, scripthashes, blocks, mempool and fees except `merkleblock-proof`,
`address-prefix` and `mempool/recent`.
"""

import ipaddress
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from overlay.dao.bitcoin.regtest import esplora_blocks, esplora_scripts, esplora_transactions
from overlay.dao.bitcoin.regtest.esplora_table import ROUTES, Answer, Problem, Route
from overlay.dao.bitcoin.regtest.node import RegtestNode

# Importing a module of routes registers them.
MODULES = (esplora_blocks, esplora_scripts, esplora_transactions)
PREFIX = "/esplora/api"


def add_routes(application: web.Application, node: RegtestNode) -> None:
    """Serve Esplora's API of `node` in `application`."""
    for each in ROUTES:
        application.router.add_route(each.method, PREFIX + each.path, _handler(node, each))
    application.router.add_route("*", PREFIX + "/{rest:.*}", _nothing)


def _handler(node: RegtestNode, each: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        if not _is_near(request.remote):
            return web.Response(status=403, text="this API is for this machine only")
        arguments = dict(request.match_info)
        if each.method == "POST":
            arguments["body"] = (await request.read()).decode("ascii", "replace")
        try:
            return _response(each.function(node, **arguments))
        except Problem as problem:
            return web.Response(status=problem.status, text=problem.text)

    return handle


def _is_near(remote: str | None) -> bool:
    return remote is not None and ipaddress.ip_address(remote).is_loopback


def _response(answer: Answer) -> web.Response:
    if isinstance(answer, str):
        return web.Response(text=answer)
    if isinstance(answer, bytes):
        return web.Response(body=answer, content_type="application/octet-stream")
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


async def _nothing(request: web.Request) -> web.Response:
    return web.Response(status=404, text="endpoint does not exist")
