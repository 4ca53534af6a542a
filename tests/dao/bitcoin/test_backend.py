"""Both chain backends end to end: against the regtest service, and against a real bitcoind where there is one.

Set BITCOIND_EXE to the path of a bitcoind (25 or later) to have it tested as well.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.bitcoin import payment, replacement
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.backend import ChainBackend, Rejected
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.esplora import EsploraBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin, Payee
from overlay.dao.bitcoin.regtest import RegtestService
from overlay.dao.bitcoin.transaction import InvalidTransaction, Txid, TxOutput, parse, serialize
from tests.dao.bitcoin.helpers import BITCOIND, Caller, Purse, start_bitcoind


class Chain:
    """A node, a client of it that is under test, and one that mines."""

    def __init__(self, rpc: Caller, backend: ChainBackend, miner: Purse) -> None:
        self.rpc, self.backend, self._miner = rpc, backend, miner

    async def mine(self, count: int = 1, purse: Purse | None = None) -> None:
        await self.rpc("generatetoaddress", count, (purse or self._miner).address)


@pytest.fixture(params=["JSON-RPC of the service", "Esplora of the service", "bitcoind"])
async def chain(request: pytest.FixtureRequest, tmp_path: Path, service: RegtestService) -> AsyncIterator[Chain]:
    backend: ChainBackend
    if request.param == "bitcoind":
        if not BITCOIND:
            pytest.skip("BITCOIND_EXE does not name a bitcoind to test against")
        url, credentials, process = await start_bitcoind(tmp_path)
    else:
        url, credentials, process = service.url, CookieFile(service.cookie_path), None
    rpc, backend = Caller(url, credentials), BitcoindBackend(url, credentials, Network.REGTEST)
    if request.param == "Esplora of the service":
        backend = EsploraBackend(service.esplora_url, Network.REGTEST)
    chain = Chain(rpc, backend, Purse("miner"))
    await chain.mine(1, Purse("treasury"))
    await chain.mine(100)
    yield chain
    await backend.close()
    if process is not None:
        await rpc("stop")
        await process.wait()
    await rpc.close()


async def coin_of(chain: Chain, purse: Purse) -> Coin:
    (coin,) = await chain.backend.coins(purse.script)
    return coin


async def test_a_treasury_is_told_the_state_of_its_chain(chain: Chain, treasury: Purse) -> None:
    assert await chain.backend.network() is Network.REGTEST
    height = await chain.backend.height()
    coin = await coin_of(chain, treasury)
    assert coin.amount == 50 * 100_000_000
    assert coin.script_pubkey == treasury.script
    assert coin.height == height - 100
    assert await chain.backend.coin(coin.txid, coin.vout) == coin
    assert await chain.backend.fee_rate() >= 1


async def test_coins_that_are_not_ripe_are_left_out(chain: Chain, treasury: Purse, farmer: Purse) -> None:
    await chain.mine(1, farmer)
    assert await chain.backend.coins(farmer.script) == []
    block = await chain.rpc("getblock", await chain.rpc("getbestblockhash"), 1)
    coinbase = Txid(block["tx"][0])
    assert await chain.backend.coin(coinbase, 0) is None
    await chain.mine(98)
    assert await chain.backend.coins(farmer.script) == []
    await chain.mine(1)
    assert [coin.txid for coin in await chain.backend.coins(farmer.script)] == [coinbase]
    assert await chain.backend.coin(coinbase, 0) is not None


async def test_a_payment_is_accepted_mined_and_spendable(chain: Chain, treasury: Purse, farmer: Purse) -> None:
    coin = await coin_of(chain, treasury)
    payees = [Payee(farmer.script, Sats(25_000))]
    unsigned = payment.build([coin], payees, await chain.backend.fee_rate(), treasury.script)
    raw = treasury.sign(unsigned)
    before = await chain.backend.height()
    await chain.backend.test_accept(raw)
    assert await chain.backend.transaction(unsigned.txid) is None
    assert await chain.backend.broadcast(raw) == unsigned.txid
    assert await chain.backend.broadcast(raw) == unsigned.txid
    waiting = await chain.backend.transaction(unsigned.txid)
    assert waiting is not None
    assert (waiting.raw, waiting.confirmations, waiting.height) == (raw, 0, None)
    # Spent in the mempool, the coin is gone for `coin` but not for `coins`, and the change is no coin yet.
    assert await chain.backend.coins(treasury.script) == [coin]
    assert await chain.backend.coin(coin.txid, coin.vout) is None
    assert await chain.backend.coin(unsigned.txid, 1) is None
    await chain.mine(2)
    mined = await chain.backend.transaction(unsigned.txid)
    assert mined is not None
    assert (mined.raw, mined.confirmations, mined.height) == (raw, 2, before + 1)
    assert await chain.backend.broadcast(raw) == unsigned.txid
    change = await coin_of(chain, treasury)
    assert change.amount == unsigned.change
    received = await coin_of(chain, farmer)
    onward = payment.build([received], [Payee(treasury.script, Sats(10_000))], 1, farmer.script)
    await chain.backend.broadcast(farmer.sign(onward))
    await chain.mine()
    assert len(await chain.backend.coins(treasury.script)) == 2


async def test_a_transaction_whose_outputs_are_spent_is_found_by_when_it_was_made(
    chain: Chain, treasury: Purse, farmer: Purse
) -> None:
    since = await chain.backend.height()
    coin = await coin_of(chain, treasury)
    first = payment.build([coin], [Payee(farmer.script, Sats(coin.amount - 1_000))], 1, treasury.script)
    await chain.backend.broadcast(treasury.sign(first))
    await chain.mine()
    received = [each for each in await chain.backend.coins(farmer.script) if each.txid == first.txid]
    everything = sum(each.amount for each in received) - 1_000
    second = payment.build(received, [Payee(farmer.script, Sats(everything))], 1, farmer.script)
    await chain.backend.broadcast(farmer.sign(second))
    rest = await chain.backend.coins(treasury.script)
    if rest:
        third = payment.build(rest, [Payee(farmer.script, Sats(400))], 1, treasury.script)
        await chain.backend.broadcast(treasury.sign(third))
    await chain.mine(3)
    found = await chain.backend.transaction(first.txid, since)
    assert found is not None
    assert (found.confirmations, found.height) == (4, since + 1)
    assert await chain.backend.transaction(Txid("ab" * 32), since) is None


@pytest.mark.parametrize("vandal", ["signature", "amount", "missing", "double", "fee", "dust", "final"])
async def test_what_the_network_refuses_is_rejected_and_changes_nothing(
    chain: Chain, treasury: Purse, farmer: Purse, vandal: str
) -> None:
    coin = await coin_of(chain, treasury)
    good = [TxOutput(Sats(coin.amount - 1_000), farmer.script)]
    reasons = {
        "signature": "script-verify-flag",
        "amount": "bad-txns-in-belowout",
        "missing": "missing",
        "double": "insufficient fee",
        "fee": "min relay fee not met",
        "dust": "dust",
        "final": "non-final",
    }
    match vandal:
        case "signature":
            raw = farmer.spend([coin], good)
        case "amount":
            raw = treasury.spend([coin], [TxOutput(Sats(coin.amount + 1), farmer.script)])
        case "missing":
            raw = treasury.spend([Coin(Txid("ab" * 32), 0, coin.amount, coin.script_pubkey, 1)], good)
        case "double":
            await chain.backend.broadcast(treasury.spend([coin], good))
            raw = treasury.spend([coin], [TxOutput(Sats(coin.amount - 1_000), treasury.script)])
        case "fee":
            raw = treasury.spend([coin], [TxOutput(coin.amount, farmer.script)])
        case "dust":
            raw = treasury.spend([coin], [*good, TxOutput(Sats(329), farmer.script)])
        case _:
            height = await chain.backend.height()
            raw = treasury.spend([coin], good, locktime=height + 2, sequence=0)
    waiting = await chain.rpc("getrawmempool")
    for attempt in (chain.backend.test_accept, chain.backend.broadcast):
        with pytest.raises(Rejected, match=reasons[vandal]):
            await attempt(raw)
    assert await chain.rpc("getrawmempool") == waiting


async def test_a_payment_that_waits_gives_way_to_a_better_one(chain: Chain, treasury: Purse, farmer: Purse) -> None:
    coin = await coin_of(chain, treasury)
    waiting = payment.build([coin], [Payee(farmer.script, Sats(25_000))], 2, treasury.script)
    await chain.backend.broadcast(treasury.sign(waiting))
    better = replacement.bump(waiting, 5, treasury.script)
    poorer = treasury.spend([coin], [TxOutput(Sats(coin.amount - waiting.fee - 1), farmer.script)])
    with pytest.raises(Rejected, match="insufficient fee"):
        await chain.backend.test_accept(poorer)
    await chain.backend.test_accept(treasury.sign(better))
    await chain.backend.broadcast(treasury.sign(better))
    assert await chain.rpc("getrawmempool") == [better.txid]
    assert await chain.backend.transaction(waiting.txid) is None
    await chain.mine()
    mined = await chain.backend.transaction(better.txid)
    assert mined is not None
    assert mined.confirmations == 1


async def test_bytes_that_are_no_transaction_are_the_callers_mistake(chain: Chain) -> None:
    for attempt in (chain.backend.test_accept, chain.backend.broadcast):
        with pytest.raises(InvalidTransaction):
            await attempt(b"no transaction")


async def test_the_node_agrees_on_raw_bytes_and_ids(chain: Chain) -> None:
    block = await chain.rpc("getblock", await chain.rpc("getblockhash", 1), 2)
    (shown,) = block["tx"]
    transaction = parse(bytes.fromhex(shown["hex"]))
    assert serialize(transaction).hex() == shown["hex"]
    assert (transaction.txid, transaction.wtxid) == (shown["txid"], shown["hash"])
    assert (transaction.vsize, transaction.weight) == (shown["vsize"], shown["weight"])
