"""What a node looks at before its member agrees to anything."""

import sqlite3
from collections.abc import Sequence

from overlay.economy.drafting import masks_of, named
from overlay.economy.errors import Refused
from overlay.economy.facts import Leg as FoldedLeg
from overlay.economy.facts import inputs_of, legs_of
from overlay.economy.holdings import issuer_of
from overlay.economy.making import is_whole
from overlay.economy.making import legs_of as places_of
from overlay.economy.standing import Standing, is_complete, look_at, standing
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction, meaning
from overlay.trustchain.statements import (
    Leg,
    MalformedStatement,
    OfferSwap,
    Part,
    ProposeExchange,
    decode_part,
)


def can_be_judged(db: sqlite3.Connection, proposal: BlockHash) -> bool:
    """Whether all terms of a proposal or offer have arrived, with what proves that its legs are backed."""
    number = blocks.find_id(db, proposal)
    if number is None or not is_complete(db, number):
        return False
    return all(is_whole(db, leg) for leg in places_of(db, number))


def open_body(tx: Transaction, proposal: BlockHash) -> tuple[HalfBlock, list[Part]]:
    """An unanswered proposal or offer with all its parts; raises Refused when it cannot be answered."""
    block = blocks.by_hash(tx.db, proposal)
    if block is None or not isinstance(meaning(block), ProposeExchange | OfferSwap):
        raise Refused("this node knows no such proposal or offer")
    if blocks.has_forked(tx.db, block.public_key):
        raise Refused(f"{short(block.public_key)} is proven to have signed two histories; its word is worth nothing")
    now = standing(tx.db, proposal, tx.now)
    if now is not Standing.OPEN:
        raise Refused(f"this can no longer be answered: it is {now.value}")
    if not is_complete(tx.db, blocks.block_id(tx.db, proposal)):
        raise Refused("some terms of this proposal have not arrived; try again when its author is online")
    try:
        return block, [decode_part(part.content) for part in blocks.parts(tx.db, proposal)]
    except MalformedStatement as error:
        raise Refused(f"the terms of this proposal cannot be read: {error}") from error


def check_issuers(db: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """Every leg must name all issuers concerned, truly: on that depends that all legs move, or none. Raises Refused."""
    issuers = [issuer_of(db, BlockHash(part.voucher)) if isinstance(part, Leg) else None for part in parts]
    masks = masks_of(issuers)
    for part, issuer in zip(parts, issuers, strict=True):
        if not isinstance(part, Leg):
            continue
        if issuer is None:
            raise Refused("this proposal gives a voucher that is not known to exist")
        if (part.parts, part.others) != named(masks, issuer):
            raise Refused("this proposal does not say truly whose word it needs")


def check_terms(tx: Transaction, proposal: BlockHash, parts: Sequence[Part]) -> list[FoldedLeg]:
    """The legs of a proposal, when they are what they seem: each holding is given once, by who holds it. May refuse."""
    check_issuers(tx.db, parts)
    legs = legs_of(tx.db, proposal)
    sources = [(source.block, source.index) for leg in legs for source in inputs_of(tx.db, leg)]
    if len(set(sources)) < len(sources):
        raise Refused("this proposal gives one holding twice")
    for leg in legs:
        if not is_whole(tx.db, leg.place):
            raise Refused(f"{short(leg.giver)} would give what it is not known to hold")
        if leg.has_expired(tx.now):
            raise Refused("this proposal gives a promise that has expired")
    return legs


def check_given(tx: Transaction, legs: Sequence[FoldedLeg], giver: PublicKey, *, allow_provisional: bool) -> None:
    """What the other side gives must be unspent, and final: at least where our own agreement is the issuer's word."""
    for leg in legs:
        must_be_final = leg.issuer == tx.identity.public_key or not allow_provisional
        for source in inputs_of(tx.db, leg):
            look = look_at(tx.db, source, tx.now)
            if look is None or not look.is_there:
                raise Refused(f"{short(giver)} would give what it has already spent")
            if look.came is not Standing.FINAL and must_be_final:
                raise Refused("what is given is not final yet: its issuer has still to confirm it")


def check_own(tx: Transaction, legs: Sequence[FoldedLeg], offer: bytes | None) -> None:
    """What the other side says that we give must be unspent, and promised nowhere else but in the offer taken up."""
    but = frozenset(() if offer is None else (blocks.block_id(tx.db, offer),))
    for leg in legs:
        must_be_final = leg.issuer == tx.identity.public_key
        for source in inputs_of(tx.db, leg):
            look = look_at(tx.db, source, tx.now, but)
            if look is None or not look.is_there:
                raise Refused("this proposal names a holding that is no longer yours")
            if look.came is not Standing.FINAL and must_be_final:
                raise Refused("what you would give is not final yet: another issuer has still to confirm it")
            if look.bound:
                raise Refused("what you would give is bound by another open proposal; cancel that first")
