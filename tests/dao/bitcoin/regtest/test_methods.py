"""The methods tell the same story as the chain."""

import pytest

from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.jsonrpc import RpcFailure
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.regtest import RegtestService, blocks
from overlay.dao.bitcoin.transaction import TxOutput, parse, serialize
from tests.dao.bitcoin.helpers import Caller, Purse


async def test_a_chain_can_be_walked_both_ways(rpc: Caller) -> None:
    info = await rpc("getblockchaininfo")
    assert (info["chain"], info["blocks"], info["initialblockdownload"]) == ("regtest", 101, False)
    header = await rpc("getblockheader", info["bestblockhash"])
    assert info["chainwork"] == header["chainwork"]
    for height in range(101, 0, -1):
        assert header["height"] == height
        assert header["confirmations"] == 102 - height
        assert ("nextblockhash" in header) == (height < 101)
        previous = await rpc("getblockheader", header["previousblockhash"])
        assert previous["nextblockhash"] == header["hash"] == await rpc("getblockhash", height)
        header = previous
    assert "previousblockhash" not in header


async def test_a_block_is_the_same_in_all_its_forms(rpc: Caller, funded: Coin) -> None:
    tip = await rpc("getbestblockhash")
    raw = await rpc("getblock", tip, 0)
    assert raw == await rpc("getblock", tip, False)
    assert raw[:160] == await rpc("getblockheader", tip, False)
    block = blocks.parse_block(bytes.fromhex(raw))
    ids, whole = await rpc("getblock", tip), await rpc("getblock", tip, 2)
    assert ids["tx"] == [each.txid for each in block.transactions] == [each["txid"] for each in whole["tx"]]
    assert [parse(bytes.fromhex(each["hex"])) for each in whole["tx"]] == list(block.transactions)
    assert ids["size"] * 2 == len(raw)
    assert ids["weight"] == ids["strippedsize"] * 3 + ids["size"]


async def test_a_payment_is_shown_waiting_and_mined(rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse) -> None:
    raw = treasury.spend([funded], [TxOutput(Sats(funded.amount - 1_000), farmer.script)])
    (answer,) = await rpc("testmempoolaccept", [raw.hex()])
    assert (answer["allowed"], answer["vsize"]) == (True, 111)
    txid = await rpc("sendrawtransaction", raw.hex())
    assert txid == await rpc("sendrawtransaction", raw.hex())
    (answer,) = await rpc("testmempoolaccept", [raw.hex()])
    assert answer["reject-reason"] == "txn-already-in-mempool"
    entry = await rpc("getmempoolentry", txid)
    assert (entry["vsize"], entry["ancestorcount"], entry["depends"]) == (111, 1, [])
    assert await rpc("getrawmempool", True) == {txid: entry}
    info = await rpc("getmempoolinfo")
    assert (info["size"], info["bytes"]) == (1, 111)
    assert await rpc("getrawtransaction", txid) == raw.hex()
    shown = await rpc("getrawtransaction", txid, True)
    assert "blockhash" not in shown
    assert shown["vout"][0]["scriptPubKey"]["address"] == farmer.address
    assert (await rpc("gettxout", txid, 0))["confirmations"] == 0
    assert await rpc("gettxout", txid, 0, False) is None
    assert await rpc("gettxout", funded.txid, funded.vout) is None
    assert (await rpc("gettxout", funded.txid, funded.vout, False))["confirmations"] == 1
    (block,) = await rpc("generatetoaddress", 1, farmer.address)
    for name in (block, block.upper()):
        shown = await rpc("getrawtransaction", txid, True, name)
        assert (shown["hex"], shown["blockhash"], shown["confirmations"]) == (raw.hex(), block, 1)
        assert shown["in_active_chain"] is True
    assert (await rpc("gettxout", txid, 0))["confirmations"] == 1
    with pytest.raises(RpcFailure) as refusal:
        await rpc("sendrawtransaction", raw.hex())
    assert refusal.value.code == -27
    for call in (
        ("getmempoolentry", txid),
        ("getrawtransaction", "ab" * 32),
        ("getrawtransaction", txid, 1, "ab" * 32),
    ):
        with pytest.raises(RpcFailure) as refusal:
            await rpc(*call)
        assert refusal.value.code == -5


async def test_a_scan_finds_coins_by_script_and_by_address(
    rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    by_script = await rpc("scantxoutset", "start", [{"desc": f"raw({treasury.script.hex()})"}])
    by_address = await rpc("scantxoutset", "start", [f"addr({treasury.address})"])
    assert by_script == by_address
    (unspent,) = by_script["unspents"]
    assert (unspent["txid"], unspent["vout"], unspent["height"]) == (funded.txid, funded.vout, funded.height)
    assert unspent["blockhash"] == await rpc("getblockhash", funded.height)
    assert (await rpc("scantxoutset", "start", [f"addr({farmer.address})"]))["unspents"] == []
    everything = await rpc("scantxoutset", "start", ["raw(6a)"])
    # 102 coinbases, the faucet's payment and its change; one of the coinbases is spent, and no commitment is a coin.
    assert (everything["txouts"], everything["unspents"]) == (103, [])
    assert await rpc("scantxoutset", "status") is None
    assert await rpc("scantxoutset", "abort") is False


async def test_a_careless_fee_is_refused_unless_asked_for(
    rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    # 111 virtual bytes at 0.10 bitcoin per thousand: 1,110,000 sat.
    most = 1_110_000
    careless = treasury.spend([funded], [TxOutput(Sats(funded.amount - most - 1), farmer.script)]).hex()
    (answer,) = await rpc("testmempoolaccept", [careless])
    assert answer["reject-reason"] == "max-fee-exceeded"
    with pytest.raises(RpcFailure, match="Fee exceeds maximum") as refusal:
        await rpc("sendrawtransaction", careless)
    assert refusal.value.code == -25
    assert await rpc("getrawmempool") == []
    (answer,) = await rpc("testmempoolaccept", [careless], 0)
    assert answer["allowed"] is True
    assert await rpc("sendrawtransaction", careless, "0.2")


async def test_refusals_have_bitcoinds_codes(rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse) -> None:
    unsigned = treasury.spend([funded], [TxOutput(funded.amount, farmer.script)]).hex()
    unknown = treasury.spend([Coin(parse(bytes.fromhex(unsigned)).txid, 5, *one(funded))], []).hex()
    for raw, code, reason in ((unsigned, -26, "min relay fee not met, 0 < 111"), (unknown, -26, "bad-txns-vout-empty")):
        with pytest.raises(RpcFailure) as refusal:
            await rpc("sendrawtransaction", raw)
        assert (refusal.value.code, refusal.value.text) == (code, reason)
    nowhere = treasury.spend(
        [Coin(parse(bytes.fromhex(unsigned)).txid, 5, *one(funded))], [TxOutput(Sats(1_000), farmer.script)]
    ).hex()
    with pytest.raises(RpcFailure) as refusal:
        await rpc("sendrawtransaction", nowhere)
    assert (refusal.value.code, refusal.value.text) == (-25, "bad-txns-inputs-missingorspent")
    (answer,) = await rpc("testmempoolaccept", [nowhere])
    assert answer["reject-reason"] == "missing-inputs"


def one(coin: Coin) -> tuple[Sats, bytes, int]:
    return coin.amount, coin.script_pubkey, coin.height


async def test_a_block_from_elsewhere_is_judged(rpc: Caller, service: RegtestService, farmer: Purse) -> None:
    tip, height = await rpc("getbestblockhash"), await rpc("getblockcount")
    time = (await rpc("getblockheader", tip))["time"] + 1
    good = blocks.assemble(tip, height + 1, time, farmer.script, [], 0)
    rival = blocks.assemble(tip, height + 1, time + 1, farmer.script, [], 0)
    greedy = blocks.assemble(tip, height + 1, time, farmer.script, [], 1)
    assert await rpc("submitblock", greedy.hex()) == "bad-cb-amount"
    assert await rpc("submitblock", good.hex()) is None
    assert await rpc("submitblock", good.hex()) == "duplicate"
    assert await rpc("submitblock", rival.hex()) == "inconclusive"
    assert await rpc("getblockcount") == height + 1
    side = blocks.parse_block(rival)
    assert (await rpc("getblockheader", side.block_hash))["confirmations"] == -1
    coinbase = side.transactions[0]
    found = await rpc("getrawtransaction", coinbase.txid, True, side.block_hash)
    assert (found["hex"], found["in_active_chain"]) == (serialize(coinbase).hex(), False)


async def test_the_service_says_what_it_speaks_like(rpc: Caller) -> None:
    info = await rpc("getnetworkinfo")
    assert info["version"] >= 250000
    assert info["connections"] == 0
    assert await rpc("estimatesmartfee", 6) == {"errors": ["Insufficient data or no feerate found"], "blocks": 6}
