"""Satoshis are exact."""

import sys
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.bitcoin.amounts import COIN, MAX_MONEY, InvalidAmount, Sats, checked, from_btc, to_btc


@given(st.integers(0, MAX_MONEY))
def test_every_amount_survives_json_rpc(amount: int) -> None:
    written = to_btc(Sats(amount))
    assert from_btc(msgspec.json.decode(written, type=Decimal)) == amount
    assert len(written.partition(".")[2]) == 8


@given(st.decimals())
def test_any_decimal_is_exact_or_refused(amount: Decimal) -> None:
    try:
        sats = from_btc(amount)
    except InvalidAmount:
        return
    assert Decimal(sats) / COIN == amount
    assert 0 <= sats <= MAX_MONEY


@pytest.mark.parametrize(
    ("text", "sats"),
    [
        ("0.1", 10_000_000),
        ("0.00000001", 1),
        ("1e-8", 1),
        ("21000000", MAX_MONEY),
        ("20999999.99999999", MAX_MONEY - 1),
        ("0.100000000000", 10_000_000),
        ("-0.0", 0),
    ],
)
def test_decimals_are_read_as_written(text: str, sats: int) -> None:
    assert from_btc(Decimal(text)) == sats


@pytest.mark.parametrize(
    "text",
    [
        "21000000.00000001",
        "0.000000001",
        "0.1000000000000000055511151231257827",
        "-0.00000001",
        "1e999999999",
        "1e-999999999",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        from_btc(Decimal(text))


def test_an_amount_lies_between_nothing_and_all_there_will_ever_be() -> None:
    assert checked(0) == 0
    assert checked(MAX_MONEY) == MAX_MONEY
    for amount in (-1, MAX_MONEY + 1, sys.maxsize):
        with pytest.raises(InvalidAmount, match=str(amount)):
            checked(amount)
