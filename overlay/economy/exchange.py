"""What members do with vouchers: mint, offer, propose, agree, cancel, witness.

Each function is one decision inside one ledger transaction: it checks, signs, and posts what the others need to the
outbox. Refusals raise `Refused` with a sentence for people. Nothing here waits for the network.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from overlay.clock import Randomness
from overlay.economy.holdings import agreement_of, is_whole, issuer_of
from overlay.economy.provenance import post_leg, post_sources
from overlay.economy.standing import (
    Leg as FoldedLeg,
)
from overlay.economy.standing import (
    Standing,
    current_holdings,
    inputs_of,
    legs_of,
    rivals_of,
    standing,
    word_on,
)
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Body
from overlay.trustchain.ledger import Transaction, meaning
from overlay.trustchain.outbox import ALL_PARTS
from overlay.trustchain.statements import (
    AgreeExchange,
    CancelExchange,
    Deed,
    Leg,
    Note,
    OfferSwap,
    Part,
    ProposeExchange,
    Want,
    Witness,
    decode_part,
    encode_part,
)


class Refused(Exception):
    """The ledger does not allow this; the message is one clear sentence for people."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity of one voucher, in its smallest steps."""

    voucher: BlockHash
    quantity: int


def offer_swap(
    tx: Transaction, random: Randomness, to: PublicKey, give: Amount, want: Amount, valid_until: int
) -> HalfBlock:
    """Offer `give` to one member for `want`. It binds the holdings that it names until taken up or cancelled."""
    _refuse_strangers(tx, to)
    leg = _leg(tx, give, from_proposer=True)
    body = Body([encode_part(leg), encode_part(Want(want.voucher, want.quantity))], random)
    block = tx.append(OfferSwap(valid_until, body.root), to=to, body=body)
    tx.post(to, block.hash, ALL_PARTS)
    post_sources(tx, to, leg.inputs)
    return block


def accept_offer(tx: Transaction, random: Randomness, offer: BlockHash) -> HalfBlock:
    """Take up an offer: propose the exchange with the legs of both; the other side's node agrees by itself."""
    block, parts = _open_body(tx, offer)
    if block.link_public_key != tx.identity.public_key:
        raise Refused("this offer was made to another member")
    wants = [part for part in parts if isinstance(part, Want)]
    theirs = [part for part in parts if isinstance(part, Leg)]
    said = meaning(block)
    if not isinstance(said, OfferSwap) or len({want.voucher for want in wants}) < len(wants) or not wants or not theirs:
        raise Refused("this offer does not say what is given and what is wanted")
    _check_legs(tx, legs_of(tx.db, offer), block.public_key)
    mine = [_leg(tx, Amount(BlockHash(want.voucher), want.quantity), from_proposer=True) for want in wants]
    legs = [*mine, *(Leg(False, leg.voucher, leg.inputs, leg.quantity, leg.change) for leg in theirs)]
    return _propose(tx, random, block.public_key, legs, said.valid_until, weight=0, offer=offer)


def propose(
    tx: Transaction,
    random: Randomness,
    to: PublicKey,
    give: Sequence[Amount],
    valid_until: int,
    deed: str = "",
    note: str = "",
    weight: int = 0,
) -> HalfBlock:
    """Propose to hand over vouchers; `deed` is what the receiver did for it, `weight` what that is worth to us."""
    _refuse_strangers(tx, to)
    if not give or len({each.voucher for each in give}) < len(give):
        raise Refused("an exchange hands over at least one voucher, and each only once")
    parts: list[Part] = [_leg(tx, each, from_proposer=True) for each in give]
    if deed:
        parts.append(Deed(False, deed))
    if note:
        parts.append(Note(note))
    return _propose(tx, random, to, parts, valid_until, weight, offer=None)


def agree(tx: Transaction, proposal: BlockHash, weight: int = 0, allow_provisional: bool = False) -> HalfBlock:
    """Countersign a proposal made to us, after checking every part of it."""
    block, _ = _open_body(tx, proposal)
    if block.link_public_key != tx.identity.public_key:
        raise Refused("this exchange was proposed to another member")
    legs = legs_of(tx.db, proposal)
    _check_legs(tx, [leg for leg in legs if leg.giver == block.public_key], block.public_key, allow_provisional)
    offer = said.offer if isinstance(said := meaning(block), ProposeExchange) else None
    _check_own(tx, [leg for leg in legs if leg.giver == tx.identity.public_key], offer)
    agreement = tx.append(AgreeExchange(proposal, weight), link=block)
    tx.post(block.public_key, agreement.hash)
    for issuer in {leg.issuer for leg in legs}:
        for_issuer = [leg for leg in legs if leg.issuer == issuer]
        _ask_witness(tx, issuer, for_issuer, agreement)
    return agreement


def cancel(tx: Transaction, proposal: BlockHash, reason: str = "") -> HalfBlock:
    """Take an own proposal or offer back, or decline one made to us, as long as it is not agreed."""
    block = blocks.by_hash(tx.db, proposal)
    me = tx.identity.public_key
    if block is None or me not in (block.public_key, block.link_public_key):
        raise Refused("there is no such proposal of yours or to you")
    if standing(tx.db, proposal, tx.now) is not Standing.OPEN:
        raise Refused("only a proposal that waits for an answer can be cancelled or declined")
    other = block.link_public_key if block.public_key == me else block.public_key
    cancelled = tx.append(CancelExchange(proposal, reason), to=other)
    tx.post(other, cancelled.hash)
    return cancelled


def react(tx: Transaction, proposals: Iterable[BlockHash]) -> None:
    """What a node does by itself when it learns of these exchanges; repeating it changes nothing."""
    for proposal in sorted(set(proposals)):
        block = blocks.by_hash(tx.db, proposal)
        if block is None:
            continue
        if block.link_public_key == tx.identity.public_key:
            _answer(tx, block)
        _witness(tx, block)


def unfinished(db: sqlite3.Connection) -> set[BlockHash]:
    """Every exchange about which something may still have to be said: for a node that has just started."""
    rows = db.execute(
        "SELECT proposal FROM voucher_exchange e WHERE NOT is_offer AND NOT EXISTS"
        " (SELECT 1 FROM voucher_witness w WHERE w.proposal = e.proposal)"
    )
    return {BlockHash(proposal) for (proposal,) in rows}


def _answer(tx: Transaction, block: HalfBlock) -> None:
    """Decline what a proven cheat proposes; agree to what takes up an own offer exactly as it was made."""
    if standing(tx.db, block.hash, tx.now) is not Standing.OPEN:
        return
    if blocks.has_forked(tx.db, block.public_key):
        cancel(tx, block.hash, "your key has signed two histories: this is proven")
        return
    said = meaning(block)
    if isinstance(said, ProposeExchange) and said.offer is not None and _matches_offer(tx, block, said.offer):
        try:
            agree(tx, block.hash)
        except Refused as refusal:
            cancel(tx, block.hash, str(refusal))


def _matches_offer(tx: Transaction, block: HalfBlock, offer: bytes) -> bool:
    """Whether a proposal is exactly our own open offer with the wanted legs of its acceptor added."""
    made = blocks.by_hash(tx.db, offer)
    if made is None or made.public_key != tx.identity.public_key or made.link_public_key != block.public_key:
        return False
    if standing(tx.db, offer, tx.now) is not Standing.OPEN or not _is_complete(tx.db, block.hash):
        return False
    _, offered = _open_body(tx, BlockHash(offer))
    _, proposed = _open_body(tx, block.hash)
    given = [Leg(False, p.voucher, p.inputs, p.quantity, p.change) for p in offered if isinstance(p, Leg)]
    wanted = sorted((p.voucher, p.quantity) for p in offered if isinstance(p, Want))
    ours = [p for p in proposed if isinstance(p, Leg) and not p.from_proposer]
    theirs = sorted((p.voucher, p.quantity) for p in proposed if isinstance(p, Leg) and p.from_proposer)
    return ours == given and theirs == wanted and len(ours) + len(theirs) == len(proposed)


def _witness(tx: Transaction, block: HalfBlock) -> None:
    """Give our word, as issuer, on the legs of an agreed exchange that have none of ours yet."""
    agreement = agreement_of(tx.db, block.hash)
    if agreement is None:
        return
    legs = [
        leg
        for leg in legs_of(tx.db, block.hash)
        if leg.issuer == tx.identity.public_key and word_on(tx.db, leg) is None
        if is_whole(tx.db, block.hash, leg.position)
    ]
    if not legs or not _is_my_turn(tx, block.hash):
        return
    first = _in_time(tx, block) and all(_is_first(tx, leg) for leg in legs)
    mask = sum(1 << leg.position for leg in legs)
    word = tx.append(Witness(block.hash, agreement[0], mask, first), to=block.public_key)
    for party in (block.public_key, block.link_public_key):
        tx.post(party, word.hash)
    for leg in legs if not first else ():
        for rival in rivals_of(tx.db, leg):  # proof for the loser
            for party in (block.public_key, block.link_public_key):
                post_leg(tx, party, rival)


def _is_my_turn(tx: Transaction, proposal: bytes) -> bool:
    """Issuers give their word in the order of their keys, each only when those before it accepted (DESIGN 3.3)."""
    earlier = [leg for leg in legs_of(tx.db, proposal) if leg.issuer < tx.identity.public_key]
    words = [word_on(tx.db, leg) for leg in earlier]
    return all(word is not None and word.first for word in words)


def _in_time(tx: Transaction, block: HalfBlock) -> bool:
    valid_until, cancelled = tx.db.execute(
        "SELECT valid_until, EXISTS (SELECT 1 FROM voucher_cancel c WHERE c.proposal = e.proposal"
        " AND c.author IN (e.proposer, e.counterparty)) FROM voucher_exchange e WHERE proposal = ?",
        (block.hash,),
    ).fetchone()
    return bool(tx.now <= valid_until and not cancelled)


def _is_first(tx: Transaction, leg: FoldedLeg) -> bool:
    """Whether no other whole spend of the leg's inputs has our word already."""
    words = ((rival, word_on(tx.db, rival)) for rival in rivals_of(tx.db, leg))
    return not any(
        word is not None and word.first and is_whole(tx.db, rival.proposal, rival.position) for rival, word in words
    )


def _leg(tx: Transaction, amount: Amount, *, from_proposer: bool) -> Leg:
    """A leg out of our own free holdings, the largest first."""
    issuer = issuer_of(tx.db, amount.voucher)
    if issuer is None:
        raise Refused("this node knows no such voucher")
    mine = [
        each
        for each in current_holdings(tx.db, tx.identity.public_key, tx.now)
        if each.holding.voucher == amount.voucher
    ]
    free = [each.holding for each in mine if not each.pending]
    inputs, total = [], 0
    for each in sorted(free, key=lambda found: (-found.quantity, found.block, found.index)):
        if total < amount.quantity:
            inputs.append(each.source)
            total += each.quantity
    if total < amount.quantity:
        waiting = sum(each.holding.quantity for each in mine if each.pending)
        also = f" ({waiting} more wait in open proposals)" if waiting else ""
        raise Refused(f"you hold {total} of this voucher, not {amount.quantity}{also}")
    return Leg(from_proposer, amount.voucher, tuple(inputs), amount.quantity, total - amount.quantity)


def _propose(
    tx: Transaction,
    random: Randomness,
    to: PublicKey,
    parts: Sequence[Part],
    valid_until: int,
    weight: int,
    offer: BlockHash | None,
) -> HalfBlock:
    body = Body([encode_part(part) for part in parts], random)
    block = tx.append(ProposeExchange(valid_until, body.root, weight, offer), to=to, body=body)
    tx.post(to, block.hash, ALL_PARTS)
    for part in parts:
        if isinstance(part, Leg) and part.from_proposer:
            post_sources(tx, to, part.inputs)
    return block


def _refuse_strangers(tx: Transaction, to: PublicKey) -> None:
    if to == tx.identity.public_key:
        raise Refused("an exchange needs another member")
    if blocks.has_forked(tx.db, to):
        raise Refused(f"{short(to)} is proven to have signed two histories; nothing is exchanged with that key")


def can_be_judged(db: sqlite3.Connection, proposal: BlockHash) -> bool:
    """Whether all terms of a proposal or offer have arrived, with what proves that its legs are backed."""
    return _is_complete(db, proposal) and all(is_whole(db, proposal, leg.position) for leg in legs_of(db, proposal))


def _is_complete(db: sqlite3.Connection, block: BlockHash) -> bool:
    parts = blocks.parts(db, block)
    return bool(parts) and len(parts) == parts[0].count


def _open_body(tx: Transaction, proposal: BlockHash) -> tuple[HalfBlock, list[Part]]:
    """An unanswered proposal or offer with all its parts; raises Refused when it cannot be answered."""
    block = blocks.by_hash(tx.db, proposal)
    if block is None or not isinstance(meaning(block), ProposeExchange | OfferSwap):
        raise Refused("this node knows no such proposal or offer")
    if blocks.has_forked(tx.db, block.public_key):
        raise Refused(f"{short(block.public_key)} is proven to have signed two histories; its word is worth nothing")
    now = standing(tx.db, proposal, tx.now)
    if now is not Standing.OPEN:
        raise Refused(f"this can no longer be answered: it is {now.value}")
    if not _is_complete(tx.db, proposal):
        raise Refused("some terms of this proposal have not arrived; try again when its author is online")
    return block, [decode_part(part.content) for part in blocks.parts(tx.db, proposal)]


def _check_legs(tx: Transaction, legs: Sequence[FoldedLeg], giver: PublicKey, allow_provisional: bool = False) -> None:
    """Check what the other side gives: known, its own, unspent, final."""
    seen: set[tuple[bytes, int]] = set()
    for leg in legs:
        sources = inputs_of(tx.db, leg)
        if seen & set(sources) or not is_whole(tx.db, leg.proposal, leg.position):
            raise Refused(f"{short(giver)} would give what it is not known to hold")
        seen |= set(sources)
        held = {
            (each.holding.block, each.holding.index): each.standing for each in current_holdings(tx.db, giver, tx.now)
        }
        for source in sources:
            if source not in held:
                raise Refused(f"{short(giver)} would give what it has already spent")
            if held[source] is not Standing.FINAL and not allow_provisional:
                raise Refused("what is given is not final yet: its issuer has still to confirm it")


def _check_own(tx: Transaction, legs: Sequence[FoldedLeg], offer: bytes | None) -> None:
    """Check what the other side says that we give: ours, unspent, and promised nowhere else."""
    mine = {
        (each.holding.block, each.holding.index) for each in current_holdings(tx.db, tx.identity.public_key, tx.now)
    }
    for leg in legs:
        if not mine.issuperset(inputs_of(tx.db, leg)) or not is_whole(tx.db, leg.proposal, leg.position):
            raise Refused("this proposal names a holding that is not yours, or no longer")
        others = {rival.proposal for rival in rivals_of(tx.db, leg)} - {leg.proposal, offer}
        if any(standing(tx.db, other, tx.now) is Standing.OPEN for other in others):
            raise Refused("what you would give is bound by another open proposal; cancel that first")


def _ask_witness(tx: Transaction, issuer: PublicKey, legs: Sequence[FoldedLeg], agreement: HalfBlock) -> None:
    for leg in legs:
        post_leg(tx, issuer, leg)
    tx.post(issuer, agreement.hash)
