"""A real regtest service on a port of its own, and clients of it."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from overlay.clock import SystemClock
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.regtest import RegtestService, serve
from tests.dao.bitcoin.helpers import Caller, FixedRandomness, Purse


@pytest.fixture
def treasury() -> Purse:
    return Purse("treasury")


@pytest.fixture
def farmer() -> Purse:
    return Purse("farmer")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder; the kernel reserves 17 MB in each, so it does not outlive the test."""
    yield tmp_path / "chain"
    shutil.rmtree(tmp_path / "chain", ignore_errors=True)


@pytest.fixture
async def service(folder: Path) -> AsyncIterator[RegtestService]:
    running = await serve(folder, "127.0.0.1", 0, SystemClock(), FixedRandomness("service"))
    yield running
    await running.close()


@pytest.fixture
async def rpc(service: RegtestService) -> AsyncIterator[Caller]:
    caller = Caller(service.url, CookieFile(service.cookie_path))
    yield caller
    await caller.close()


@pytest.fixture
async def backend(service: RegtestService) -> AsyncIterator[BitcoindBackend]:
    client = BitcoindBackend(service.url, CookieFile(service.cookie_path), Network.REGTEST)
    yield client
    await client.close()


@pytest.fixture
async def funded(rpc: Caller, backend: BitcoindBackend, treasury: Purse) -> Coin:
    """One confirmed bitcoin of the treasury's."""
    await rpc("sendtoaddress", treasury.address, "1")
    await rpc("generatetoaddress", 1, await rpc("getnewaddress"))
    (coin,) = await backend.coins(treasury.script)
    return coin
