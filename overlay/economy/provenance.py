"""Where a holding comes from: the blocks and single legs that prove it to another member, back to the mint.

Only the legs of the one voucher are disclosed, never the other side of a swap or the words between the parties. What
the receiver must know already is left out: what came before an exchange that it was a party to, or that it has
accepted as the voucher's issuer.
"""

import sqlite3
from collections.abc import Iterable
from itertools import chain

from overlay.economy.errors import TooLongAHistory
from overlay.economy.facts import Leg, Place
from overlay.economy.succession import line_of
from overlay.economy.weighing import others_of
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import Source

# A holding that is longer in coming than this is handed over after its issuer has exchanged it for a new one: at about
# 600 bytes a step, 10,000 steps are 6 MB, and looking for them takes a second.
MAX_STEPS = 10_000
# An honest issuer says one word on an exchange, at most two.
MAX_WORDS = 4

# Blocks to owe, by their small numbers, each with the mask of the parts to disclose.
Trail = list[tuple[int, int]]


def trail_of_sources(db: sqlite3.Connection, receiver: PublicKey, sources: Iterable[Source]) -> Trail:
    """What proves these holdings to `receiver`. Raises TooLongAHistory."""
    return _trail(db, receiver, [(blocks.block_id(db, source.block), source.index) for source in sources])


def trail_of_leg(db: sqlite3.Connection, receiver: PublicKey, leg: Leg) -> Trail:
    """One leg of an exchange, with both halves, the issuers' words and what its inputs come from; may raise as well."""
    return exchange_trail(db, leg.place) + _trail(db, receiver, _inputs(db, leg.place))


def exchange_trail(db: sqlite3.Connection, leg: Place) -> Trail:
    """One leg with the halves of its exchange and the issuers' words, without what came before."""
    proposal, position = leg
    (agreement,) = db.execute("SELECT agreement FROM voucher_proposal WHERE block = ?", (proposal,)).fetchone()
    halves = [(proposal, 1 << position), *(((agreement, 0),) if agreement else ())]
    (issuer,) = db.execute(
        "SELECT agent FROM voucher_leg JOIN voucher_mint ON block = voucher WHERE proposal = ? AND position = ?", leg
    ).fetchone()
    query = "SELECT block, 0 FROM voucher_witness WHERE proposal = ? AND author = ? ORDER BY sequence LIMIT ?"
    issuers = (issuer, *(other for other, _ in others_of(db, leg)))
    words = (
        db.execute(query, (proposal, author, MAX_WORDS)).fetchall()
        for each in issuers
        for author, _ in line_of(db, each)
    )
    return halves + list(chain.from_iterable(words))


def post(tx: Transaction, receiver: PublicKey, trail: Trail) -> None:
    """Owe it all to `receiver`."""
    for block, parts in trail:
        tx.post(receiver, blocks.hash_of(tx.db, block), parts)


def _trail(db: sqlite3.Connection, receiver: PublicKey, holdings: list[Place]) -> Trail:
    agent, found = blocks.agent_id(db, receiver), Trail()
    waiting, seen = holdings, set[Place]()
    while waiting:
        block, index = waiting.pop()
        leg = (block, index // 2)
        if leg in seen:
            continue
        seen.add(leg)
        if len(seen) > MAX_STEPS:
            raise TooLongAHistory(f"this holding has passed through more than {MAX_STEPS:,} exchanges")
        known_to = _known_to(db, leg)
        if known_to is None:
            found.append((block, 0))  # the mint
        elif agent not in known_to:
            found += exchange_trail(db, leg)
            waiting += _inputs(db, leg)
    return found


def _known_to(db: sqlite3.Connection, leg: Place) -> tuple[int, ...] | None:
    """Who must know a leg and all that came before it; None for what is no leg but a mint."""
    row = db.execute(
        "SELECT giver, receiver, CASE WHEN own IS NULL THEN 0 ELSE agent END, made FROM voucher_leg"
        " JOIN voucher_mint ON block = voucher WHERE proposal = ? AND position = ?",
        leg,
    ).fetchone()
    if row is None:
        return None
    giver, receiver, issuer, made = row
    return (giver, receiver, issuer) if made else ()


def _inputs(db: sqlite3.Connection, leg: Place) -> list[Place]:
    query = "SELECT source, idx FROM voucher_input WHERE proposal = ? AND position = ?"
    return db.execute(query, leg).fetchall()
