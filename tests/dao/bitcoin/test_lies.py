"""A Bitcoin node that lies, breaks or is something else: always one BackendError, never a wrong coin."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.answers import MAX_HEIGHT
from overlay.dao.bitcoin.backend import BackendError, Rejected
from overlay.dao.bitcoin.bitcoind import MAX_WAITING_READ, BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import MAX_ANSWER_BYTES, Password
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.transaction import Txid, TxOutput, parse
from tests.dao.bitcoin.helpers import Purse, coin

TREASURY, FARMER = Purse("treasury"), Purse("farmer")
TXID = Txid("ab" * 32)
BLOCK = "cd" * 32
RAW = TREASURY.spend([coin(1, 10_000, TREASURY.script)], [TxOutput(Sats(9_000), FARMER.script)])
TREASURY_PAYMENT = parse(RAW).txid
UNSPENT = {
    "txid": TXID,
    "vout": 0,
    "scriptPubKey": TREASURY.script.hex(),
    "amount": msgspec.Raw(b"0.50000000"),
    "height": 7,
    "coinbase": False,
}
TXOUT = {
    "bestblock": BLOCK,
    "confirmations": 3,
    "value": msgspec.Raw(b"0.50000000"),
    "scriptPubKey": {"hex": TREASURY.script.hex()},
    "coinbase": False,
}


class Liar:
    """An HTTP server that answers each method with what it was told to."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {"getblockchaininfo": {"chain": "regtest"}}
        self.errors: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.respond: Callable[[dict[str, Any]], web.StreamResponse] = self._honestly

    def says(self, method: str, result: Any) -> None:
        self.results[method] = result

    def fails(self, method: str, code: int, text: str) -> None:
        self.errors[method] = (code, text)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        call = msgspec.json.decode(await request.read())
        self.asked.append(call["method"])
        return self.respond(call)

    def _honestly(self, call: dict[str, Any]) -> web.StreamResponse:
        answer: dict[str, Any] = {"id": call["id"], "result": self.results.get(call["method"]), "error": None}
        if call["method"] in self.errors:
            code, text = self.errors[call["method"]]
            answer |= {"result": None, "error": {"code": code, "message": text}}
        return web.Response(body=msgspec.json.encode(answer))


def plain_id(value: object) -> str:
    """The same in every worker: a Raw shows its address otherwise."""
    return re.sub(r" object at 0x[0-9a-f]+", "", str(value))


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
async def url(liar: Liar) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/", liar.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
async def backend(url: str) -> AsyncIterator[BitcoindBackend]:
    client = BitcoindBackend(url, Password("a", "b"), Network.REGTEST)
    yield client
    await client.close()


def scan(*unspents: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"success": True, "height": 10, "unspents": list(unspents)} | changes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"yes"',
        b"{",
        b"<html>Welcome</html>",
        b"\xff\xfe",
        b'{"id":1}',
        b'{"id":"1","result":5,"error":null}',
        b'{"id":77,"result":{"chain":"regtest"},"error":null}',
        b'{"id":1,"result":"\xff","error":null}',
        b'{"id":1,"result":5,"error":"yes"}',
        b'{"id":1,"result":' + b"[" * 100_000 + b"]" * 100_000 + b',"error":null}',
    ],
    ids=range(13),
)
async def test_what_is_no_answer_is_not_believed(liar: Liar, backend: BitcoindBackend, body: bytes) -> None:
    liar.respond = lambda _: web.Response(body=body)
    with pytest.raises(BackendError):
        await backend.network()


async def test_a_door_that_stays_shut_is_told(liar: Liar, backend: BitcoindBackend) -> None:
    liar.respond = lambda _: web.Response(status=401)
    with pytest.raises(BackendError, match="does not accept the user name and password"):
        await backend.network()


@pytest.mark.parametrize("status", [204, 301, 302, 307, 403, 405, 502, 503])
async def test_another_kind_of_server_is_not_followed(liar: Liar, backend: BitcoindBackend, status: int) -> None:
    liar.respond = lambda _: web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"})
    with pytest.raises(BackendError, match=f"HTTP status {status}"):
        await backend.network()


async def test_an_endless_answer_is_cut_off(liar: Liar, backend: BitcoindBackend) -> None:
    answer = b'{"id":1,"result":{"chain":"regtest","x":"%s"},"error":null}'
    room = MAX_ANSWER_BYTES - len(answer) + 2
    liar.respond = lambda _: web.Response(body=answer % (b"x" * room))
    assert await backend.network() is Network.REGTEST
    liar.respond = lambda _: web.Response(body=answer.replace(b":1,", b":2,") % (b"x" * (room + 1)))
    with pytest.raises(BackendError, match="more than"):
        await backend.network()


@pytest.mark.parametrize("chain", ["main", "test", "testnet4", "signet", "", "regtest2", "\x1b[2J"])
async def test_another_network_is_refused(liar: Liar, backend: BitcoindBackend, chain: str) -> None:
    liar.says("getblockchaininfo", {"chain": chain})
    with pytest.raises(BackendError, match="and this treasury is on regtest") as refusal:
        await backend.coins(TREASURY.script)
    assert str(refusal.value).isprintable()
    assert liar.asked == ["getblockchaininfo"]


async def test_the_network_is_asked_for_once(liar: Liar, backend: BitcoindBackend) -> None:
    liar.says("getblockcount", 7)
    assert [await backend.height() for _ in range(2)] == [7, 7]
    assert liar.asked == ["getblockchaininfo", "getblockcount", "getblockcount"]


@pytest.mark.parametrize("height", [-1, MAX_HEIGHT + 1, 10**30, 1.5, "7", None, True, []])
async def test_an_impossible_height_is_not_believed(liar: Liar, backend: BitcoindBackend, height: Any) -> None:
    liar.says("getblockcount", height)
    with pytest.raises(BackendError):
        await backend.height()


async def test_an_honest_scan_is_believed(liar: Liar, backend: BitcoindBackend) -> None:
    older = UNSPENT | {"height": 3, "vout": 1}
    liar.says("scantxoutset", scan(UNSPENT, older))
    coins = await backend.coins(TREASURY.script)
    assert [(each.amount, each.height, each.vout) for each in coins] == [(50_000_000, 3, 1), (50_000_000, 7, 0)]


@pytest.mark.parametrize(
    "lie",
    [
        {"txid": "ab"},
        {"txid": "AB" * 32},
        {"txid": 5},
        {"vout": -1},
        {"vout": 2**32},
        {"scriptPubKey": FARMER.script.hex()},
        {"scriptPubKey": "zz"},
        {"scriptPubKey": None},
        {"amount": msgspec.Raw(b"21000000.00000001")},
        {"amount": msgspec.Raw(b"-0.5")},
        {"amount": msgspec.Raw(b"0.000000001")},
        {"amount": msgspec.Raw(b"1e999999999")},
        {"amount": msgspec.Raw(b"1e-999999999")},
        {"amount": msgspec.Raw(b"1e99999999999999999999")},
        {"amount": "NaN"},
        {"amount": None},
        {"height": -1},
        {"height": 11},
        {"height": MAX_HEIGHT + 1},
        {"coinbase": "no"},
    ],
    ids=plain_id,
)
async def test_one_lie_about_a_coin_spoils_the_scan(liar: Liar, backend: BitcoindBackend, lie: dict[str, Any]) -> None:
    liar.says("scantxoutset", scan(UNSPENT | {"vout": 9}, UNSPENT | lie))
    with pytest.raises(BackendError):
        await backend.coins(TREASURY.script)


async def test_a_coin_told_twice_or_a_scan_broken_off_is_not_believed(liar: Liar, backend: BitcoindBackend) -> None:
    liar.says("scantxoutset", scan(UNSPENT, UNSPENT))
    with pytest.raises(BackendError, match="not the treasury's"):
        await backend.coins(TREASURY.script)
    liar.says("scantxoutset", scan(UNSPENT, success=False))
    with pytest.raises(BackendError, match="did not finish"):
        await backend.coins(TREASURY.script)
    liar.fails("scantxoutset", -8, 'Scan already in progress, use action "abort" or "status"')
    with pytest.raises(BackendError, match="busy"):
        await backend.coins(TREASURY.script)


@pytest.mark.parametrize(
    ("lie", "header"),
    [
        ({"confirmations": -1}, {}),
        ({"confirmations": MAX_HEIGHT + 1}, {}),
        ({"confirmations": 12}, {}),
        ({"value": msgspec.Raw(b"-1")}, {}),
        ({"scriptPubKey": {"hex": "0"}}, {}),
        ({"scriptPubKey": TREASURY.script.hex()}, {}),
        ({"bestblock": "cd"}, {}),
        ({}, {"height": -5}),
        ({}, {"height": "10"}),
    ],
    ids=plain_id,
)
async def test_a_lie_about_one_coin_is_found(
    liar: Liar, backend: BitcoindBackend, lie: dict[str, Any], header: dict[str, Any]
) -> None:
    liar.says("getblockheader", {"height": 10, "confirmations": 1})
    liar.says("gettxout", TXOUT)
    found = await backend.coin(TXID, 0)
    assert found is not None
    assert (found.amount, found.height) == (50_000_000, 8)
    liar.says("getblockheader", {"height": 10, "confirmations": 1} | header)
    liar.says("gettxout", TXOUT | lie)
    with pytest.raises(BackendError):
        await backend.coin(TXID, 0)


async def test_another_transaction_than_the_one_asked_for_is_not_believed(liar: Liar, backend: BitcoindBackend) -> None:
    for text in (RAW.hex(), "00", "zz"):
        liar.says("getrawtransaction", {"hex": text})
        with pytest.raises(BackendError):
            await backend.transaction(TXID)


async def test_a_transaction_in_a_block_left_behind_is_not_confirmed(liar: Liar, backend: BitcoindBackend) -> None:
    liar.says("getrawtransaction", {"hex": RAW.hex(), "blockhash": BLOCK})
    liar.says("getblockheader", {"height": 10, "confirmations": -1})
    found = await backend.transaction(TREASURY_PAYMENT)
    assert found is not None
    assert (found.confirmations, found.height) == (0, None)
    liar.says("getblockheader", {"height": 10, "confirmations": MAX_HEIGHT + 1})
    with pytest.raises(BackendError):
        await backend.transaction(TREASURY_PAYMENT)


async def test_a_broadcast_of_something_else_is_found_out(liar: Liar, backend: BitcoindBackend) -> None:
    liar.says("sendrawtransaction", TXID)
    with pytest.raises(BackendError, match="another transaction"):
        await backend.broadcast(RAW)
    liar.says("testmempoolaccept", [{"txid": TXID, "allowed": True}])
    with pytest.raises(BackendError, match="another transaction"):
        await backend.test_accept(RAW)
    liar.says("testmempoolaccept", [])
    with pytest.raises(BackendError, match="another transaction"):
        await backend.test_accept(RAW)


async def test_a_reason_is_shown_as_plain_text_only(liar: Liar, backend: BitcoindBackend) -> None:
    liar.fails("sendrawtransaction", -26, "\x1b[31mdust\u202e" + "x" * 1000)
    with pytest.raises(Rejected) as refusal:
        await backend.broadcast(RAW)
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(refusal.value.reason) == 200
    liar.says("testmempoolaccept", [{"txid": TREASURY_PAYMENT, "allowed": False}])
    with pytest.raises(Rejected, match="no reason given"):
        await backend.test_accept(RAW)


async def test_an_error_of_another_kind_is_the_nodes_trouble(liar: Liar, backend: BitcoindBackend) -> None:
    for code, text in ((-1, "odd"), (-32601, "Method not found"), (2**80, "x")):
        liar.fails("sendrawtransaction", code, text)
        with pytest.raises(BackendError):
            await backend.broadcast(RAW)
    liar.fails("getblockcount", -28, "Loading block index")
    with pytest.raises(BackendError, match="still starting"):
        await backend.height()


@pytest.mark.parametrize("feerate", ["0.10000001", "0", "-0.0001", "1e9", "NaN", "1e-999999999"])
async def test_an_impossible_fee_is_not_believed(liar: Liar, backend: BitcoindBackend, feerate: str) -> None:
    liar.says("estimatesmartfee", {"feerate": feerate, "blocks": 6})
    with pytest.raises(BackendError):
        await backend.fee_rate()


@pytest.mark.parametrize(
    ("feerate", "rate"), [("0.00001000", 1), ("0.00001001", 2), ("0.10000000", 10_000), ("0.00000100", 1)]
)
async def test_a_fee_is_rounded_up_to_whole_satoshis(
    liar: Liar, backend: BitcoindBackend, feerate: str, rate: int
) -> None:
    liar.says("estimatesmartfee", {"feerate": msgspec.Raw(feerate.encode()), "blocks": 6})
    assert await backend.fee_rate() == rate


async def test_no_estimate_is_made_up_where_fees_matter(liar: Liar, url: str) -> None:
    liar.says("getblockchaininfo", {"chain": "main"})
    liar.says("estimatesmartfee", {"errors": ["Insufficient data or no feerate found"], "blocks": 6})
    client = BitcoindBackend(url, Password("a", "b"), Network.MAINNET)
    with pytest.raises(BackendError, match="no estimate"):
        await client.fee_rate()
    await client.close()


@pytest.mark.parametrize(
    "listed",
    [["xy"], [TXID.upper()], [7], {"a": 1}, [TXID], None],
    ids=["no id", "upper case", "a number", "no list", "another transaction", "nothing"],
)
async def test_a_mempool_that_is_none_is_not_believed(liar: Liar, backend: BitcoindBackend, listed: Any) -> None:
    liar.says("getmempoolinfo", {"size": 1})
    liar.says("getrawmempool", listed)
    liar.says("getrawtransaction", {"hex": RAW.hex()})
    with pytest.raises(BackendError):
        await backend.waiting(FARMER.script)


async def test_what_waits_is_known_by_its_bytes_and_only_what_pays_the_script(
    liar: Liar, backend: BitcoindBackend
) -> None:
    liar.says("getmempoolinfo", {"size": 1})
    liar.says("getrawmempool", [TREASURY_PAYMENT])
    liar.says("getrawtransaction", {"hex": RAW.hex()})
    assert await backend.waiting(FARMER.script) == [parse(RAW)]
    assert await backend.waiting(TREASURY.script) == []
    liar.says("getrawtransaction", {"hex": RAW.hex(), "blockhash": BLOCK})
    assert await backend.waiting(FARMER.script) == []  # it was mined while we looked


@pytest.mark.parametrize("size", [MAX_WAITING_READ + 1, 10**9])
async def test_a_full_mempool_is_not_even_listed(liar: Liar, backend: BitcoindBackend, size: int) -> None:
    liar.says("getmempoolinfo", {"size": size})
    assert await backend.waiting(FARMER.script) is None
    assert "getrawmempool" not in liar.asked


async def test_a_mempool_that_grows_while_it_is_listed_is_left(liar: Liar, backend: BitcoindBackend) -> None:
    liar.says("getmempoolinfo", {"size": 0})
    liar.says("getrawmempool", [f"{number:064x}" for number in range(MAX_WAITING_READ + 1)])
    assert await backend.waiting(FARMER.script) is None
    assert "getrawtransaction" not in liar.asked
