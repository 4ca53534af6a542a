"""The regtest service: opened on a data folder, served on a port, closed cleanly."""

import errno
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from aiohttp import web

from overlay.clock import Clock, Randomness
from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest.errors import RegtestError
from overlay.dao.bitcoin.regtest.esplora import PREFIX
from overlay.dao.bitcoin.regtest.files import lock
from overlay.dao.bitcoin.regtest.node import RegtestNode, open_node
from overlay.dao.bitcoin.regtest.server import RpcServer
from overlay.files import write_file

COOKIE_USER = "__cookie__"
COOKIE_BYTES = 32
SHUTDOWN_SECONDS = 1.0


class RegtestService:
    """A running service. `node` is for whoever runs it in the same process; clients use `url` and the cookie."""

    def __init__(self, node: RegtestNode, runner: web.AppRunner, cookie_path: Path, held: IO[bytes]) -> None:
        self.node, self.cookie_path = node, cookie_path
        self._runner, self._held = runner, held

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return str(self._runner.addresses[0][0])

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """Where clients of bitcoind's JSON-RPC send their calls."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def esplora_url(self) -> str:
        """Where clients of Esplora ask, without a password, from this machine."""
        return self.url.rstrip("/") + PREFIX

    @property
    def faucet_address(self) -> str:
        """Where coins can be mined to that `sendtoaddress` then gives out."""
        return address.encode(self.node.faucet.script_pubkey, Network.REGTEST) or ""

    async def stopped(self) -> None:
        """Returns once a client has called `stop`; the caller then closes."""
        await self.node.stopping.wait()

    async def close(self) -> None:
        """Stop listening, write everything to disk, and free the folder."""
        await self._runner.cleanup()
        self.cookie_path.unlink(missing_ok=True)
        self.node.close()
        self._held.close()


async def serve(
    data_dir: Path,
    host: str,
    port: int,
    clock: Clock,
    random: Randomness,
    *,
    user: str | None = None,
    password: str | None = None,
) -> RegtestService:
    """Open the chain in `data_dir`, made there if it is new, and serve it on `host`:`port` (0 for any free port).

    Clients log in by `.cookie` of the folder, and by `user` and `password` if given. Raises RegtestError with
    one clear sentence: port taken, folder not writable or in use, py-bitcoinkernel missing.
    """
    with ExitStack() as opened:
        held = opened.enter_context(lock(data_dir))
        node = _open(data_dir, clock, random)
        opened.callback(node.close)
        cookie = f"{COOKIE_USER}:{random.bytes(COOKIE_BYTES).hex()}"
        logins = [cookie] if user is None or password is None else [cookie, f"{user}:{password}"]
        cookie_path = data_dir / ".cookie"
        write_file(cookie_path, cookie.encode())
        opened.callback(cookie_path.unlink)
        runner = await _listen(RpcServer(node, clock, logins), host, port)
        opened.pop_all()
    return RegtestService(node, runner, cookie_path, held)


def _open(data_dir: Path, clock: Clock, random: Randomness) -> RegtestNode:
    try:
        return open_node(data_dir, clock, random)
    except OSError as error:
        raise RegtestError(f"the regtest chain can't write into {data_dir}: {error.strerror}") from error


async def _listen(server: RpcServer, host: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(server.application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        if error.errno == errno.EADDRINUSE:
            raise RegtestError(f"port {port} of {host} is in use by another program") from error
        raise RegtestError(f"can't listen on {host}:{port}: {error.strerror}") from error
    return runner
