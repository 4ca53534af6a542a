"""Amounts of bitcoin: whole satoshis inside, decimal bitcoins only at the edge, floats nowhere.

JSON-RPC writes amounts as numbers with eight decimals. They are read into `decimal.Decimal` (which keeps the
digits as written) and turned into `Sats` exactly, or refused.
"""

from decimal import Decimal
from typing import NewType

Sats = NewType("Sats", int)

DECIMALS = 8
COIN = 10**DECIMALS
MAX_MONEY = Sats(21_000_000 * COIN)
# 21 million needs 8 digits before the point and 8 behind it; the rest is room for harmless zeros. Decimal counts
# exactly up to 28 digits, so the conversion below never rounds.
MAX_DIGITS = 24


class InvalidAmount(ValueError):
    """A number that is no amount of bitcoin; the message says which and why."""


def checked(amount: int) -> Sats:
    """`amount` as Sats if it lies between 0 and 21 million bitcoin; raises InvalidAmount."""
    if not 0 <= amount <= MAX_MONEY:
        raise InvalidAmount(f"{amount} sat is not between 0 and {MAX_MONEY} sat")
    return Sats(amount)


def from_btc(amount: Decimal) -> Sats:
    """Exact satoshis of a decimal number of bitcoins; raises InvalidAmount rather than round."""
    _, digits, exponent = amount.as_tuple()
    # NaN and infinity have a letter for an exponent.
    if not isinstance(exponent, int) or abs(exponent) > MAX_DIGITS or len(digits) > MAX_DIGITS:
        raise InvalidAmount(f"an amount of bitcoin is a number of at most {MAX_DIGITS} digits")
    if not 0 <= amount <= MAX_MONEY // COIN:
        raise InvalidAmount(f"{amount} is not between 0 and 21000000 bitcoin")
    scaled = amount.scaleb(DECIMALS)
    if scaled != scaled.to_integral_value():
        raise InvalidAmount(f"{amount} bitcoin has more than {DECIMALS} decimals")
    return Sats(int(scaled))


def to_btc(amount: Sats) -> str:
    """Decimal text with exactly eight decimals, as JSON-RPC writes it."""
    return f"{amount // COIN}.{amount % COIN:0{DECIMALS}d}"
