"""The Esplora side of the service: the shapes of Blockstream's documentation, and the same facts as the JSON-RPC."""

import hashlib
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import aiohttp
import msgspec
import pytest

from overlay.dao.bitcoin import payment
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.headers import double_sha256, parse_header, root
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin, Payee
from overlay.dao.bitcoin.regtest import RegtestService, blocks
from overlay.dao.bitcoin.regtest.esplora import _is_near
from overlay.dao.bitcoin.regtest.esplora_table import CHAIN_PAGE
from overlay.dao.bitcoin.regtest.esplora_transactions import MAX_BROADCAST
from overlay.dao.bitcoin.regtest.history import HistoryIndex
from overlay.dao.bitcoin.transaction import parse
from tests.dao.bitcoin.helpers import Caller, Purse


class Visitor:
    """Asks without a password."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(self, path: str) -> tuple[int, str]:
        async with self._session.get(self._url + path) as response:
            return response.status, await response.text("latin-1")

    async def text(self, path: str) -> str:
        status, text = await self.ask(path)
        assert status == 200, text
        return text

    async def json(self, path: str) -> Any:
        return msgspec.json.decode(await self.text(path))

    async def post(self, body: str) -> tuple[int, str]:
        async with self._session.post(self._url + "/tx", data=body.encode()) as response:
            return response.status, await response.text()


@pytest.fixture
async def visitor(service: RegtestService) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession() as session:
        yield Visitor(session, service.esplora_url)


def paid(funded: Coin, treasury: Purse, farmer: Purse, amount: int = 25_000) -> bytes:
    return treasury.sign(payment.build([funded], [Payee(farmer.script, Sats(amount))], 2, treasury.script))


async def test_both_sides_tell_of_the_same_blocks(visitor: Visitor, rpc: Caller, funded: Coin) -> None:
    tip = await rpc("getbestblockhash")
    core = await rpc("getblock", tip)
    assert await visitor.text("/blocks/tip/hash") == tip
    assert await visitor.text("/blocks/tip/height") == str(core["height"])
    assert await visitor.text(f"/block-height/{core['height']}") == tip
    assert await visitor.text(f"/block/{tip}/header") == await rpc("getblockheader", tip, False)
    assert (await visitor.text(f"/block/{tip}/raw")).encode("latin-1").hex() == await rpc("getblock", tip, 0)
    assert await visitor.json(f"/block/{tip}/txids") == core["tx"]
    assert await visitor.text(f"/block/{tip}/txid/1") == core["tx"][1]
    assert [each["txid"] for each in await visitor.json(f"/block/{tip}/txs")] == core["tx"]
    shown = await visitor.json(f"/block/{tip}")
    names = {"id": "hash", "tx_count": "nTx", "timestamp": "time", "merkle_root": "merkleroot"}
    for name in ("id", "height", "version", "timestamp", "tx_count", "size", "weight", "merkle_root", "mediantime"):
        assert shown[name] == core[names.get(name, name)], name
    assert shown["previousblockhash"] == core["previousblockhash"]
    assert f"{shown['bits']:08x}" == core["bits"]
    assert await visitor.json(f"/block/{tip}/status") == {
        "in_best_chain": True,
        "height": core["height"],
        "next_best": None,
    }
    blocks = await visitor.json("/blocks")
    assert [each["height"] for each in blocks] == list(range(core["height"], core["height"] - 10, -1))
    assert blocks[0] == shown
    first = await visitor.json("/blocks/0")
    assert [each["id"] for each in first] == [Network.REGTEST.genesis]
    assert "previousblockhash" not in first[0]


async def test_a_payment_is_shown_waiting_and_mined(
    visitor: Visitor, rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    raw = paid(funded, treasury, farmer)
    transaction = parse(raw)
    assert await visitor.post(raw.hex() + "\n") == (200, transaction.txid)
    waiting = await visitor.json(f"/tx/{transaction.txid}")
    fee = funded.amount - sum(each.amount for each in transaction.outputs)
    assert (waiting["fee"], waiting["status"]) == (fee, {"confirmed": False})
    assert waiting["vin"][0]["prevout"]["value"] == funded.amount
    assert waiting["vin"][0]["prevout"]["scriptpubkey_address"] == treasury.address
    assert await visitor.json("/mempool/txids") == [transaction.txid]
    assert (await visitor.json("/mempool"))["total_fee"] == fee
    await rpc("generatetoaddress", 1, farmer.address)
    tip, height = await visitor.text("/blocks/tip/hash"), int(await visitor.text("/blocks/tip/height"))
    mined = await visitor.json(f"/tx/{transaction.txid}")
    place = {"confirmed": True, "block_height": height, "block_hash": tip, "block_time": mined["status"]["block_time"]}
    assert mined == waiting | {"status": place}
    assert await visitor.json(f"/tx/{transaction.txid}/status") == place
    assert await visitor.text(f"/tx/{transaction.txid}/hex") == raw.hex()
    assert (await visitor.text(f"/tx/{transaction.txid}/raw")).encode("latin-1") == raw
    output = mined["vout"][0]
    assert output["scriptpubkey_type"] == "v1_p2tr"
    assert output["scriptpubkey_asm"] == f"OP_PUSHNUM_1 OP_PUSHBYTES_32 {farmer.script[2:].hex()}"
    assert (mined["size"], mined["weight"]) == (len(raw), transaction.weight)
    coinbase = (await visitor.json(f"/block/{tip}/txs"))[0]
    assert (coinbase["vin"][0]["is_coinbase"], coinbase["vin"][0]["prevout"], coinbase["fee"]) == (True, None, 0)


async def test_who_spends_an_output_is_told(
    visitor: Visitor, rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    path = f"/tx/{funded.txid}/outspend/{funded.vout}"
    assert await visitor.json(path) == {"spent": False}
    raw = paid(funded, treasury, farmer)
    await visitor.post(raw.hex())
    told = await visitor.json(path)
    assert told == {"spent": True, "txid": parse(raw).txid, "vin": 0, "status": {"confirmed": False}}
    await rpc("generatetoaddress", 1, farmer.address)
    told = await visitor.json(path)
    assert (told["txid"], told["status"]["confirmed"]) == (parse(raw).txid, True)
    spendings = await visitor.json(f"/tx/{funded.txid}/outspends")
    assert spendings[funded.vout] == told
    assert spendings[1 - funded.vout] == {"spent": False}


async def test_a_script_has_coins_totals_and_a_history(
    visitor: Visitor, rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    raw = paid(funded, treasury, farmer)
    await visitor.post(raw.hex())
    change = parse(raw).outputs[1].amount
    digest = hashlib.sha256(treasury.script).hexdigest()
    for name in (f"/address/{treasury.address}", f"/scripthash/{digest}"):
        totals = await visitor.json(name)
        counts = {"tx_count": 1, "funded_txo_count": 1, "spent_txo_count": 0, "spent_txo_sum": 0}
        assert totals["chain_stats"] == counts | {"funded_txo_sum": funded.amount}
        assert totals["mempool_stats"] == {
            "tx_count": 1,
            "funded_txo_count": 1,
            "funded_txo_sum": change,
            "spent_txo_count": 1,
            "spent_txo_sum": funded.amount,
        }
        (coin,) = await visitor.json(name + "/utxo")
        assert coin == {"txid": parse(raw).txid, "vout": 1, "status": {"confirmed": False}, "value": change}
        assert [each["txid"] for each in await visitor.json(name + "/txs")] == [parse(raw).txid, funded.txid]
        assert [each["txid"] for each in await visitor.json(name + "/txs/mempool")] == [parse(raw).txid]
        assert [each["txid"] for each in await visitor.json(name + "/txs/chain")] == [funded.txid]
        assert await visitor.json(f"{name}/txs/chain/{funded.txid}") == []


async def test_a_long_history_comes_in_pages(visitor: Visitor, service: RegtestService, farmer: Purse) -> None:
    service.node.mine(farmer.script, 2 * CHAIN_PAGE + 3)
    seen: list[str] = []
    while page := await visitor.json(f"/address/{farmer.address}/txs/chain" + (f"/{seen[-1]}" if seen else "")):
        assert len(page) <= CHAIN_PAGE
        seen += [each["txid"] for each in page]
    heights = range(service.node.chain.height, service.node.chain.height - 2 * CHAIN_PAGE - 3, -1)
    blocks = [service.node.chain.block(service.node.chain.kernel.block_hash(height)) for height in heights]
    assert seen == [block.transactions[0].txid for block in blocks]


async def test_a_branch_leads_to_the_root_in_the_header(
    visitor: Visitor, rpc: Caller, treasury: Purse, service: RegtestService
) -> None:
    txids = [await rpc("sendtoaddress", treasury.address, "0.01") for _ in range(6)]
    assert (await visitor.ask(f"/tx/{txids[0]}/merkle-proof"))[0] == 404
    (tip,) = await rpc("generatetoaddress", 1, service.faucet_address)
    header = parse_header(bytes.fromhex(await visitor.text(f"/block/{tip}/header")), Network.REGTEST.easiest_target)
    for position, txid in enumerate(txids, 1):
        proof = await visitor.json(f"/tx/{txid}/merkle-proof")
        assert (proof["block_height"], proof["pos"]) == (102, position)
        branch = [bytes.fromhex(each)[::-1] for each in proof["merkle"]]
        assert root(bytes.fromhex(txid)[::-1], position, branch) == header.merkle_root


async def test_a_refusal_carries_bitcoinds_words(
    visitor: Visitor, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    raw = paid(funded, treasury, farmer)
    forged = bytearray(raw)
    forged[-10] ^= 1
    status, text = await visitor.post(forged.hex())
    assert status == 400
    assert text.startswith('sendrawtransaction RPC error: {"code":-26,"message":"mandatory-script-verify-flag-failed')
    assert (await visitor.post("zz"))[0] == 400
    assert (await visitor.post(""))[0] == 400
    assert (await visitor.post("00" * (MAX_BROADCAST // 2)))[0] == 400
    assert (await visitor.post("0" * (MAX_BROADCAST + 1)))[0] == 413
    assert await visitor.json("/mempool/txids") == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 404),
        ("/", 404),
        ("/nothing", 404),
        ("/blocks/tip", 400),
        ("/blocks/102", 404),
        ("/blocks/-1", 400),
        ("/block-height/102", 404),
        ("/block-height/١", 400),
        ("/block-height/99999999999", 400),
        ("/block/zz", 400),
        ("/block/" + "ab" * 32, 404),
        ("/block/" + "ab" * 32 + "/header", 404),
        (f"/block/{Network.REGTEST.genesis}/txid/1", 404),
        (f"/block/{Network.REGTEST.genesis}/txs/25", 404),
        ("/tx/zz", 400),
        ("/tx/" + "ab" * 32, 404),
        ("/tx/" + "ab" * 32 + "/hex", 404),
        ("/tx/" + "ab" * 32 + "/outspends", 404),
        ("/tx/" + "ab" * 32 + "/outspend/4294967296", 404),
        ("/address/nowhere", 400),
        ("/address/bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", 400),
        ("/scripthash/ab", 400),
        ("/scripthash/" + "ab" * 32 + "/txs/chain/zz", 400),
    ],
)
async def test_a_senseless_question_is_refused(visitor: Visitor, path: str, status: int) -> None:
    assert (await visitor.ask(path))[0] == status


async def test_a_transaction_unknown_to_it_is_told_to_be_unconfirmed(visitor: Visitor) -> None:
    assert await visitor.json("/tx/" + "ab" * 32 + "/status") == {"confirmed": False}


@pytest.mark.parametrize(("remote", "near"), [("127.0.0.1", True), ("::1", True), ("192.0.2.7", False), (None, False)])
def test_only_this_machine_is_answered(remote: str | None, near: bool) -> None:
    assert _is_near(remote) is near


async def test_a_reorganisation_rewrites_history(service: RegtestService, farmer: Purse) -> None:
    chain = service.node.chain
    before = vars(chain.history)
    again = HistoryIndex()
    for height in range(chain.height + 1):
        block = chain.block(chain.kernel.block_hash(height))
        spent = chain.kernel.spent_by(block.block_hash) if height else []
        again.connect(height, block, spent)
    assert vars(again) == before
    snapshot = deepcopy(before)
    service.node.give(farmer.script, Sats(1_000_000))
    (mined,) = service.node.mine(farmer.script, 1)
    assert vars(chain.history) != snapshot
    chain.history.disconnect(chain.block(mined), chain.kernel.spent_by(mined))
    assert vars(chain.history) == snapshot


async def test_a_block_beside_the_best_chain_is_known_as_such(
    visitor: Visitor, service: RegtestService, farmer: Purse
) -> None:
    chain = service.node.chain
    later = chain.index.median_time(chain.height) + 1
    raw = blocks.assemble(chain.kernel.block_hash(100), 101, later, farmer.script, [], 0)
    chain.submit(raw, service.node.time)
    block = blocks.parse_block(raw)
    assert await visitor.json(f"/block/{block.block_hash}/status") == {"in_best_chain": False}
    assert await visitor.text(f"/block/{block.block_hash}/header") == raw[:80].hex()
    assert await visitor.json(f"/block/{block.block_hash}/txids") == [block.transactions[0].txid]
    assert (await visitor.ask(f"/block/{block.block_hash}/txs"))[0] == 404
    assert (await visitor.ask(f"/tx/{block.transactions[0].txid}"))[0] == 404


def test_hashing_twice_is_what_bitcoin_does() -> None:
    assert double_sha256(b"hello").hex() == "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"
