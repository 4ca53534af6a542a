"""Processes: run a node, a regtest chain or the terminal interface until a signal ends it; one sentence on failure."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from importlib import metadata
from pathlib import Path

from overlay.clock import SystemClock, SystemRandomness
from overlay.content import FolderError, ListenError
from overlay.keys import InvalidKey
from overlay.network.endpoint import PortInUse
from overlay.node.config import BadConfig, Config, load
from overlay.node.folder import FolderInUse, UnusableFolder, nobody_to_ask, running_node
from overlay.node.node import NoCommons, Node
from overlay.node.rest import Rest, RestPortInUse
from overlay.node.vault import Passphrase
from overlay.trustchain.store import StorageError

# Every way in which a node may be unable to start, each with a sentence of its own.
STARTING_ERRORS = (
    BadConfig,
    FolderInUse,
    UnusableFolder,
    InvalidKey,
    StorageError,
    PortInUse,
    RestPortInUse,
    ListenError,
    FolderError,
    NoCommons,
)
_SECTION_OF = {
    "port": ("network", "port"),
    "host": ("network", "host"),
    "advertise": ("network", "advertise"),
    "rest_port": ("rest", "port"),
    "content_port": ("content", "port"),
    "headless": ("node", "headless"),
    "bitcoin_rpc": ("bitcoin", "rpc"),
    "bitcoin_cookie": ("bitcoin", "cookie"),
}


def run_node(folder: Path, options: Mapping[str, object], passphrase: Passphrase = nobody_to_ask) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    try:
        config = load(folder, _overrides(options))
        insist = bool(options.get("insist_on_place"))
        asyncio.run(_serve_node(folder, config, insist=insist, passphrase=passphrase))
    except STARTING_ERRORS as error:
        return _failed(error)
    return 0


def run_regtest(folder: Path, host: str, port: int, user: str | None, password: str | None) -> int:
    """Run the embedded regtest chain until a signal; returns the exit status."""
    from overlay.dao.bitcoin import regtest
    from overlay.dao.bitcoin.regtest.errors import RegtestError

    async def serve() -> None:
        service = await regtest.serve(
            folder, host, port, SystemClock(), SystemRandomness(), user=user, password=password
        )
        _say(f"regtest at {service.url} cookie {service.cookie_path} esplora {service.esplora_url}")
        try:
            await _signalled()
        finally:
            await service.close()

    try:
        asyncio.run(serve())
    except RegtestError as error:
        return _failed(error)
    return 0


def run_tui(folder: Path) -> int:
    """Open the terminal interface of the node on `folder`."""
    found = running_node(folder)
    if found is None:
        return _failed(f"no node runs on {folder}: start one with `counterfoil --data {folder} node`")
    installed = metadata.entry_points(group="counterfoil.interfaces", name="tui")
    try:
        run = next(iter(installed)).load()
    except (StopIteration, ImportError) as error:
        return _failed(f"the terminal interface is not installed: {error}")
    run(*found)
    return 0


@contextlib.asynccontextmanager
async def serving(
    folder: Path, config: Config, *, insist: bool = False, passphrase: Passphrase = nobody_to_ask
) -> AsyncIterator[tuple[Node, Rest]]:
    """A node with its REST interface; raises STARTING_ERRORS."""
    clock, random = SystemClock(), SystemRandomness()
    node = await Node.open(folder, config, clock, random, insist=insist, passphrase=passphrase)
    rest = Rest(node, node.folder.token)
    try:
        await rest.start(config.rest)
        node.folder.tell_rest(rest.url)
        yield node, rest
    finally:
        await rest.close()
        await node.close()


async def _serve_node(folder: Path, config: Config, *, insist: bool, passphrase: Passphrase) -> None:
    async with serving(folder, config, insist=insist, passphrase=passphrase) as (_, rest):
        _say(f"node at {rest.url}, data folder {folder}")
        await _signalled()


async def _signalled() -> None:
    """Wait for SIGINT or SIGTERM."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


def _overrides(options: Mapping[str, object]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for option, value in options.items():
        if value is not None and option in _SECTION_OF:
            section, name = _SECTION_OF[option]
            found.setdefault(section, {})[name] = value
    if "host" in found.get("network", {}):
        found.setdefault("content", {})["host"] = found["network"]["host"]
    return found


def _say(line: str) -> None:
    print(line, flush=True)


def _failed(error: object) -> int:
    print(f"counterfoil: {error}", file=sys.stderr, flush=True)
    return 1
