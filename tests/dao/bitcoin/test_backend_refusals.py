"""What a treasury is told where its node is not there, not its own, or on another network."""

from pathlib import Path

import pytest

from overlay.dao.bitcoin.backend import BackendError, ChainBackend
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.esplora import EsploraBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile, Password
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest import RegtestService
from tests.dao.bitcoin.helpers import free_port


def backends(service: RegtestService, network: Network) -> list[ChainBackend]:
    return [
        BitcoindBackend(service.url, CookieFile(service.cookie_path), network),
        EsploraBackend(service.esplora_url, network),
    ]


@pytest.mark.parametrize("network", [each for each in Network if each is not Network.REGTEST])
async def test_the_wrong_network_is_refused_naming_both(service: RegtestService, network: Network) -> None:
    for backend in backends(service, network):
        for ask in (backend.network, backend.height, backend.fee_rate):
            with pytest.raises(BackendError, match=f"is on regtest, and this treasury is on {network.label}"):
                await ask()
        await backend.close()


async def test_a_wrong_password_and_an_absent_node_are_told_apart(service: RegtestService, tmp_path: Path) -> None:
    wrong = BitcoindBackend(service.url, Password("farmer", "guess"), Network.REGTEST)
    with pytest.raises(BackendError, match="does not accept the user name and password"):
        await wrong.height()
    await wrong.close()
    absent = BitcoindBackend(f"http://127.0.0.1:{free_port()}/", Password("a", "b"), Network.REGTEST)
    with pytest.raises(BackendError, match="can't be reached"):
        await absent.height()
    await absent.close()
    nothing = EsploraBackend(f"http://127.0.0.1:{free_port()}/api", Network.REGTEST)
    with pytest.raises(BackendError, match="can't be reached"):
        await nothing.height()
    await nothing.close()
    no_cookie = BitcoindBackend(service.url, CookieFile(tmp_path / "none"), Network.REGTEST)
    with pytest.raises(BackendError, match="no cookie"):
        await no_cookie.height()
    await no_cookie.close()
