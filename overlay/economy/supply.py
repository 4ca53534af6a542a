"""What became of a voucher: outstanding = minted - redeemed - expired, in its smallest steps."""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Supply:
    """What became of one voucher."""

    minted: int
    redeemed: int
    expired: int

    @property
    def outstanding(self) -> int:
        return self.minted - self.redeemed - self.expired


# Sums in halves: SQLite's sum() fails beyond 63 bits, and a lying issuer could accept more than that many times over.
_LOW_BITS = 26


def supply(db: sqlite3.Connection, voucher: bytes, now: int) -> Supply:
    """Supply of a known voucher at `now`; exact at its issuer, who is a party to every redemption."""
    minted, expires, high, low = db.execute(
        "SELECT m.quantity, m.expires, coalesce(sum(l.quantity >> ?1), 0), coalesce(sum(l.quantity & ?2), 0)"
        " FROM voucher_mint m LEFT JOIN voucher_leg l"
        " ON l.voucher = m.block AND l.receiver = m.agent AND l.word = 1 AND l.beaten = 0 WHERE m.id = ?3",
        (_LOW_BITS, (1 << _LOW_BITS) - 1, voucher),
    ).fetchone()
    redeemed = (high << _LOW_BITS) + low
    return Supply(minted, redeemed, minted - redeemed if expires and expires <= now else 0)
