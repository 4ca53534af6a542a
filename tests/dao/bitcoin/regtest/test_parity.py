"""The same calls to a real bitcoind and to the service: the same fields, types and codes.

Set BITCOIND_EXE to the path of a bitcoind (25 or later); without one, there is nothing to compare with.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overlay.dao.bitcoin import payment
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile, RpcFailure
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Payee
from overlay.dao.bitcoin.regtest import RegtestService
from tests.dao.bitcoin.helpers import BITCOIND, Caller, Purse, start_bitcoind

pytestmark = pytest.mark.skipif(
    not BITCOIND, reason="BITCOIND_EXE does not name a bitcoind to compare the regtest service with"
)
# Fields that some versions of bitcoind have and others do not.
PASSING = {"fullrbf", "bip125-replaceable", "bits", "target"}
NOWHERE = "ab" * 32
# Calls with the same arguments on both sides; {names} are filled in on each side.
CALLS: list[tuple[Any, ...]] = [
    ("getblockchaininfo",),
    ("getnetworkinfo",),
    ("getmempoolinfo",),
    ("getblockcount",),
    ("getbestblockhash",),
    ("uptime",),
    ("testmempoolaccept", ["{raw}"]),
    ("testmempoolaccept", ["{forged}"]),
    ("testmempoolaccept", []),
    ("sendrawtransaction", "{forged}"),
    ("sendrawtransaction", "{raw}"),
    ("sendrawtransaction", "{raw}"),
    ("sendrawtransaction", "{rival}"),
    ("testmempoolaccept", ["{raw}"]),
    ("getmempoolentry", "{txid}"),
    ("getmempoolentry", NOWHERE),
    ("getrawmempool",),
    ("getrawtransaction", "{txid}"),
    ("getrawtransaction", "{txid}", True),
    ("getrawtransaction", "{txid}", 2),
    ("getrawtransaction", NOWHERE, True),
    ("gettxout", "{coin}", 0),
    ("gettxout", "{coin}", 0, False),
    ("gettxout", "{txid}", 1),
    ("gettxout", NOWHERE, 0),
    ("gettxout", "zz", 0),
    ("generatetoaddress", 1, "{miner}"),
    ("generatetoaddress", 1, "nowhere"),
    ("generatetoaddress", "x", "{miner}"),
    ("sendrawtransaction", "{raw}"),
    ("testmempoolaccept", ["{raw}"]),
    ("sendrawtransaction", "00"),
    ("getblock", "{block}", 0),
    ("getblock", "{block}"),
    ("getblock", "{block}", 2),
    ("getblock", "zz"),
    ("getblock", 5),
    ("getblock", NOWHERE),
    ("getblockheader", "{block}"),
    ("getblockheader", "{block}", False),
    ("getblockheader", NOWHERE),
    ("getblockhash", 1),
    ("getblockhash", -1),
    ("getblockhash", 1_000_000),
    ("getblockhash", "1"),
    ("getblockhash",),
    ("getblockhash", 1, 2),
    ("scantxoutset", "start", [{"desc": "addr({treasury})"}]),
    ("scantxoutset", "start", ["raw(zz)"]),
    ("scantxoutset", "start", ["raw(00)#abcdefgh"]),
    ("scantxoutset", "start", [{}]),
    ("scantxoutset", "start"),
    ("scantxoutset", "status"),
    ("scantxoutset", "abort"),
    ("scantxoutset", "jump"),
    ("estimatesmartfee", 6),
    ("estimatesmartfee", 0),
    ("estimatesmartfee", 6, "odd"),
    ("submitblock", "00"),
    ("help", "dance"),
    ("dance",),
]


class Side:
    """One of the two nodes, and what the names in the calls stand for on it."""

    def __init__(self, url: str, credentials: CookieFile) -> None:
        self.rpc = Caller(url, credentials)
        self._backend = BitcoindBackend(url, credentials, Network.REGTEST)
        self.names: dict[str, str] = {}

    async def prepare(self) -> None:
        treasury, miner = Purse("treasury"), Purse("miner")
        (block,) = await self.rpc("generatetoaddress", 1, treasury.address)
        await self.rpc("generatetoaddress", 100, miner.address)
        (coin,) = await self._backend.coins(treasury.script)
        unsigned, rival = (
            payment.build([coin], [Payee(miner.script, Sats(amount))], 2, treasury.script)
            for amount in (25_000, 26_000)
        )
        raw = treasury.sign(unsigned)
        self.names = {
            "raw": raw.hex(),
            # The end of the signature, before the lock time.
            "forged": (raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:]).hex(),
            "rival": treasury.sign(rival).hex(),
            "txid": unsigned.txid,
            "coin": coin.txid,
            "block": block,
            "treasury": treasury.address,
            "miner": miner.address,
        }

    async def ask(self, method: str, *params: Any) -> Any:
        """The result, or the code of the error."""
        try:
            return await self.rpc(method, *[self._fill(each) for each in params])
        except RpcFailure as failure:
            return {"code": failure.code}

    async def close(self) -> None:
        await self._backend.close()
        await self.rpc.close()

    def _fill(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._fill(each) for each in value]
        if isinstance(value, dict):
            return {key: self._fill(each) for key, each in value.items()}
        return value.format(**self.names) if isinstance(value, str) else value


@pytest.fixture
async def sides(service: RegtestService, tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    url, credentials, process = await start_bitcoind(tmp_path)
    ours, theirs = Side(service.url, CookieFile(service.cookie_path)), Side(url, credentials)
    await ours.prepare()
    await theirs.prepare()
    yield ours, theirs
    await theirs.rpc("stop")
    await process.wait()
    await ours.close()
    await theirs.close()


def differences(ours: Any, theirs: Any, path: str) -> list[str]:
    """Where `ours` has a field that `theirs` has not, or another type. Fields may be missing."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        extra = [f"{path}.{key} is ours only" for key in ours.keys() - theirs.keys() - PASSING]
        common = ours.keys() & theirs.keys()
        return extra + [line for key in common for line in differences(ours[key], theirs[key], f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list):
        return differences(ours[-1], theirs[-1], f"{path}[]") if ours and theirs else []
    kinds = [float if type(each) is int else type(each) for each in (ours, theirs)]
    return [] if kinds[0] is kinds[1] else [f"{path}: {ours!r} is not of the kind of {theirs!r}"]


async def test_clients_cannot_tell_the_service_from_bitcoind(sides: tuple[Side, Side]) -> None:
    ours, theirs = sides
    found = []
    for method, *params in CALLS:
        answers = [await side.ask(method, *params) for side in (ours, theirs)]
        found += differences(*answers, f"{method}({params})")
        if isinstance(answers[1], dict) and "code" in answers[1]:
            assert answers[0] == answers[1], (method, params)
    assert found == []


async def test_the_same_transactions_and_scripts_are_shown_alike(sides: tuple[Side, Side]) -> None:
    """A transaction in JSON does not depend on the chain it is in."""
    for side in sides:
        await side.ask("sendrawtransaction", "{raw}")
    shown = [await side.ask("getrawtransaction", "{txid}", True) for side in sides]
    outputs = [[each["scriptPubKey"] | {"desc": None} for each in one["vout"]] for one in shown]
    assert outputs[0] == outputs[1]
