"""Which waiting transactions give way to a better paying one, and with which of Bitcoin Core's words others do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.regtest.chain import RegtestChain, open_chain
from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.regtest.replacement import MAX_REPLACED
from overlay.dao.bitcoin.transaction import FINAL, Transaction, Txid, TxOutput, parse
from tests.dao.bitcoin.helpers import Purse

NOW = 1_700_000_000
MINER, FARMER = Purse("miner"), Purse("farmer")
GIVEN = 50 * 100_000_000
VSIZE = 111  # one input, one output
COINS = 7


@pytest.fixture
def chain(folder: Path) -> Iterator[RegtestChain]:
    """A chain in which the miner has seven coins that can be spent."""
    opened = open_chain(folder, NOW)
    for _ in range(100 + COINS - 1):
        opened.mine(MINER.script, NOW)
    yield opened
    opened.close()


def coin_at(chain: RegtestChain, height: int) -> Coin:
    coinbase = chain.block(chain.kernel.block_hash(height)).transactions[0]
    return Coin(coinbase.txid, 0, coinbase.outputs[0].amount, MINER.script, height)


def output_of(transaction: Transaction, vout: int = 0) -> Coin:
    each = transaction.outputs[vout]
    return Coin(transaction.txid, vout, each.amount, each.script_pubkey, 0)


def spending(*coins: Coin, fee: int, purse: Purse = MINER, sequence: int = FINAL) -> Transaction:
    total = sum(coin.amount for coin in coins)
    return parse(purse.spend(list(coins), [TxOutput(Sats(total - fee), FARMER.script)], sequence=sequence))


def send(chain: RegtestChain, *coins: Coin, fee: int, purse: Purse = MINER) -> Transaction:
    transaction = spending(*coins, fee=fee, purse=purse)
    chain.send(transaction, NOW)
    return transaction


def waiting(chain: RegtestChain) -> list[Txid]:
    return [entry.txid for entry in chain.mempool]


def refused(chain: RegtestChain, transaction: Transaction) -> str:
    before = list(chain.mempool)
    with pytest.raises(Refused) as refusal:
        chain.send(transaction, NOW)
    assert list(chain.mempool) == before
    return str(refusal.value)


def test_a_better_payment_takes_the_place_of_one_that_never_offered_it(chain: RegtestChain) -> None:
    coin = coin_at(chain, 1)
    send(chain, coin, fee=1_000)
    better = send(chain, coin, fee=1_000 + VSIZE)
    assert waiting(chain) == [better.txid]
    assert chain.mempool.spender((coin.txid, coin.vout)) == better.txid
    chain.mine(MINER.script, NOW)
    assert chain.history.height(better.txid) == chain.height


def test_it_pays_for_its_own_relay_to_the_satoshi(chain: RegtestChain) -> None:
    coin = coin_at(chain, 1)
    send(chain, coin, fee=1_000)
    poorer = spending(coin, fee=1_000 + VSIZE - 1)
    reason = "not enough additional fees to relay; 0.00000110 < 0.00000111"
    assert refused(chain, poorer) == f"insufficient fee, rejecting replacement {poorer.txid}, {reason}"


def test_the_same_fee_is_not_a_higher_rate(chain: RegtestChain) -> None:
    coin = coin_at(chain, 1)
    first = send(chain, coin, fee=1_110)
    same = spending(coin, fee=1_110, sequence=0)
    assert same.txid != first.txid
    rates = "new feerate 0.00010000 BTC/kvB <= old feerate 0.00010000 BTC/kvB"
    assert refused(chain, same) == f"insufficient fee, rejecting replacement {same.txid}; {rates}"


def test_a_greater_fee_at_a_lower_rate_is_not_enough(chain: RegtestChain) -> None:
    coin, second = coin_at(chain, 1), coin_at(chain, 2)
    send(chain, coin, fee=1_000)
    assert "new feerate" in refused(chain, spending(coin, second, fee=1_400))


def test_it_pays_for_all_that_built_on_the_old_one(chain: RegtestChain) -> None:
    coin = coin_at(chain, 1)
    parent = send(chain, coin, fee=1_000)
    child = send(chain, output_of(parent), fee=5_000, purse=FARMER)
    assert "less fees than conflicting txs; 0.00005999 < 0.00006000" in refused(chain, spending(coin, fee=5_999))
    assert "not enough additional fees" in refused(chain, spending(coin, fee=6_000 + VSIZE - 1))
    better = send(chain, coin, fee=6_000 + VSIZE)
    assert waiting(chain) == [better.txid]
    assert chain.mempool.get(child.txid) is None


def test_it_may_not_build_on_what_it_replaces(chain: RegtestChain) -> None:
    coin, second = coin_at(chain, 1), coin_at(chain, 2)
    first = parse(MINER.spend([coin], [TxOutput(Sats(GIVEN - 1_000), MINER.script)]))
    chain.send(first, NOW)
    circular = spending(coin, output_of(first), second, fee=900_000)
    assert refused(chain, circular).startswith("bad-txns-spends-conflicting-tx")


def test_it_may_not_bring_in_what_waits_elsewhere(chain: RegtestChain) -> None:
    coin, other = coin_at(chain, 1), coin_at(chain, 2)
    send(chain, coin, fee=1_000)
    unrelated = parse(MINER.spend([other], [TxOutput(Sats(GIVEN - 1_000), MINER.script)]))
    chain.send(unrelated, NOW)
    mixed = spending(coin, output_of(unrelated), fee=900_000)
    reason = f"replacement-adds-unconfirmed, replacement {mixed.txid} adds unconfirmed input, idx 1"
    assert refused(chain, mixed) == reason


def test_it_may_spend_what_waits_where_the_old_one_did(chain: RegtestChain) -> None:
    split = [TxOutput(Sats(GIVEN // 2 - 1_000), MINER.script)] * 2
    source = parse(MINER.spend([coin_at(chain, 1)], split))
    chain.send(source, NOW)
    send(chain, output_of(source, 0), fee=1_000)
    better = send(chain, output_of(source, 0), output_of(source, 1), fee=10_000)
    assert waiting(chain) == [source.txid, better.txid]


def test_a_hundred_may_be_replaced_and_not_one_more(chain: RegtestChain) -> None:
    # Four chains of 25, the greatest that policy allows, and then one more transaction.
    for height in range(1, 5):
        last = parse(MINER.spend([coin_at(chain, height)], [TxOutput(Sats(GIVEN - 200), FARMER.script)]))
        chain.send(last, NOW)
        for _ in range(24):
            last = send(chain, output_of(last), fee=200, purse=FARMER)
    assert len(chain.mempool) == MAX_REPLACED
    send(chain, coin_at(chain, 5), fee=200)
    coins = [coin_at(chain, height) for height in range(1, 6)]
    assert "too many potential replacements (101 > 100)" in refused(chain, spending(*coins, fee=900_000))
    better = send(chain, *coins[:4], fee=900_000)
    assert set(waiting(chain)) == {better.txid, waiting(chain)[0]}


def test_a_restart_keeps_the_better_one(folder: Path) -> None:
    chain = open_chain(folder, NOW)
    for _ in range(101):
        chain.mine(MINER.script, NOW)
    send(chain, coin_at(chain, 1), fee=1_000)
    better = send(chain, coin_at(chain, 1), fee=9_000)
    chain.close()
    again = open_chain(folder, NOW)
    assert waiting(again) == [better.txid]
    again.close()
