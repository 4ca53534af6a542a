"""Payments: the same for every signer, exact to the satoshi, and refused with their figures."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.bitcoin import payment, scripts
from overlay.dao.bitcoin.amounts import MAX_MONEY, Sats
from overlay.dao.bitcoin.payment import (
    MAX_FEE_RATE,
    MAX_INPUTS,
    Coin,
    InsufficientFunds,
    Payee,
    PaymentError,
)
from overlay.dao.bitcoin.transaction import InvalidTransaction, TxOutput, parse, serialize
from tests.dao.bitcoin.helpers import Purse, coin

TREASURY, FARMER, BAKER = Purse("treasury"), Purse("farmer"), Purse("baker")
ORDER = random.Random(341)


def coins_of(*amounts: int) -> list[Coin]:
    return [coin(n, amount, TREASURY.script, n) for n, amount in enumerate(amounts, 1)]


def pay(coins: list[Coin], amount: int, fee_rate: int = 2) -> payment.UnsignedPayment:
    return payment.build(coins, [Payee(FARMER.script, Sats(amount))], fee_rate, TREASURY.script)


@given(
    st.lists(st.integers(1, 10_000_000), min_size=1, max_size=20),
    st.lists(st.integers(330, 5_000_000), min_size=1, max_size=4),
    st.integers(1, 500),
)
def test_every_payment_adds_up_or_lacks_what_it_says(amounts: list[int], wanted: list[int], fee_rate: int) -> None:
    coins = coins_of(*amounts)
    payees = [Payee(FARMER.script, Sats(amount)) for amount in wanted]
    try:
        unsigned = payment.build(coins, payees, fee_rate, TREASURY.script)
    except InsufficientFunds as error:
        lack = error
    else:
        check_sums(unsigned, wanted, fee_rate)
        return
    assert lack.available <= sum(amounts)
    assert lack.amount == sum(wanted)
    assert lack.available < lack.amount + lack.fee


def check_sums(unsigned: payment.UnsignedPayment, wanted: list[int], fee_rate: int) -> None:
    given_amounts = sum(each.amount for each in unsigned.coins)
    outputs = unsigned.transaction.outputs
    assert given_amounts == sum(each.amount for each in outputs) + unsigned.fee
    assert [each.amount for each in outputs[: len(wanted)]] == wanted
    assert outputs[len(wanted) :] == ((TxOutput(unsigned.change, TREASURY.script),) if unsigned.change else ())
    # The estimate of the size is what the signed transaction has, and the fee rate is kept.
    signed = parse(TREASURY.sign(unsigned))
    assert unsigned.vsize == signed.vsize
    assert unsigned.fee >= unsigned.vsize * fee_rate
    # More than asked for goes to the fee only where change could not be relayed.
    spare = unsigned.fee - unsigned.vsize * fee_rate
    output_cost = 43 * fee_rate + fee_rate
    assert spare == 0 if unsigned.change else spare < scripts.dust_limit(TREASURY.script) + output_cost


def test_all_signers_get_the_same_bytes_whatever_the_order_of_coins() -> None:
    coins = coins_of(50_000, 70_000, 70_000, 20_000, 90_000)
    first = pay(coins, 150_000)
    for _ in range(10):
        ORDER.shuffle(coins)
        assert pay(coins, 150_000) == first


def test_the_largest_coins_go_first_and_of_equals_the_oldest() -> None:
    coins = coins_of(50_000, 70_000, 70_000, 20_000)
    assert [each.height for each in pay(coins, 60_000).coins] == [2]
    assert [each.height for each in pay(coins, 100_000).coins] == [2, 3]


def test_a_coin_that_costs_more_than_it_holds_stays_where_it_is() -> None:
    # An input weighs 230 units, 57.5 virtual bytes: 5,750 sat at 100 sat/vB.
    with pytest.raises(InsufficientFunds) as lack:
        pay(coins_of(5_750), 330, fee_rate=100)
    assert lack.value.available == 0
    with pytest.raises(InsufficientFunds) as lack:
        pay(coins_of(5_751), 330, fee_rate=100)
    assert lack.value.available == 5_751


def test_more_than_the_balance_is_refused_with_figures() -> None:
    with pytest.raises(InsufficientFunds) as lack:
        pay(coins_of(10_000, 20_000), 30_000)
    # Two inputs and one output: 11 + 43 + 2 * 57.5 virtual bytes, at 2 sat each.
    assert (lack.value.amount, lack.value.fee, lack.value.available) == (30_000, 338, 30_000)
    assert str(lack.value) == (
        "the payment takes 30338 sat (30000 sat and a fee of 338 sat), and only 30000 sat can be spent"
    )
    with pytest.raises(InsufficientFunds) as lack:
        pay([], 1_000)
    assert lack.value.available == 0


def test_change_is_made_from_the_dust_limit_on() -> None:
    # One input and two outputs: 10.5 + 57.5 + 86 virtual bytes.
    exact = 10_000 + 154 * 2 + 330
    assert pay(coins_of(exact), 10_000).change == 330
    without = pay(coins_of(exact - 1), 10_000)
    assert without.change == 0
    assert without.fee == 154 * 2 + 329


@pytest.mark.parametrize(
    ("script", "limit"),
    [
        (FARMER.script, 330),
        (scripts.witness_program(0, bytes(20)), 294),
        (scripts.witness_program(0, bytes(32)), 330),
        (scripts.pubkey_hash(bytes(20)), 546),
        (scripts.script_hash(bytes(20)), 540),
    ],
)
def test_dust_is_refused_and_its_limit_is_bitcoin_cores(script: bytes, limit: int) -> None:
    coins = coins_of(100_000)
    assert payment.build(coins, [Payee(script, Sats(limit))], 1, TREASURY.script)
    with pytest.raises(PaymentError, match=f"at least {limit} sat"):
        payment.build(coins, [Payee(script, Sats(limit - 1))], 1, TREASURY.script)


def test_a_senseless_request_is_refused() -> None:
    coins = coins_of(100_000)
    for fee_rate in (0, -1, MAX_FEE_RATE + 1):
        with pytest.raises(PaymentError, match="fee rate"):
            pay(coins, 1_000, fee_rate)
    with pytest.raises(PaymentError, match="somebody to pay"):
        payment.build(coins, [], 1, TREASURY.script)
    with pytest.raises(PaymentError, match="would not be relayed"):
        pay(coins, -1)
    with pytest.raises(PaymentError, match="not between"):
        pay(coins, MAX_MONEY + 1)
    with pytest.raises(PaymentError, match="twice"):
        pay(coins * 2, 1_000)
    with pytest.raises(PaymentError, match="only taproot"):
        pay([coin(1, 100_000, scripts.pubkey_hash(bytes(20)))], 1_000)


def test_as_many_inputs_as_sessions_are_bearable_and_not_one_more() -> None:
    fee = 250 * 58 + 100
    assert len(pay(coins_of(*[1_000] * (MAX_INPUTS + 1)), MAX_INPUTS * 1_000 - fee, 1).coins) == MAX_INPUTS
    with pytest.raises(PaymentError, match=f"{MAX_INPUTS + 1} inputs"):
        pay(coins_of(*[1_000] * (MAX_INPUTS + 1)), MAX_INPUTS * 1_000, 1)


def test_another_signer_reads_the_same_payment_from_its_bytes() -> None:
    coins = coins_of(50_000, 70_000)
    unsigned = pay(coins, 100_000)
    assert payment.read(unsigned.raw, coins, TREASURY.script) == unsigned
    assert payment.read(unsigned.raw, coins, BAKER.script).change == 0


def test_a_signer_refuses_to_read_what_does_not_add_up() -> None:
    coins = coins_of(50_000, 70_000)
    unsigned = pay(coins, 100_000)
    with pytest.raises(PaymentError, match="not ours"):
        payment.read(unsigned.raw, coins[:1], TREASURY.script)
    poorer = [msgspec.structs.replace(each, amount=Sats(10_000)) for each in coins]
    with pytest.raises(PaymentError, match="more than its coins hold"):
        payment.read(unsigned.raw, poorer, TREASURY.script)
    twice = msgspec.structs.replace(unsigned.transaction, inputs=(unsigned.transaction.inputs[0],) * 2)
    with pytest.raises(PaymentError, match="same coin twice"):
        payment.read(serialize(twice), coins, TREASURY.script)
    with pytest.raises(InvalidTransaction, match="signatures already"):
        payment.read(TREASURY.sign(unsigned), coins, TREASURY.script)
    with pytest.raises(InvalidTransaction):
        payment.read(b"", coins, TREASURY.script)


def test_a_lie_about_an_amount_changes_what_is_signed() -> None:
    coins = coins_of(50_000, 70_000)
    unsigned = pay(coins, 100_000)
    richer = [msgspec.structs.replace(coins[0], amount=Sats(60_000)), coins[1]]
    other = payment.read(unsigned.raw, richer, TREASURY.script)
    assert other.fee == unsigned.fee + 10_000
    assert not set(other.sighashes) & set(unsigned.sighashes)


def test_only_signatures_that_fit_are_attached() -> None:
    unsigned = pay(coins_of(50_000, 70_000), 100_000)
    good = [TREASURY.signature(each) for each in unsigned.sighashes]
    signed = parse(payment.attach_signatures(unsigned, good))
    assert [each.witness for each in signed.inputs] == [(each,) for each in good]
    assert signed.txid == unsigned.txid
    for bad in (FARMER.signature(unsigned.sighashes[1]), bytes(64), good[0], good[1] + b"\x01", b""):
        with pytest.raises(PaymentError, match="input 1 "):
            payment.attach_signatures(unsigned, [good[0], bad])
    with pytest.raises(PaymentError, match="2 inputs"):
        payment.attach_signatures(unsigned, good[:1])
