"""A payment that waits too long pays more, and nobody but the miner gets another amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.bitcoin import payment, replacement
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import MAX_FEE_RATE, Coin, InsufficientFunds, Payee, PaymentError, UnsignedPayment
from overlay.dao.bitcoin.transaction import parse
from tests.dao.bitcoin.helpers import Purse, coin

TREASURY, FARMER = Purse("treasury"), Purse("farmer")


def coins_of(*amounts: int) -> list[Coin]:
    return [coin(number, amount, TREASURY.script, number) for number, amount in enumerate(amounts, 1)]


def paying(coins: list[Coin], amount: int, fee_rate: int = 2) -> UnsignedPayment:
    return payment.build(coins, [Payee(FARMER.script, Sats(amount))], fee_rate, TREASURY.script)


@given(
    st.lists(st.integers(1_000, 1_000_000), min_size=1, max_size=6),
    st.integers(330, 1_000_000),
    st.integers(1, 50),
    st.integers(1, 200),
)
def test_every_replacement_is_one_that_nodes_take(amounts: list[int], amount: int, slow: int, fast: int) -> None:
    coins = coins_of(*amounts)
    try:
        waiting = paying(coins, amount, slow)
        better = replacement.bump(waiting, fast, TREASURY.script, coins)
    except InsufficientFunds:
        return
    assert better.coins[: len(waiting.coins)] == waiting.coins
    assert better.transaction.outputs[0] == waiting.transaction.outputs[0]
    assert better.fee >= waiting.fee + better.vsize
    assert better.fee * waiting.vsize > waiting.fee * better.vsize
    assert better.fee >= better.vsize * fast
    assert parse(TREASURY.sign(better)).vsize == better.vsize
    assert payment.read(better.raw, coins, TREASURY.script) == better


def test_the_fee_comes_out_of_the_change() -> None:
    waiting = paying(coins_of(100_000), 50_000)
    better = replacement.bump(waiting, 10, TREASURY.script)
    assert better.fee == waiting.vsize * 10
    assert better.change == waiting.change - (better.fee - waiting.fee)
    assert (better.coins, better.vsize) == (waiting.coins, waiting.vsize)


def test_a_rate_that_is_no_higher_is_raised_to_what_nodes_take() -> None:
    waiting = paying(coins_of(100_000), 50_000, fee_rate=5)
    assert replacement.bump(waiting, 1, TREASURY.script).fee == waiting.fee + waiting.vsize


def test_change_that_becomes_dust_goes_to_the_fee() -> None:
    waiting = paying(coins_of(51_000), 50_000)
    assert waiting.change == 51_000 - 50_000 - 308
    better = replacement.bump(waiting, 5, TREASURY.script)
    assert (better.change, better.fee) == (0, 1_000)


def test_more_coins_are_added_where_the_change_does_not_suffice() -> None:
    coins = coins_of(51_000, 20_000, 30_000)
    waiting = paying(coins[:1], 50_000)
    with pytest.raises(InsufficientFunds) as lack:
        replacement.bump(waiting, 20, TREASURY.script)
    assert (lack.value.amount, lack.value.available) == (50_000, 51_000)
    better = replacement.bump(waiting, 20, TREASURY.script, coins)
    assert better.coins == (coins[0], coins[2])
    assert better == replacement.bump(waiting, 20, TREASURY.script, reversed(coins))


def test_a_replacement_that_grows_still_pays_a_higher_rate() -> None:
    coins = coins_of(51_110, 30_000)
    waiting = paying(coins[:1], 50_000, fee_rate=10)
    assert (waiting.change, waiting.fee) == (0, waiting.vsize * 10)
    better = replacement.bump(waiting, 10, TREASURY.script, coins)
    assert better.fee == better.vsize * 10 + 1


def test_lock_time_and_version_stay_because_they_may_mean_something() -> None:
    waiting = paying(coins_of(100_000), 50_000)
    tagged = payment.lay_out(
        parse(TREASURY.spend(list(waiting.coins), list(waiting.transaction.outputs), locktime=500_000_123, version=1)),
        waiting.coins,
        waiting.change,
    )
    better = replacement.bump(tagged, 9, TREASURY.script)
    assert (better.transaction.locktime, better.transaction.version) == (500_000_123, 1)


def test_a_senseless_rate_is_refused() -> None:
    for rate in (0, -1, MAX_FEE_RATE + 1):
        with pytest.raises(PaymentError, match="fee rate"):
            replacement.bump(paying(coins_of(100_000), 50_000), rate, TREASURY.script)
