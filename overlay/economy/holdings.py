"""The view of vouchers, exchanges and holdings (DESIGN 3.3): facts only, judged when asked.

A holding is output `index` of a mint or of an exchange proposal: output 2i of a proposal is what the receiver of leg
i gets, output 2i + 1 the giver's change. A leg makes its outputs once the exchange is agreed, its inputs are known
holdings of the giver and the sums match; that can only become true, never false, so the order of arrival is
irrelevant. Which of two spends of one holding stands is judged in `standing.py`.
"""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import (
    AgreeExchange,
    Anything,
    CancelExchange,
    Leg,
    MalformedStatement,
    Mint,
    OfferSwap,
    ProposeExchange,
    Source,
    Witness,
    decode_part,
)


@dataclass(frozen=True, slots=True)
class Holding:
    """An amount of one voucher in one member's hands: a promise kept ready, whole."""

    block: BlockHash
    index: int
    voucher: BlockHash
    holder: PublicKey
    quantity: int

    @property
    def source(self) -> Source:
        return Source(self.block, self.index)


class HoldingsView:
    """Folds mints, offers, exchange halves, witnesses and disclosed legs."""

    name: ClassVar[str] = "voucher"
    schema: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS voucher_mint (
        id BLOB PRIMARY KEY, issuer BLOB NOT NULL, promise TEXT NOT NULL, unit TEXT NOT NULL,
        quantity INTEGER NOT NULL, terms TEXT NOT NULL, expires INTEGER NOT NULL,
        infohash BLOB, sha256 BLOB, size INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS voucher_exchange (
        proposal BLOB PRIMARY KEY, proposer BLOB NOT NULL, sequence INTEGER NOT NULL, counterparty BLOB NOT NULL,
        valid_until INTEGER NOT NULL, weight INTEGER NOT NULL, offer BLOB, is_offer INTEGER NOT NULL,
        timestamp INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS voucher_exchange_offer ON voucher_exchange (offer) WHERE offer IS NOT NULL;
    CREATE TABLE IF NOT EXISTS voucher_agreement (
        proposal BLOB NOT NULL, agreement BLOB NOT NULL, author BLOB NOT NULL, sequence INTEGER NOT NULL,
        link_key BLOB NOT NULL, link_sequence INTEGER NOT NULL, weight INTEGER NOT NULL,
        PRIMARY KEY (proposal, agreement)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS voucher_cancel (
        proposal BLOB NOT NULL, author BLOB NOT NULL, reason TEXT NOT NULL, block BLOB NOT NULL,
        PRIMARY KEY (proposal, author, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS voucher_witness (
        proposal BLOB NOT NULL, author BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        agreement BLOB NOT NULL, legs INTEGER NOT NULL, first INTEGER NOT NULL,
        PRIMARY KEY (proposal, author, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS voucher_leg (
        proposal BLOB NOT NULL, position INTEGER NOT NULL, giver BLOB NOT NULL, receiver BLOB NOT NULL,
        voucher BLOB NOT NULL, quantity INTEGER NOT NULL, change INTEGER NOT NULL,
        PRIMARY KEY (proposal, position)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS voucher_leg_voucher ON voucher_leg (voucher);
    CREATE TABLE IF NOT EXISTS voucher_input (
        block BLOB NOT NULL, idx INTEGER NOT NULL, proposal BLOB NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY (block, idx, proposal, position)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS voucher_input_leg ON voucher_input (proposal, position);
    CREATE TABLE IF NOT EXISTS voucher_holding (
        block BLOB NOT NULL, idx INTEGER NOT NULL, voucher BLOB NOT NULL, holder BLOB NOT NULL,
        quantity INTEGER NOT NULL, PRIMARY KEY (block, idx)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS voucher_holding_holder ON voucher_holding (holder);
    """

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        match statement:
            case Mint():
                self._fold_mint(db, block, statement)
            case ProposeExchange() | OfferSwap():
                self._fold_proposal(db, block, statement)
            case AgreeExchange():
                self._fold_agreement(db, block, statement)
            case CancelExchange(proposal=proposal, reason=reason):
                row = (proposal, block.public_key, reason, block.hash)
                db.execute("INSERT INTO voucher_cancel VALUES (?,?,?,?)", row)
            case Witness(proposal=proposal, agreement=agreement, legs=legs, first=first):
                witness = (proposal, block.public_key, block.sequence_number, block.hash, agreement, legs, first)
                db.execute("INSERT INTO voucher_witness VALUES (?,?,?,?,?,?,?)", witness)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        try:
            leg = decode_part(part.content)
        except MalformedStatement:
            return  # stored, but in force for nothing: whoever agrees to it is told so then
        if not isinstance(leg, Leg):
            return
        giver, receiver = block.public_key, block.link_public_key
        if not leg.from_proposer:
            giver, receiver = receiver, giver
        row = (block.hash, part.index, giver, receiver, leg.voucher, leg.quantity, leg.change)
        db.execute("INSERT INTO voucher_leg VALUES (?,?,?,?,?,?,?)", row)
        db.executemany(
            "INSERT OR IGNORE INTO voucher_input VALUES (?,?,?,?)",
            [(source.block, source.index, block.hash, part.index) for source in leg.inputs],
        )
        _make_outputs(db, [(block.hash, part.index)])

    def _fold_mint(self, db: sqlite3.Connection, block: HalfBlock, mint: Mint) -> None:
        media = (mint.media.infohash, mint.media.sha256, mint.media.size) if mint.media else (None, None, None)
        row = (block.hash, block.public_key, mint.promise, mint.unit, mint.quantity, mint.terms, mint.expires, *media)
        db.execute("INSERT INTO voucher_mint VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        issued = (block.hash, 0, block.hash, block.public_key, mint.quantity)
        db.execute("INSERT INTO voucher_holding VALUES (?,?,?,?,?)", issued)
        _make_outputs(db, _spenders(db, block.hash, 0))

    def _fold_proposal(self, db: sqlite3.Connection, block: HalfBlock, said: ProposeExchange | OfferSwap) -> None:
        if block.is_agreement or block.link_public_key in (block.public_key, b"0" * 74):
            return  # a proposal half links to another member, with number 0
        weight, offer = (said.weight, said.offer) if isinstance(said, ProposeExchange) else (0, None)
        row = (block.hash, block.public_key, block.sequence_number, block.link_public_key, said.valid_until)
        is_offer = isinstance(said, OfferSwap)
        db.execute(
            "INSERT INTO voucher_exchange VALUES (?,?,?,?,?,?,?,?,?)",
            (*row, weight, offer, is_offer, block.timestamp),
        )
        _make_outputs(db, _legs_of(db, block.hash))

    def _fold_agreement(self, db: sqlite3.Connection, block: HalfBlock, said: AgreeExchange) -> None:
        row = (said.proposal, block.hash, block.public_key, block.sequence_number)
        link = (block.link_public_key, block.link_sequence_number, said.weight)
        db.execute("INSERT INTO voucher_agreement VALUES (?,?,?,?,?,?,?)", (*row, *link))
        _make_outputs(db, _legs_of(db, said.proposal))


def agreement_of(db: sqlite3.Connection, proposal: bytes) -> tuple[BlockHash, int] | None:
    """The agreement half (hash, sequence number) by the very member to whom an exchange was proposed."""
    row = db.execute(
        "SELECT a.agreement, a.sequence FROM voucher_agreement a JOIN voucher_exchange e USING (proposal)"
        " WHERE a.proposal = ? AND NOT e.is_offer AND a.author = e.counterparty AND a.link_key = e.proposer"
        " AND a.link_sequence = e.sequence ORDER BY a.sequence, a.agreement LIMIT 1",
        (proposal,),
    ).fetchone()
    return (BlockHash(row[0]), row[1]) if row else None


def _legs_of(db: sqlite3.Connection, proposal: bytes) -> list[tuple[bytes, int]]:
    return db.execute("SELECT proposal, position FROM voucher_leg WHERE proposal = ?", (proposal,)).fetchall()


def _spenders(db: sqlite3.Connection, block: bytes, index: int) -> list[tuple[bytes, int]]:
    query = "SELECT proposal, position FROM voucher_input WHERE block = ? AND idx = ?"
    return db.execute(query, (block, index)).fetchall()


def _make_outputs(db: sqlite3.Connection, legs: list[tuple[bytes, int]]) -> None:
    """Make the outputs of every leg that has become whole, and go on to the legs that waited for these."""
    waiting = list(legs)
    while waiting:
        proposal, position = waiting.pop()
        for index in _outputs_of(db, proposal, position):
            waiting += _spenders(db, proposal, index)


def _outputs_of(db: sqlite3.Connection, proposal: bytes, position: int) -> list[int]:
    """Insert the outputs of one leg if it is whole and has none yet; returns their indexes."""
    row = db.execute(
        "SELECT l.giver, l.receiver, l.voucher, l.quantity, l.change, m.issuer FROM voucher_leg l JOIN voucher_mint m"
        " ON m.id = l.voucher WHERE proposal = ? AND position = ?",
        (proposal, position),
    ).fetchone()
    if row is None or not agreement_of(db, proposal) or not is_whole(db, proposal, position):
        return []
    giver, receiver, voucher, quantity, change, issuer = row
    made = []
    if receiver != issuer:  # a voucher that reaches its issuer is redeemed
        made.append((2 * position, receiver, quantity))
    if change:
        made.append((2 * position + 1, giver, change))
    return [
        index
        for index, holder, amount in made
        if db.execute(
            "INSERT OR IGNORE INTO voucher_holding VALUES (?,?,?,?,?)", (proposal, index, voucher, holder, amount)
        ).rowcount
    ]


def is_whole(db: sqlite3.Connection, proposal: bytes, position: int) -> bool:
    """Whether a leg's inputs are all known holdings of its giver in its voucher, and their sum is what it moves."""
    named, known, total, moved = db.execute(
        "SELECT count(*), count(h.block), sum(h.quantity), max(l.quantity + l.change)"
        " FROM voucher_leg l JOIN voucher_input i USING (proposal, position) LEFT JOIN voucher_holding h"
        " ON h.block = i.block AND h.idx = i.idx AND h.voucher = l.voucher AND h.holder = l.giver"
        " WHERE l.proposal = ? AND l.position = ?",
        (proposal, position),
    ).fetchone()
    return bool(named and named == known and total == moved)


def holdings(db: sqlite3.Connection, holder: PublicKey) -> list[Holding]:
    """Everything that was ever put into a member's hands, as far as this node knows; see `standing` for the rest."""
    rows = db.execute(
        "SELECT block, idx, voucher, holder, quantity FROM voucher_holding WHERE holder = ? ORDER BY block, idx",
        (holder,),
    )
    return [Holding(BlockHash(a), b, BlockHash(c), PublicKey(d), e) for a, b, c, d, e in rows]


def holding(db: sqlite3.Connection, source: Source) -> Holding | None:
    row = db.execute(
        "SELECT voucher, holder, quantity FROM voucher_holding WHERE block = ? AND idx = ?",
        (source.block, source.index),
    ).fetchone()
    return Holding(BlockHash(source.block), source.index, BlockHash(row[0]), PublicKey(row[1]), row[2]) if row else None


def issuer_of(db: sqlite3.Connection, voucher: bytes) -> PublicKey | None:
    row = db.execute("SELECT issuer FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    return PublicKey(row[0]) if row else None
