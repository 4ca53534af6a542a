"""How legs make holdings: once agreed and whole, for ever, whatever came first (docs/ledger.md)."""

import sqlite3

from overlay.economy import weighing

Place = tuple[int, int]


def legs_of(db: sqlite3.Connection, proposal: int) -> list[Place]:
    """The known legs of a proposal, as (proposal, position)."""
    query = "SELECT proposal, position FROM voucher_leg WHERE proposal = ? ORDER BY position"
    return db.execute(query, (proposal,)).fetchall()


def make_holding(db: sqlite3.Connection, source: int, index: int, voucher: int, holder: int, quantity: int) -> None:
    """Put a new holding into the holder's hands, and go on with the legs that waited for it."""
    _put(db, source, index, voucher, holder, quantity)
    make_outputs(db, _waiting(db, source, index, index))


def make_outputs(db: sqlite3.Connection, legs: list[Place]) -> None:
    """Make the outputs of every leg that has become whole, and go on with the legs that waited for these."""
    waiting = list(legs)
    while waiting:
        waiting += _make(db, waiting.pop())


def _make(db: sqlite3.Connection, leg: Place) -> list[Place]:
    """Make one leg's outputs if it is due; returns the legs that may be due now."""
    row = db.execute(
        "SELECT l.giver, l.receiver, l.voucher, l.quantity, l.change, m.agent"
        " FROM voucher_leg l JOIN voucher_proposal p ON p.block = l.proposal JOIN voucher_mint m ON m.block = l.voucher"
        " WHERE l.proposal = ? AND l.position = ? AND NOT l.made AND p.agreed IS NOT NULL",
        leg,
    ).fetchone()
    if row is None or not is_whole(db, leg):
        return []
    giver, receiver, voucher, quantity, change, issuer = row
    db.execute("UPDATE voucher_leg SET made = 1 WHERE proposal = ? AND position = ?", leg)
    db.execute("UPDATE voucher_input SET stage = 2 WHERE proposal = ? AND position = ?", leg)
    weighing.weigh(db, leg)
    proposal, position = leg
    if receiver != issuer:  # a voucher that reaches its issuer is redeemed
        _put(db, proposal, 2 * position, voucher, receiver, quantity)
    if change:
        _put(db, proposal, 2 * position + 1, voucher, giver, change)
    return _waiting(db, proposal, 2 * position, 2 * position + 1)


def _put(db: sqlite3.Connection, source: int, index: int, voucher: int, holder: int, quantity: int) -> None:
    db.execute(
        "INSERT INTO voucher_holding (source, idx, voucher, holder, quantity) VALUES (?,?,?,?,?)",
        (source, index, voucher, holder, quantity),
    )
    db.execute("INSERT OR IGNORE INTO voucher_held VALUES (?,?)", (holder, voucher))


def _waiting(db: sqlite3.Connection, source: int, first: int, last: int) -> list[Place]:
    """The legs that name one of these holdings as an input and were not whole before."""
    return db.execute(
        "SELECT DISTINCT proposal, position FROM voucher_input WHERE source = ? AND idx BETWEEN ? AND ? AND stage < 2",
        (source, first, last),
    ).fetchall()


def is_whole(db: sqlite3.Connection, leg: Place) -> bool:
    """Whether a leg's inputs are all known holdings of its giver in its voucher, and their sum is what it moves."""
    named, known, total, moved = db.execute(
        "SELECT count(*), count(h.source), sum(h.quantity), max(l.quantity + l.change)"
        " FROM voucher_leg l JOIN voucher_input i USING (proposal, position) LEFT JOIN voucher_holding h"
        " ON h.source = i.source AND h.idx = i.idx AND h.voucher = l.voucher AND h.holder = l.giver"
        " WHERE l.proposal = ? AND l.position = ?",
        leg,
    ).fetchone()
    return bool(named and named == known and total == moved)
