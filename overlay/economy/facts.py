"""Reading what the holdings view has folded: legs, words, inputs."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from overlay.economy import weighing
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Source

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg as it was folded. `parts` is the bit mask of all legs in vouchers of the same issuer, `expires` the end
    of the promise (0: never); the derived columns are explained in `schema.py`."""

    proposal: BlockHash
    position: int
    giver: PublicKey
    receiver: PublicKey
    voucher: BlockHash
    issuer: PublicKey
    quantity: int
    change: int
    parts: int
    place: Place
    expires: int
    made: bool
    own: int | None
    word: int
    has_others: bool

    def has_expired(self, now: int) -> bool:
        return 0 < self.expires <= now


@dataclass(frozen=True, slots=True)
class Word:
    """What a voucher's issuer said first of a leg: at which place of its chain, and whether it accepted."""

    sequence: int
    first: bool


_LEGS = (
    "SELECT p.hash, l.position, g.key, r.key, m.id, m.issuer, l.quantity, l.change, l.parts, l.proposal, m.expires,"
    " l.made, l.own, l.word, EXISTS (SELECT 1 FROM voucher_issuer o WHERE o.proposal = l.proposal"
    " AND o.position = l.position) FROM voucher_leg l JOIN voucher_mint m ON m.block = l.voucher"
    " JOIN half p ON p.id = l.proposal JOIN agent g ON g.id = l.giver JOIN agent r ON r.id = l.receiver"
)


def legs_of(db: sqlite3.Connection, proposal: bytes) -> list[Leg]:
    """The legs of an exchange or offer that this node knows, in vouchers that it knows."""
    number = blocks.find_id(db, proposal)
    return [_leg(row) for row in db.execute(f"{_LEGS} WHERE l.proposal = ? ORDER BY l.position", (number,))]


def leg_at(db: sqlite3.Connection, place: Place) -> Leg | None:
    """One leg by the small number of its proposal and its position; None when it or its voucher is not known."""
    row = db.execute(f"{_LEGS} WHERE l.proposal = ? AND l.position = ?", place).fetchone()
    return _leg(row) if row else None


def _leg(row: tuple[Any, ...]) -> Leg:
    block, position, giver, receiver, voucher, issuer, quantity, change, parts, proposal, *rest = row
    expires, made, own, word, has_others = rest
    said = (block, position, giver, receiver, voucher, issuer, quantity, change, parts)
    return Leg(*said, (proposal, position), expires, bool(made), own, word, bool(has_others))


def word_on(db: sqlite3.Connection, leg: Leg) -> Word | None:
    """What the issuer of a leg's voucher has said of it, if anything: its first word counts."""
    said = weighing.words_of(db, leg.place[0], blocks.agent_id(db, leg.issuer), leg.parts).said
    return Word(*said[0]) if said else None


def other_issuers(db: sqlite3.Connection, leg: Leg) -> list[tuple[PublicKey, int]]:
    """The other issuers whose words a leg waits for, each with the parts that it judges, in the order of their keys."""
    if not leg.has_others:
        return []
    return sorted((blocks.key_of(db, issuer), parts) for issuer, parts in weighing.others_of(db, leg.place))


def inputs_of(db: sqlite3.Connection, leg: Leg) -> list[Source]:
    """The holdings that a leg consumes, in rising order."""
    rows = db.execute(
        "SELECT hash, idx FROM voucher_input JOIN half ON half.id = source WHERE proposal = ? AND position = ?"
        " ORDER BY hash, idx",
        leg.place,
    )
    return [Source(block, index) for block, index in rows]
