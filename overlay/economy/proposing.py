"""Offering and proposing: what a member would give, and what for.

Each function is one decision inside one ledger transaction: it checks, signs, and posts what the other needs to the
outbox. Refusals raise `Refused` with a sentence for people, before anything is signed.
"""

from collections.abc import Sequence

from overlay.clock import Randomness
from overlay.economy.checks import check_given, check_terms, open_body
from overlay.economy.drafting import Amount, Draft, body_of, draft
from overlay.economy.errors import Refused
from overlay.economy.provenance import post, trail_of_sources
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Body
from overlay.trustchain.ledger import Transaction, meaning
from overlay.trustchain.outbox import ALL_PARTS
from overlay.trustchain.statements import Deed, Leg, Note, OfferSwap, Part, ProposeExchange, Want, encode_part


def offer_swap(
    tx: Transaction, random: Randomness, to: PublicKey, give: Amount, want: Amount, valid_until: int
) -> HalfBlock:
    """Offer `give` to one member for `want`. It binds the holdings that it names until taken up or cancelled."""
    _refuse_strangers(tx, to)
    drafts = draft(tx, [give])
    trail = trail_of_sources(tx.db, to, [source for each in drafts for source in each.inputs])
    body = _body(tx, random, body_of(tx.db, drafts, [Want(want.voucher, want.quantity)]))
    block = tx.append(OfferSwap(valid_until, body.root), to=to, body=body)
    tx.post(to, block.hash, ALL_PARTS)
    post(tx, to, trail)
    return block


def accept_offer(tx: Transaction, random: Randomness, offer: BlockHash) -> HalfBlock:
    """Take up an offer: propose the exchange with the legs of both; the other side's node agrees by itself."""
    block, parts = open_body(tx, offer)
    if block.link_public_key != tx.identity.public_key:
        raise Refused("this offer was made to another member")
    wants = [part for part in parts if isinstance(part, Want)]
    theirs = [part for part in parts if isinstance(part, Leg)]
    said = meaning(block)
    is_clear = wants and theirs and all(leg.from_proposer for leg in theirs)
    if not isinstance(said, OfferSwap) or not is_clear:
        raise Refused("this offer does not say what is given and what is wanted")
    check_given(tx, check_terms(tx, offer, parts), block.public_key, allow_provisional=False)
    mine = draft(tx, [Amount(BlockHash(want.voucher), want.quantity) for want in wants])
    given = [Draft(False, leg.voucher, leg.inputs, leg.quantity, leg.change) for leg in theirs]
    body = body_of(tx.db, [*mine, *given], [])
    return _propose(tx, random, block.public_key, body, said.valid_until, weight=0, offer=offer)


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
    rest: list[Deed | Note] = [*((Deed(False, deed),) if deed else ()), *((Note(note),) if note else ())]
    return _propose(tx, random, to, body_of(tx.db, draft(tx, give), rest), valid_until, weight, offer=None)


def _propose(
    tx: Transaction,
    random: Randomness,
    to: PublicKey,
    parts: Sequence[Part],
    valid_until: int,
    weight: int,
    offer: BlockHash | None,
) -> HalfBlock:
    given = [source for part in parts if isinstance(part, Leg) and part.from_proposer for source in part.inputs]
    trail = trail_of_sources(tx.db, to, given)
    body = _body(tx, random, parts)
    block = tx.append(ProposeExchange(valid_until, body.root, weight, offer), to=to, body=body)
    tx.post(to, block.hash, ALL_PARTS)
    post(tx, to, trail)
    return block


def _body(tx: Transaction, random: Randomness, parts: Sequence[Part]) -> Body:
    return Body([encode_part(part) for part in parts], random)


def _refuse_strangers(tx: Transaction, to: PublicKey) -> None:
    if to == tx.identity.public_key:
        raise Refused("an exchange needs another member")
    if blocks.has_forked(tx.db, to):
        raise Refused(f"{short(to)} is proven to have signed two histories; nothing is exchanged with that key")
