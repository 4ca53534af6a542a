"""The view of vouchers, exchanges and holdings (docs/ledger.md): what was said, whatever the order in which it came.

A holding is output `index` of a mint or of an exchange proposal: output 2i of a proposal is what the receiver of leg
i gets, output 2i + 1 the giver's change. A leg makes its outputs once the exchange is agreed, its inputs are known
holdings of the giver and the sums match; that can only become true, never false. Which of two spends of one holding
stands follows from the issuers' words (`weighing.py`) and is told by `standing.py`.
"""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.economy import making, succession, weighing
from overlay.economy.schema import FACTS, READABLE
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, BlockHash, HalfBlock
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
    SucceedKey,
    Witness,
    decode_part,
)

# SQLite's integers are signed; a block's timestamp has 64 bits. It is shown to people, and this is year 292 million.
MAX_TIMESTAMP = (1 << 63) - 1


class HoldingsView:
    """Folds mints, offers, exchange halves, cancellations, witnesses and disclosed legs."""

    name: ClassVar[str] = "voucher"
    schema: ClassVar[str] = FACTS + succession.SCHEMA + READABLE

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        match statement:
            case Mint():
                _fold_mint(db, block, statement)
            case ProposeExchange() | OfferSwap():
                _fold_proposal(db, block, statement)
            case AgreeExchange():
                _fold_agreement(db, block, statement)
            case CancelExchange():
                _fold_cancellation(db, block, statement)
            case Witness():
                _fold_witness(db, block, statement)
            case SucceedKey():
                for proposal in succession.fold_claim(db, block, statement):
                    weighing.weigh_all(db, proposal)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        try:
            leg = decode_part(part.content)
        except MalformedStatement:
            return  # stored, but in force for nothing: whoever would agree to it is told so then
        if isinstance(leg, Leg) and leg.parts >> part.index & 1:
            _fold_leg(db, blocks.block_id(db, block.hash), part.index, leg)


def _fold_mint(db: sqlite3.Connection, block: HalfBlock, mint: Mint) -> None:
    number, issuer = blocks.block_id(db, block.hash), blocks.agent_id(db, block.public_key)
    media = (mint.media.infohash, mint.media.sha256, mint.media.size) if mint.media else (None, None, None)
    said = (mint.promise, mint.unit, mint.quantity, mint.terms, mint.expires)
    row = (number, block.hash, issuer, block.public_key, *said, *media)
    db.execute(
        "INSERT INTO voucher_mint (block, id, agent, issuer, promise, unit, quantity, terms, expires, infohash, sha256,"
        " size) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        row,
    )
    making.make_holding(db, number, 0, number, issuer, mint.quantity)


def _fold_proposal(db: sqlite3.Connection, block: HalfBlock, said: ProposeExchange | OfferSwap) -> None:
    if block.is_agreement or block.link_public_key in (block.public_key, ANYONE):
        return  # a proposal half links to another member, with number 0
    number = blocks.block_id(db, block.hash)
    weight, offer = (said.weight, said.offer) if isinstance(said, ProposeExchange) else (0, None)
    parties = (blocks.agent_id(db, block.public_key), blocks.agent_id(db, block.link_public_key))
    db.execute(
        "INSERT INTO voucher_proposal (block, proposer, counterparty, sequence, valid_until, weight, offer, is_offer,"
        " timestamp) VALUES (?,?,?,?,?,?,?,?,?)",
        (
            number,
            *parties,
            block.sequence_number,
            said.valid_until,
            weight,
            None if offer is None else blocks.block_id(db, offer),
            isinstance(said, OfferSwap),
            min(block.timestamp, MAX_TIMESTAMP),
        ),
    )
    waiting = db.execute("SELECT block FROM voucher_agreement WHERE proposal = ?", (number,)).fetchall()
    for (agreement,) in waiting:
        _count_agreement(db, number, agreement)


def _fold_agreement(db: sqlite3.Connection, block: HalfBlock, said: AgreeExchange) -> None:
    proposal, agreement = blocks.block_id(db, said.proposal), blocks.block_id(db, block.hash)
    db.execute("INSERT INTO voucher_agreement VALUES (?,?)", (proposal, agreement))
    _count_agreement(db, proposal, agreement)


def _count_agreement(db: sqlite3.Connection, proposal: int, agreement: int) -> None:
    """The half counts if it is by the very member to whom the exchange was proposed, and links to its place."""
    row = db.execute(
        "SELECT h.sequence, p.agreed, p.agreement, NOT p.is_offer AND h.agent = p.counterparty"
        " AND h.link_agent = p.proposer AND h.link_sequence = p.sequence"
        " FROM voucher_proposal p JOIN half h ON h.id = ? WHERE p.block = ?",
        (agreement, proposal),
    ).fetchone()
    if row is None:
        return  # until the proposal is known
    sequence, known, other, fits = row
    if not fits:
        db.execute("DELETE FROM voucher_agreement WHERE proposal = ? AND block = ?", (proposal, agreement))
        return
    if known is None or _is_before(db, (sequence, agreement), (known, other)):
        query = "UPDATE voucher_proposal SET agreed = ?, agreement = ? WHERE block = ?"
        db.execute(query, (sequence, agreement, proposal))
    if known is None:
        making.make_outputs(db, making.legs_of(db, proposal))
    else:
        weighing.weigh_all(db, proposal)


def _is_before(db: sqlite3.Connection, one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Places on one chain, as (sequence, block); after a fork two share a number, and the lower hash goes first."""
    if one[0] != other[0]:
        return one[0] < other[0]
    return blocks.hash_of(db, one[1]) < blocks.hash_of(db, other[1])


def _fold_cancellation(db: sqlite3.Connection, block: HalfBlock, said: CancelExchange) -> None:
    proposal, author = blocks.block_id(db, said.proposal), blocks.agent_id(db, block.public_key)
    row = (proposal, author, block.sequence_number, blocks.block_id(db, block.hash), said.reason)
    db.execute("INSERT INTO voucher_cancellation VALUES (?,?,?,?,?)", row)
    weighing.weigh_all(db, proposal)


def _fold_witness(db: sqlite3.Connection, block: HalfBlock, said: Witness) -> None:
    proposal, author = blocks.block_id(db, said.proposal), blocks.agent_id(db, block.public_key)
    place = (block.sequence_number, blocks.block_id(db, block.hash))
    row = (proposal, author, said.legs, said.first, blocks.block_id(db, said.agreement), *place)
    db.execute("INSERT INTO voucher_witness VALUES (?,?,?,?,?,?,?)", row)
    if not db.execute(_SAID_BEFORE, row).fetchone():
        weighing.weigh_all(db, proposal)


# The very same word at a lower place of the same chain: what comes behind it changes nothing.
_SAID_BEFORE = (
    "SELECT 1 FROM voucher_witness WHERE proposal = ?1 AND author = ?2 AND legs = ?3 AND first = ?4 AND agreement = ?5"
    " AND (sequence, block) < (?6, ?7) LIMIT 1"
)


def _fold_leg(db: sqlite3.Connection, proposal: int, position: int, leg: Leg) -> None:
    query = "SELECT proposer, counterparty, agreed FROM voucher_proposal WHERE block = ?"
    row = db.execute(query, (proposal,)).fetchone()
    if row is None:
        return  # in a block that proposes nothing to anybody
    *parties, agreed = row
    giver, receiver = parties if leg.from_proposer else reversed(parties)
    voucher = blocks.block_id(db, leg.voucher)
    db.execute(
        "INSERT INTO voucher_leg (proposal, position, giver, receiver, voucher, quantity, change, parts)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (proposal, position, giver, receiver, voucher, leg.quantity, leg.change, leg.parts),
    )
    for each in leg.others:
        row = (proposal, position, blocks.agent_id(db, each.key), each.parts)
        db.execute("INSERT INTO voucher_issuer VALUES (?,?,?,?)", row)
    for source in leg.inputs:
        row = (proposal, position, blocks.block_id(db, source.block), source.index, giver, leg.from_proposer)
        db.execute("INSERT INTO voucher_input VALUES (?,?,?,?,?,?,NULL)", row)
    if agreed is not None:
        making.make_outputs(db, [(proposal, position)])


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


def holdings(db: sqlite3.Connection, holder: PublicKey) -> list[Holding]:
    """Everything that was ever put into a member's hands, as far as this node knows; see `standing` for the rest."""
    rows = db.execute(
        "SELECT s.hash, idx, v.hash, quantity FROM voucher_holding JOIN half s ON s.id = source"
        " JOIN half v ON v.id = voucher WHERE holder = (SELECT id FROM agent WHERE key = ?) ORDER BY s.hash, idx",
        (holder,),
    )
    return [Holding(BlockHash(a), b, BlockHash(c), holder, d) for a, b, c, d in rows]


def ever_held(db: sqlite3.Connection, holder: PublicKey) -> set[BlockHash]:
    """The vouchers that were ever put into a member's hands."""
    rows = db.execute(
        "SELECT hash FROM voucher_held JOIN half ON half.id = voucher"
        " WHERE holder = (SELECT id FROM agent WHERE key = ?)",
        (holder,),
    )
    return {BlockHash(voucher) for (voucher,) in rows}


def holding(db: sqlite3.Connection, source: Source) -> Holding | None:
    row = db.execute(
        "SELECT v.hash, key, quantity FROM voucher_holding JOIN half v ON v.id = voucher JOIN agent a ON a.id = holder"
        " WHERE source = ? AND idx = ?",
        (blocks.find_id(db, source.block), source.index),
    ).fetchone()
    return Holding(BlockHash(source.block), source.index, BlockHash(row[0]), PublicKey(row[1]), row[2]) if row else None


def issuer_of(db: sqlite3.Connection, voucher: bytes) -> PublicKey | None:
    """Who promised this; None for a voucher that this node does not know."""
    row = db.execute("SELECT issuer FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    return PublicKey(row[0]) if row else None


def agreement_of(db: sqlite3.Connection, proposal: bytes) -> tuple[BlockHash, int] | None:
    """The agreement half (hash, sequence number) by the very member to whom an exchange was proposed."""
    row = db.execute(
        "SELECT h.hash, p.agreed FROM voucher_proposal p JOIN half h ON h.id = p.agreement WHERE p.block = ?",
        (blocks.find_id(db, proposal),),
    ).fetchone()
    return (BlockHash(row[0]), row[1]) if row else None
