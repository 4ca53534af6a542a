"""Vouchers change hands: offer a swap, give, redeem, accept, decline."""

from dataclasses import dataclass

from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.economy.holdings import agreement_of
from overlay.economy.losses import loss_in
from overlay.economy.standing import Leg, Standing, legs_of, standing, word_on
from overlay.economy.succession import newest_key_of
from overlay.keys import PublicKey, short
from overlay.node.actions.lookup import block_hash, find_member, name_of
from overlay.node.actions.registry import NotFound, action, query
from overlay.node.node import Node
from overlay.node.wire import (
    AcceptExchange,
    DeclineExchange,
    Done,
    ExchangeModel,
    Exchanges,
    Give,
    LegModel,
    Nothing,
    OfferSwap,
)
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Deed, MalformedStatement, Note, Part, Want, decode_part

MINUTE = 60_000


@action("exchange", "offer")
async def offer(node: Node, ask: OfferSwap) -> Done:
    """Offer some of one voucher to a member for some of another."""
    to, until = find_member(node, ask.to), node.clock.now() + ask.minutes * MINUTE
    give = Amount(block_hash(ask.give), ask.give_quantity)
    want = Amount(block_hash(ask.want), ask.want_quantity)
    block = await node.ledger.transact(lambda tx: exchange.offer_swap(tx, node.random, to, give, want, until))
    return Done(block.hash.hex())


@action("exchange", "give")
async def give(node: Node, ask: Give) -> Done:
    """Propose to hand a voucher over: as a gift, for a deed, or (to its issuer) to redeem it."""
    to, until = find_member(node, ask.to), node.clock.now() + ask.minutes * MINUTE
    amount = [Amount(block_hash(ask.voucher), ask.quantity)]
    block = await node.ledger.transact(
        lambda tx: exchange.propose(tx, node.random, to, amount, until, ask.deed, ask.note, ask.worth)
    )
    return Done(block.hash.hex())


@action("exchange", "accept")
async def accept(node: Node, ask: AcceptExchange) -> Done:
    """Accept an offer or a proposal that was made to you."""
    id_ = block_hash(ask.id)
    row = node.db.execute("SELECT is_offer, proposer FROM voucher_exchange WHERE proposal = ?", (id_,)).fetchone()
    if row is None:
        raise NotFound("this node knows no such offer or proposal")
    if row[0]:
        block = await node.ledger.transact(lambda tx: exchange.accept_offer(tx, node.random, id_))
    else:
        limit = None if ask.beyond_limit else node.home.opinions.limit(PublicKey(row[1]))
        block = await node.ledger.transact(
            lambda tx: exchange.agree(tx, id_, allow_provisional=ask.provisional, limit=limit)
        )
    return Done(block.hash.hex())


@action("exchange", "decline")
async def decline(node: Node, ask: DeclineExchange) -> Done:
    """Decline what was proposed to you, or take back what you proposed."""
    block = await node.ledger.transact(lambda tx: exchange.cancel(tx, block_hash(ask.id), ask.reason))
    return Done(block.hash.hex())


@query("exchange", "list")
def exchanges(node: Node, ask: Nothing) -> Exchanges:
    """List your offers and exchanges, the newest first."""
    me = node.identity.public_key
    rows = node.db.execute(
        "SELECT proposal, proposer, counterparty, is_offer, valid_until, timestamp FROM voucher_exchange"
        " WHERE proposer = ? OR counterparty = ? ORDER BY timestamp DESC, proposal",
        (me, me),
    ).fetchall()
    return Exchanges(tuple(_model(node, _Row(*row)) for row in rows))


@dataclass(frozen=True, slots=True)
class _Row:
    """One offer or proposal as the view keeps it."""

    proposal: BlockHash
    proposer: PublicKey
    counterparty: PublicKey
    is_offer: bool
    valid_until: int
    timestamp: int


def _model(node: Node, row: _Row) -> ExchangeModel:
    taken = _taken_up(node, row)  # an offer that was taken up stands as the exchange that came of it
    stands = standing(node.db, taken or row.proposal, node.clock.now())
    agreement = agreement_of(node.db, row.proposal)
    parts = _parts(node, row.proposal)
    legs = legs_of(node.db, row.proposal)
    mine = row.counterparty == node.identity.public_key and taken is None
    return ExchangeModel(
        id=row.proposal.hex(),
        agreement=agreement[0].hex() if agreement else "",
        is_offer=bool(row.is_offer),
        proposer=row.proposer.hex(),
        proposer_name=name_of(node, row.proposer),
        counterparty=row.counterparty.hex(),
        counterparty_name=name_of(node, row.counterparty),
        legs=tuple(_leg(node, leg) for leg in legs),
        wants=_wants(node, parts),
        deed=next((part.text for part in parts if isinstance(part, Deed)), ""),
        note=next((part.text for part in parts if isinstance(part, Note)), ""),
        standing=stands.value,
        waiting_for=_waiting_for(node, row, stands, legs),
        reason=_reason(node, row.proposal) or _why_refused(node, taken or row.proposal, stands),
        to_answer=stands is Standing.OPEN and mine and exchange.can_be_judged(node.db, row.proposal),
        valid_until=row.valid_until,
        timestamp=row.timestamp,
    )


def _taken_up(node: Node, row: _Row) -> BlockHash | None:
    """The exchange that came of an offer."""
    taken = node.db.execute(
        "SELECT proposal FROM voucher_exchange WHERE offer = ? AND proposer = ? AND counterparty = ?",
        (row.proposal, row.counterparty, row.proposer),
    ).fetchone()
    return BlockHash(taken[0]) if taken else None


def _waiting_for(node: Node, row: _Row, stands: Standing, legs: list[Leg]) -> str:
    if stands is Standing.OPEN:
        return name_of(node, row.counterparty) or short(row.counterparty)
    if stands is not Standing.PROVISIONAL:
        return ""
    silent = [newest_key_of(node.db, leg.issuer) for leg in legs if word_on(node.db, leg) is None]
    return ", ".join(sorted({name_of(node, issuer) or short(issuer) for issuer in silent}))


def _parts(node: Node, proposal: BlockHash) -> list[Part]:
    found = []
    for disclosed in blocks.parts(node.db, proposal):
        try:
            found.append(decode_part(disclosed.content))
        except MalformedStatement:
            continue  # shown as if absent; nobody can agree to such a proposal
    return found


def _wants(node: Node, parts: list[Part]) -> str:
    wanted = []
    for part in parts:
        if isinstance(part, Want):
            row = node.db.execute("SELECT promise, unit FROM voucher_mint WHERE id = ?", (part.voucher,)).fetchone()
            promise, unit = row or ("an unknown promise", "")
            wanted.append(f"{part.quantity} {unit} {promise}")
    return ", ".join(wanted)


def _leg(node: Node, leg: Leg) -> LegModel:
    promise, unit = node.db.execute("SELECT promise, unit FROM voucher_mint WHERE id = ?", (leg.voucher,)).fetchone()
    return LegModel(leg.giver.hex(), leg.receiver.hex(), leg.voucher.hex(), promise, unit, leg.quantity)


def _why_refused(node: Node, proposal: BlockHash, stands: Standing) -> str:
    loss = loss_in(node.db, proposal, node.identity.public_key) if stands is Standing.REFUSED else None
    return loss.reason if loss else ""


def _reason(node: Node, proposal: BlockHash) -> str:
    row = node.db.execute(
        "SELECT reason FROM voucher_cancel c JOIN voucher_exchange e USING (proposal)"
        " WHERE proposal = ? AND c.author IN (e.proposer, e.counterparty) ORDER BY c.block LIMIT 1",
        (proposal,),
    ).fetchone()
    return row[0] if row else ""
