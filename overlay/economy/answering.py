"""Agreeing to what was proposed, or cancelling it: one decision, inside one ledger transaction."""

from overlay.economy.checks import check_given, check_own, check_terms, open_body
from overlay.economy.errors import Refused
from overlay.economy.facts import legs_of
from overlay.economy.limits import check_limit
from overlay.economy.provenance import post, trail_of_leg
from overlay.economy.standing import Standing, standing
from overlay.economy.succession import newest_key_of
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction, meaning
from overlay.trustchain.statements import AgreeExchange, CancelExchange, ProposeExchange


def agree(
    tx: Transaction,
    proposal: BlockHash,
    weight: int = 0,
    allow_provisional: bool = False,
    limit: int | None = None,
) -> HalfBlock:
    """Countersign a proposal made to us, after checking every part of it. `limit` is how much may be taken
    provisionally from the proposer, in the commons' scale; None for any amount."""
    block, parts = open_body(tx, proposal)
    said = meaning(block)
    if block.link_public_key != tx.identity.public_key or not isinstance(said, ProposeExchange):
        raise Refused("this exchange was proposed to another member")
    legs = check_terms(tx, proposal, parts)
    theirs = [leg for leg in legs if leg.giver == block.public_key]
    check_given(tx, theirs, block.public_key, allow_provisional=allow_provisional)
    if limit is not None:
        check_limit(tx, theirs, block.public_key, said.weight, limit)
    check_own(tx, [leg for leg in legs if leg.giver == tx.identity.public_key], said.offer)
    judges = [(newest_key_of(tx.db, leg.issuer), leg) for leg in legs]
    trails = [(judge, trail_of_leg(tx.db, judge, leg)) for judge, leg in judges if judge != block.public_key]
    agreement = tx.append(AgreeExchange(proposal, weight), link=block)
    tx.post(block.public_key, agreement.hash)
    for issuer, trail in trails:
        post(tx, issuer, trail)
        tx.post(issuer, agreement.hash)
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
    # The issuers too: should the other side agree all the same, they decide which came first.
    for receiver in sorted({other, *(newest_key_of(tx.db, leg.issuer) for leg in legs_of(tx.db, proposal))}):
        tx.post(receiver, cancelled.hash)
    return cancelled
