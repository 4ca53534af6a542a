"""What only an Esplora backend can tell, and how much it asks for that."""

from collections.abc import AsyncIterator

import pytest

from overlay.dao.bitcoin import payment
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.esplora import EsploraBackend
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin, Payee
from overlay.dao.bitcoin.regtest import RegtestService
from tests.dao.bitcoin.helpers import Caller, Purse


@pytest.fixture
async def esplora(service: RegtestService) -> AsyncIterator[EsploraBackend]:
    client = EsploraBackend(service.esplora_url, Network.REGTEST)
    yield client
    await client.close()


async def test_the_history_of_a_script_is_told_newest_first(
    esplora: EsploraBackend, rpc: Caller, funded: Coin, treasury: Purse, farmer: Purse
) -> None:
    raw = treasury.sign(payment.build([funded], [Payee(farmer.script, Sats(25_000))], 1, treasury.script))
    await esplora.broadcast(raw)
    told = await esplora.history(treasury.script)
    assert [(each.raw, each.confirmations) for each in told[:1]] == [(raw, 0)]
    assert [each.height for each in told] == [None, funded.height]
    await rpc("generatetoaddress", 30, farmer.address)
    told = await esplora.history(farmer.script)
    height = await esplora.height()
    # Thirty rewards and, in the oldest of their blocks, the payment: more than a page.
    assert [each.height for each in told] == [*range(height, height - 30, -1), height - 29]
    assert told[-2].raw == raw or told[-1].raw == raw
    assert await esplora.history(Purse("baker").script) == []


async def test_both_backends_agree_on_many_coins(
    esplora: EsploraBackend, backend: BitcoindBackend, service: RegtestService, rpc: Caller, treasury: Purse
) -> None:
    for _ in range(40):
        service.node.give(treasury.script, Sats(100_000))
    await rpc("generatetoaddress", 1, treasury.address)
    coins = await esplora.coins(treasury.script)
    assert len(coins) == 40
    assert coins == await backend.coins(treasury.script)
    assert await esplora.coin(coins[7].txid, coins[7].vout) == await backend.coin(coins[7].txid, coins[7].vout)
