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


def supply(db: sqlite3.Connection, voucher: bytes, now: int) -> Supply:
    """Supply of a known voucher at `now`; exact at its issuer, who is a party to every redemption."""
    query = "SELECT quantity, expires, redeemed FROM voucher_mint WHERE id = ?"
    minted, expires, digits = db.execute(query, (voucher,)).fetchone()
    redeemed = int(digits)
    return Supply(minted, redeemed, minted - redeemed if expires and expires <= now else 0)


def count_redeemed(db: sqlite3.Connection, mint: int, quantity: int) -> None:
    """Add to what came back of a voucher, or take off (negative), when a redemption is settled or is so no longer."""
    (digits,) = db.execute("SELECT redeemed FROM voucher_mint WHERE block = ?", (mint,)).fetchone()
    db.execute("UPDATE voucher_mint SET redeemed = ? WHERE block = ?", (str(int(digits) + quantity), mint))
