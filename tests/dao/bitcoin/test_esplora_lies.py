"""An Esplora server that lies, breaks or is something else: always one BackendError, never a wrong coin."""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from overlay.dao.bitcoin import esplora, headers
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.answers import MAX_HEIGHT
from overlay.dao.bitcoin.backend import BackendError, Rejected
from overlay.dao.bitcoin.esplora import EsploraBackend
from overlay.dao.bitcoin.esplora_reader import MAX_LISTED, MAX_PAGE
from overlay.dao.bitcoin.jsonrpc import MAX_ANSWER_BYTES
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest import blocks
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput, parse, serialize
from tests.dao.bitcoin.helpers import Purse, coin

TREASURY, FARMER = Purse("treasury"), Purse("farmer")
AMOUNT = Sats(50_000_000)
HEIGHT, TIP = 7, 10
# A transaction that pays the treasury, and the block that holds it.
FUNDING = Transaction((TxInput(Txid("ab" * 32), 1, b"\x51"),), (TxOutput(AMOUNT, TREASURY.script),))
TXID = FUNDING.txid
BLOCK = blocks.assemble(Network.REGTEST.genesis, HEIGHT, 1_700_000_000, FARMER.script, [FUNDING], 0)
PARSED = blocks.parse_block(BLOCK)
COINBASE = PARSED.transactions[0]
PLACE = {"confirmed": True, "block_height": HEIGHT, "block_hash": PARSED.block_hash}
BRANCH = {"block_height": HEIGHT, "merkle": [COINBASE.txid], "pos": 1}
UNSPENT = {"txid": TXID, "vout": 0, "value": AMOUNT, "status": PLACE}
SCRIPT = f"/scripthash/{hashlib.sha256(TREASURY.script).hexdigest()}"
FUNDED = coin(1, AMOUNT, TREASURY.script)
RAW = TREASURY.spend(
    [msgspec.structs.replace(FUNDED, txid=TXID)], [TxOutput(Sats(AMOUNT - 1_000), FARMER.script)], locktime=0
)
PAYMENT = parse(RAW).txid


class Liar:
    """An Esplora server that has at each path what it was told to."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {
            "/block-height/0": Network.REGTEST.genesis,
            "/blocks/tip/height": str(TIP),
            "/blocks/tip/hash": PARSED.block_hash,
            f"/block/{PARSED.block_hash}": {"mediantime": 1_700_000_000},
            f"/block/{PARSED.block_hash}/header": BLOCK[:80].hex(),
            f"{SCRIPT}/utxo": [UNSPENT],
            f"{SCRIPT}/txs/mempool": [],
            f"/tx/{TXID}/hex": serialize(FUNDING).hex(),
            f"/tx/{TXID}/status": PLACE,
            f"/tx/{TXID}/merkle-proof": BRANCH,
            f"/tx/{TXID}/outspend/0": {"spent": False},
            "/fee-estimates": {"6": 2.5},
        }
        self.asked: list[str] = []
        self.respond: Callable[[str], web.StreamResponse] = self._honestly
        self.posted: tuple[int, bytes] = (200, PAYMENT.encode())

    def says(self, path: str, content: Any) -> None:
        self.pages[path] = content

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=self.posted[0], body=self.posted[1])
        path = request.path.removeprefix("/api")
        self.asked.append(path)
        return self.respond(path)

    def _honestly(self, path: str) -> web.StreamResponse:
        content = self.pages.get(path)
        if content is None:
            return web.Response(status=404, text="nothing is known of it")
        return web.Response(body=content.encode() if isinstance(content, str) else msgspec.json.encode(content))


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
async def url(liar: Liar) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/api/{rest:.*}", liar.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()


@pytest.fixture
async def backend(url: str) -> AsyncIterator[EsploraBackend]:
    client = EsploraBackend(url, Network.REGTEST)
    yield client
    await client.close()


async def test_an_honest_server_is_believed(liar: Liar, backend: EsploraBackend) -> None:
    (found,) = await backend.coins(TREASURY.script)
    assert (found.txid, found.vout, found.amount, found.height) == (TXID, 0, AMOUNT, HEIGHT)
    assert await backend.coin(TXID, 0) == found
    status = await backend.transaction(TXID)
    assert status is not None
    assert (status.raw, status.confirmations, status.height) == (serialize(FUNDING), TIP - HEIGHT + 1, HEIGHT)
    assert await backend.broadcast(RAW) == PAYMENT
    await backend.test_accept(RAW)
    assert await backend.fee_rate() == 3


async def test_what_is_shown_once_is_not_asked_for_again(liar: Liar, backend: EsploraBackend) -> None:
    await backend.coins(TREASURY.script)
    liar.asked.clear()
    await backend.coins(TREASURY.script)
    assert liar.asked == [f"{SCRIPT}/utxo", f"{SCRIPT}/txs/mempool", f"/tx/{TXID}/status", "/blocks/tip/height"]


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'"yes"', b"[", b"<html>Welcome</html>", b"\xff\xfe", b"5"])
async def test_what_is_no_answer_is_not_believed(liar: Liar, backend: EsploraBackend, body: bytes) -> None:
    await backend.network()
    liar.respond = lambda _: web.Response(body=body)
    for attempt in (backend.coins(TREASURY.script), backend.coin(TXID, 0), backend.transaction(TXID)):
        with pytest.raises(BackendError):
            await attempt


@pytest.mark.parametrize("status", [204, 301, 302, 307, 401, 403, 500, 502, 503])
async def test_another_kind_of_server_is_not_followed(liar: Liar, backend: EsploraBackend, status: int) -> None:
    liar.respond = lambda _: web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"})
    with pytest.raises(BackendError, match=f"HTTP status {status}"):
        await backend.network()
    liar.respond = lambda _: web.Response(status=429)
    with pytest.raises(BackendError, match="too often"):
        await backend.network()
    liar.respond = lambda _: web.Response(status=404)
    with pytest.raises(BackendError, match="does not speak Esplora"):
        await backend.network()


async def test_an_endless_answer_is_cut_off(liar: Liar, backend: EsploraBackend) -> None:
    await backend.network()
    liar.respond = lambda _: web.Response(body=b" " * (MAX_ANSWER_BYTES - 1) + b"7")
    assert await backend.height() == 7
    liar.respond = lambda _: web.Response(body=b" " * MAX_ANSWER_BYTES + b"7")
    with pytest.raises(BackendError, match="more than"):
        await backend.height()


@pytest.mark.parametrize("genesis", [Network.MAINNET.genesis, "00" * 32])
async def test_another_network_is_refused(liar: Liar, backend: EsploraBackend, genesis: str) -> None:
    liar.says("/block-height/0", genesis)
    with pytest.raises(BackendError, match="and this treasury is on regtest"):
        await backend.coins(TREASURY.script)
    assert liar.asked == ["/block-height/0"]


@pytest.mark.parametrize("height", ["-1", str(MAX_HEIGHT + 1), "9" * 5_000, "1.5", "\u0661", "seven", ""])
async def test_an_impossible_height_is_not_believed(liar: Liar, backend: EsploraBackend, height: str) -> None:
    liar.says("/blocks/tip/height", height)
    with pytest.raises(BackendError):
        await backend.height()


@pytest.mark.parametrize(
    "lie",
    [
        {"txid": "ab"},
        {"txid": TXID.upper()},
        {"txid": "cd" * 32},
        {"txid": 5},
        {"vout": 1},
        {"vout": -1},
        {"vout": 2**80},
        {"value": AMOUNT + 1},
        {"value": AMOUNT - 1},
        {"value": -1},
        {"value": 0.5},
        {"value": str(AMOUNT)},
        {"status": None},
        {"status": {"confirmed": "yes"}},
    ],
    ids=str,
)
async def test_one_lie_about_a_coin_spoils_the_list(liar: Liar, backend: EsploraBackend, lie: dict[str, Any]) -> None:
    liar.says(f"{SCRIPT}/utxo", [UNSPENT, UNSPENT | lie])
    with pytest.raises(BackendError):
        await backend.coins(TREASURY.script)


async def test_coins_of_somebody_else_are_not_ours(liar: Liar, backend: EsploraBackend) -> None:
    liar.says(f"/scripthash/{hashlib.sha256(FARMER.script).hexdigest()}/utxo", [UNSPENT])
    with pytest.raises(BackendError, match="not the treasury's"):
        await backend.coins(FARMER.script)


def waiting(**lie: Any) -> dict[str, Any]:
    """What is told of a transaction that waits and spends the treasury's coin."""
    spender = {"txid": TXID, "vout": 0, "prevout": {"scriptpubkey": TREASURY.script.hex()}}
    return {"txid": PAYMENT, "vin": [spender | lie]}


async def test_a_coin_that_a_waiting_payment_spends_is_found_again(liar: Liar, backend: EsploraBackend) -> None:
    liar.says(f"{SCRIPT}/utxo", [])
    liar.says(f"{SCRIPT}/txs/mempool", [waiting(), waiting(prevout=None), waiting(vout=1), waiting(vout=-1)])
    (found,) = await backend.coins(TREASURY.script)
    assert (found.txid, found.vout, found.amount) == (TXID, 0, AMOUNT)
    liar.says(f"{SCRIPT}/txs/mempool", [{"txid": PAYMENT, "vin": waiting()["vin"] * (MAX_LISTED + 1)}])
    with pytest.raises(BackendError, match=f"more than {MAX_LISTED}"):
        await backend.coins(TREASURY.script)
    for lie in ({"txid": "zz"}, {"txid": None}, {"vout": "0"}, {"prevout": []}):
        liar.says(f"{SCRIPT}/txs/mempool", [waiting(**lie)])
        with pytest.raises(BackendError):
            await backend.coins(TREASURY.script)


async def test_somebody_elses_coin_is_not_ours_because_it_is_said_to_be_spent(
    liar: Liar, backend: EsploraBackend
) -> None:
    theirs = Transaction((TxInput(Txid("ab" * 32), 2, b"\x51"),), (TxOutput(AMOUNT, FARMER.script),))
    liar.says(f"/tx/{theirs.txid}/hex", serialize(theirs).hex())
    liar.says(f"{SCRIPT}/txs/mempool", [waiting(txid=theirs.txid)])
    assert [each.txid for each in await backend.coins(TREASURY.script)] == [TXID]


async def test_a_transaction_that_could_be_part_of_a_merkle_tree_is_not_believed(
    liar: Liar, backend: EsploraBackend
) -> None:
    """At 64 bytes it could be two hashes of a tree that somebody has mined on purpose."""
    small = Transaction((TxInput(Txid("ab" * 32), 0),), (TxOutput(AMOUNT, b"\x51" * 4),))
    assert len(serialize(small)) == 64
    liar.says(f"/tx/{small.txid}/hex", serialize(small).hex())
    with pytest.raises(BackendError, match="forgery"):
        await backend.transaction(small.txid)


async def test_a_password_in_the_address_is_not_told(url: str, liar: Liar) -> None:
    client = EsploraBackend(url.replace("http://", "http://baker:flour@"), Network.REGTEST)
    assert await client.height() == TIP
    liar.respond = lambda _: web.Response(status=503)
    with pytest.raises(BackendError) as error:
        await client.height()
    assert "flour" not in str(error.value)
    await client.close()


async def test_a_list_has_a_greatest_length(liar: Liar, backend: EsploraBackend) -> None:
    liar.says(f"{SCRIPT}/utxo", [UNSPENT] * MAX_LISTED)
    assert len(await backend.coins(TREASURY.script)) == 1
    liar.says(f"{SCRIPT}/utxo", [UNSPENT] * (MAX_LISTED + 1))
    with pytest.raises(BackendError, match=f"more than {MAX_LISTED}"):
        await backend.coins(TREASURY.script)


@pytest.mark.parametrize("text", [RAW.hex(), "00", "zz", "", serialize(FUNDING).hex() + "00"])
async def test_bytes_of_another_transaction_are_not_believed(liar: Liar, backend: EsploraBackend, text: str) -> None:
    liar.says(f"/tx/{TXID}/hex", text)
    for attempt in (backend.coins(TREASURY.script), backend.coin(TXID, 0), backend.transaction(TXID)):
        with pytest.raises(BackendError):
            await attempt


@pytest.mark.parametrize(
    "lie",
    [
        {"block_hash": "cd" * 32},
        {"block_hash": "cd"},
        {"block_hash": None},
        {"block_height": None},
        {"block_height": -1},
        {"block_height": MAX_HEIGHT + 1},
        {"block_height": HEIGHT + 1},
        {"block_height": TIP + 1},
    ],
    ids=str,
)
async def test_a_confirmation_that_is_not_shown_is_not_believed(
    liar: Liar, backend: EsploraBackend, lie: dict[str, Any]
) -> None:
    liar.says(f"/tx/{TXID}/status", PLACE | lie)
    for attempt in (backend.coins(TREASURY.script), backend.coin(TXID, 0), backend.transaction(TXID)):
        with pytest.raises(BackendError):
            await attempt


@pytest.mark.parametrize(
    "lie",
    [
        {"pos": 0},
        {"pos": 3},
        {"pos": -1},
        {"merkle": []},
        {"merkle": [TXID]},
        {"merkle": [COINBASE.txid] * 2},
        {"merkle": [COINBASE.txid[2:]]},
        {"merkle": ["zz"]},
        {"merkle": [COINBASE.txid] * (headers.MAX_BRANCH + 1)},
        {"block_height": HEIGHT - 1},
    ],
    ids=str,
)
async def test_a_branch_that_does_not_lead_to_the_block_is_not_believed(
    liar: Liar, backend: EsploraBackend, lie: dict[str, Any]
) -> None:
    liar.says(f"/tx/{TXID}/merkle-proof", BRANCH | lie)
    with pytest.raises(BackendError):
        await backend.coins(TREASURY.script)


async def test_the_header_of_another_block_is_not_believed(liar: Liar, backend: EsploraBackend) -> None:
    liar.says(f"/tx/{TXID}/status", PLACE | {"block_hash": "cd" * 32})
    liar.says(f"/block/{'cd' * 32}/header", BLOCK[:80].hex())
    with pytest.raises(BackendError, match="another block"):
        await backend.coins(TREASURY.script)


async def test_a_history_has_pages_and_a_greatest_size(
    liar: Liar, backend: EsploraBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar.says(f"{SCRIPT}/txs/chain", [{"txid": TXID}] * MAX_PAGE)
    liar.says(f"{SCRIPT}/txs/chain/{TXID}", [{"txid": TXID}])
    # A server that tells the same page again and again is asked only so often.
    assert len(await backend.history(TREASURY.script)) == MAX_PAGE + esplora.MAX_PAGES - 1
    monkeypatch.setattr(esplora, "MAX_HISTORY_BYTES", len(serialize(FUNDING)) * MAX_PAGE)
    with pytest.raises(BackendError, match="the history of the script has more"):
        await backend.history(TREASURY.script)
    liar.says(f"{SCRIPT}/txs/chain/{TXID}", [])
    assert len(await backend.history(TREASURY.script)) == MAX_PAGE
    liar.says(f"{SCRIPT}/txs/chain", [{"txid": TXID}] * (MAX_PAGE + 1))
    with pytest.raises(BackendError, match="longer than a page"):
        await backend.history(TREASURY.script)


async def test_a_tip_below_a_coin_is_not_believed(liar: Liar, backend: EsploraBackend) -> None:
    liar.says("/blocks/tip/height", str(HEIGHT - 1))
    for attempt in (backend.coins(TREASURY.script), backend.coin(TXID, 0), backend.transaction(TXID)):
        with pytest.raises(BackendError):
            await attempt


async def test_a_block_that_took_no_work_confirms_nothing(liar: Liar, url: str) -> None:
    """On mainnet a block as easy as those of regtest is a forgery, whatever it holds."""
    liar.says("/block-height/0", Network.MAINNET.genesis)
    client = EsploraBackend(url, Network.MAINNET)
    with pytest.raises(BackendError, match="forged block"):
        await client.coins(TREASURY.script)
    await client.close()


async def test_new_coins_are_known_by_their_bytes(liar: Liar, backend: EsploraBackend) -> None:
    liar.says(f"/tx/{COINBASE.txid}/hex", serialize(COINBASE).hex())
    liar.says(f"/tx/{COINBASE.txid}/status", PLACE)
    liar.says(f"/tx/{COINBASE.txid}/merkle-proof", {"block_height": HEIGHT, "merkle": [TXID], "pos": 0})
    liar.says(f"/tx/{COINBASE.txid}/outspend/0", {"spent": False})
    assert await backend.coin(COINBASE.txid, 0) is None
    liar.says("/blocks/tip/height", str(HEIGHT + 98))
    assert await backend.coin(COINBASE.txid, 0) is None
    liar.says("/blocks/tip/height", str(HEIGHT + 99))
    assert await backend.coin(COINBASE.txid, 0) is not None


async def test_an_output_that_is_not_there_is_no_coin(liar: Liar, backend: EsploraBackend) -> None:
    assert await backend.coin(Txid("cd" * 32), 0) is None
    assert await backend.coin(TXID, 1) is None
    liar.says(f"/tx/{TXID}/outspend/0", {"spent": True})
    assert await backend.coin(TXID, 0) is None
    del liar.pages[f"/tx/{TXID}/outspend/0"]
    with pytest.raises(BackendError, match="does not know an output"):
        await backend.coin(TXID, 0)


async def test_a_broadcast_of_something_else_is_found_out(liar: Liar, backend: EsploraBackend) -> None:
    liar.posted = (200, TXID.encode())
    with pytest.raises(BackendError, match="another transaction"):
        await backend.broadcast(RAW)


async def test_a_refusal_is_told_in_plain_text(liar: Liar, backend: EsploraBackend) -> None:
    told = msgspec.json.encode({"code": -26, "message": "\x1b[31mdust\u202e" + "x" * 1_000})
    liar.posted = (400, b"sendrawtransaction RPC error: " + told)
    with pytest.raises(Rejected, match="dust") as refusal:
        await backend.broadcast(RAW)
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(refusal.value.reason) == 200


async def test_what_is_known_already_is_no_refusal(liar: Liar, backend: EsploraBackend) -> None:
    liar.posted = (400, b'sendrawtransaction RPC error: {"code":-27,"message":"Transaction already in block chain"}')
    assert await backend.broadcast(RAW) == PAYMENT


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"busy", b"{", b'{"code":"x"}', b'{"code":-1,"message":"odd"}', b"{" * 100_000]
)
async def test_a_refusal_without_a_reason_is_the_servers_trouble(
    liar: Liar, backend: EsploraBackend, text: bytes
) -> None:
    for status in (400, 404):
        liar.posted = (status, text)
        with pytest.raises(BackendError, match="does not send"):
            await backend.broadcast(RAW)


@pytest.mark.parametrize(
    "rates", [{"6": 0}, {"6": -1}, {"6": 10_001}, {"6": "NaN"}, {"6": 1e300}, {"6": None}, [], {"5": 1, "6": 0}]
)
async def test_an_impossible_fee_is_not_believed(liar: Liar, backend: EsploraBackend, rates: Any) -> None:
    liar.says("/fee-estimates", rates)
    with pytest.raises(BackendError):
        await backend.fee_rate()


@pytest.mark.parametrize(
    ("rates", "rate"),
    [({"6": 1}, 1), ({"6": 1.001}, 2), ({"6": 0.1}, 1), ({"2": 9, "5": 4, "25": 1}, 4), ({"6": 10_000}, 10_000)],
)
async def test_a_fee_is_for_an_hour_and_in_whole_satoshis(
    liar: Liar, backend: EsploraBackend, rates: Any, rate: int
) -> None:
    liar.says("/fee-estimates", rates)
    assert await backend.fee_rate() == rate


async def test_no_estimate_is_made_up_where_fees_matter(liar: Liar, url: str) -> None:
    liar.says("/block-height/0", Network.MAINNET.genesis)
    liar.says("/fee-estimates", {})
    client = EsploraBackend(url, Network.MAINNET)
    with pytest.raises(BackendError, match="no estimate"):
        await client.fee_rate()
    await client.close()
