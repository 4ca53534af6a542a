"""The service as a whole: started, shared, restarted, and refused in one sentence."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from overlay.clock import SystemClock
from overlay.dao.bitcoin import payment
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile, Password, RpcFailure
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin, Payee
from overlay.dao.bitcoin.regtest import RegtestError, RegtestService, serve
from tests.dao.bitcoin.helpers import Caller, FixedRandomness, Purse

ROOT = Path(__file__).parents[4]


class StoppedClock:
    """A clock of a simulation that has only just begun."""

    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        return


async def opened(folder: Path, port: int = 0, **login: str) -> RegtestService:
    return await serve(folder, "127.0.0.1", port, SystemClock(), FixedRandomness("service"), **login)


async def test_a_new_chain_gives_out_coins_at_once(
    service: RegtestService, rpc: Caller, treasury: Purse, backend: BitcoindBackend
) -> None:
    assert service.node.chain.height == 101
    # Two coins are ripe, and each may begin a chain of 25 payments that wait, each from the change of the one before.
    for _ in range(50):
        await rpc("sendtoaddress", treasury.address, 0.1)
    with pytest.raises(RpcFailure, match="Insufficient funds"):
        await rpc("sendtoaddress", treasury.address, 0.1)
    await rpc("generatetoaddress", 1, service.faucet_address)
    await rpc("sendtoaddress", treasury.address, 0.1)
    coins = await backend.coins(treasury.script)
    assert [coin.amount for coin in coins] == [10_000_000] * 50


async def test_the_faucet_says_when_it_is_empty(rpc: Caller, treasury: Purse) -> None:
    with pytest.raises(RpcFailure, match="Insufficient funds") as refusal:
        await rpc("sendtoaddress", treasury.address, "100")
    assert refusal.value.code == -6
    for amount in ("0.00000329", 0, -1, "0.000000001", "x", None):
        with pytest.raises(RpcFailure):
            await rpc("sendtoaddress", treasury.address, amount)
    assert await rpc("getrawmempool") == []


async def test_the_tip_coins_and_policy_are_the_same_after_a_restart(
    folder: Path, treasury: Purse, farmer: Purse
) -> None:
    first = await opened(folder)
    rpc = Caller(first.url, CookieFile(first.cookie_path))
    await rpc("sendtoaddress", treasury.address, "1")
    await rpc("generatetoaddress", 1, farmer.address)
    waiting = await rpc("sendtoaddress", treasury.address, "2")
    tip = await rpc("getbestblockhash")
    await rpc.close()
    await first.close()
    assert not first.cookie_path.exists()

    second = await opened(folder)
    rpc = Caller(second.url, CookieFile(second.cookie_path))
    backend = BitcoindBackend(second.url, CookieFile(second.cookie_path), Network.REGTEST)
    assert await rpc("getbestblockhash") == tip
    assert await rpc("getrawmempool") == [waiting]
    assert second.faucet_address == first.faucet_address
    (coin,) = await backend.coins(treasury.script)
    unsigned = payment.build([coin], [Payee(farmer.script, Sats(25_000))], 1, treasury.script)
    await backend.broadcast(treasury.sign(unsigned))
    await rpc("generatetoaddress", 1, farmer.address)
    assert await rpc("getrawmempool") == []
    await backend.close()
    await rpc.close()
    await second.close()


async def test_a_lost_payment_and_a_refused_one_change_nothing(
    service: RegtestService, rpc: Caller, backend: BitcoindBackend, funded: Coin, farmer: Purse, treasury: Purse
) -> None:
    assert await backend.coins(treasury.script) == [funded]
    unsigned = payment.build([funded], [Payee(farmer.script, Sats(25_000))], 1, treasury.script)
    await backend.test_accept(treasury.sign(unsigned))
    assert await rpc("getrawmempool") == []
    assert await backend.coin(funded.txid, funded.vout) == funded


async def test_the_cookie_is_for_its_owner_only(service: RegtestService, folder: Path) -> None:
    for name in (".cookie", "faucet.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    user, _, password = (folder / ".cookie").read_text().partition(":")
    assert user == "__cookie__"
    assert len(password) == 64


async def test_a_user_and_password_can_be_given_as_well(folder: Path) -> None:
    service = await opened(folder, user="baker", password="flour")
    for login in (Password("baker", "flour"), CookieFile(service.cookie_path)):
        rpc = Caller(service.url, login)
        assert await rpc("uptime") == 0
        await rpc.close()
    await service.close()


async def test_stop_ends_the_service(service: RegtestService, rpc: Caller) -> None:
    assert "stopping" in await rpc("stop")
    await service.stopped()


async def test_help_knows_every_method(rpc: Caller) -> None:
    lines = (await rpc("help")).splitlines()
    assert "getblockhash height" in lines
    for line in lines:
        name = line.split()[0]
        assert (await rpc("help", name)).startswith(line + "\n\n")
    assert await rpc("help", "dance") == "help: unknown command: dance"


async def test_a_simulated_clock_makes_the_same_chain_every_time(tmp_path: Path) -> None:
    tips = []
    for name in ("one", "two"):
        service = await serve(tmp_path / name, "127.0.0.1", 0, StoppedClock(), FixedRandomness("seed"))
        tips.append(service.node.chain.tip)
        await service.close()
    assert tips[0] == tips[1]


async def test_a_port_in_use_is_told_and_the_folder_is_free_again(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RegtestError, match=f"port {port} of 127.0.0.1 is in use by another program"):
            await opened(folder, port)
    service = await opened(folder)
    await service.close()


async def test_an_address_of_another_machine_is_told(folder: Path) -> None:
    with pytest.raises(RegtestError, match=r"can't listen on 192\.0\.2\.1:0"):
        await serve(folder, "192.0.2.1", 0, SystemClock(), FixedRandomness("service"))


async def test_a_folder_in_use_is_told(service: RegtestService, folder: Path) -> None:
    with pytest.raises(RegtestError, match="another process is using"):
        await opened(folder)
    assert service.cookie_path.exists()


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegtestError, match="can't write into"):
        await opened(tmp_path / "file" / "chain")


async def test_a_damaged_faucet_key_is_told(folder: Path) -> None:
    folder.mkdir()
    (folder / "faucet.key").write_bytes(bytes(32))
    with pytest.raises(RegtestError, match="does not hold a key"):
        await opened(folder)
    (folder / "faucet.key").write_bytes(b"short")
    with pytest.raises(RegtestError, match="does not hold a key"):
        await opened(folder)


async def test_a_missing_kernel_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pbk", None)
    with pytest.raises(RegtestError, match="needs the package py-bitcoinkernel"):
        await opened(folder)
    monkeypatch.undo()
    service = await opened(folder)
    await service.close()


def test_the_kernel_says_nothing_on_the_terminal(folder: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from overlay.clock import SystemClock, SystemRandomness\n"
        "from overlay.dao.bitcoin.regtest import serve\n"
        "async def main():\n"
        "    service = await serve(Path(sys.argv[1]), '127.0.0.1', 0, SystemClock(), SystemRandomness())\n"
        "    await service.close()\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == (b"", b"")
