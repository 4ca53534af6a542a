"""Choosing what to give, and writing the body of an offer or proposal."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from overlay.economy.errors import Refused
from overlay.economy.holdings import Holding, issuer_of
from overlay.economy.standing import current_holdings, free_holdings
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.commitment import MAX_PARTS
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import (
    MAX_INPUTS,
    MAX_ISSUERS,
    MAX_QUANTITY,
    Deed,
    Issuer,
    Leg,
    Note,
    Part,
    Source,
    Want,
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity of one voucher, in its smallest steps."""

    voucher: BlockHash
    quantity: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A leg before it is known which issuers the whole body concerns."""

    from_proposer: bool
    voucher: bytes
    inputs: tuple[Source, ...]
    quantity: int
    change: int


def draft(tx: Transaction, amounts: Sequence[Amount]) -> list[Draft]:
    """Legs that give these amounts out of our own free holdings. Raises Refused."""
    if not amounts or len({each.voucher for each in amounts}) < len(amounts):
        raise Refused("an exchange hands over at least one voucher, and each only once")
    return [leg for amount in amounts for leg in _draft_one(tx, amount)]


def _draft_one(tx: Transaction, amount: Amount) -> Iterator[Draft]:
    """As few holdings as possible; more than one leg where they are too many for one."""
    if not 1 <= amount.quantity <= MAX_QUANTITY:
        raise Refused(f"one gives at least 1 of a voucher, not {amount.quantity}")
    chosen, left = _choose(tx, amount), amount.quantity
    for at in range(0, len(chosen), MAX_INPUTS):
        some = chosen[at : at + MAX_INPUTS]
        total = sum(each.quantity for each in some)
        moved = min(total, left)
        sources = sorted((each.source for each in some), key=lambda source: (source.block, source.index))
        yield Draft(True, amount.voucher, tuple(sources), moved, total - moved)
        left -= moved


def _choose(tx: Transaction, amount: Amount) -> list[Holding]:
    """Our free holdings of a voucher, the largest first, until they suffice."""
    if issuer_of(tx.db, amount.voucher) is None:
        raise Refused("this node knows no such voucher")
    me, chosen, total = tx.identity.public_key, list[Holding](), 0
    for each in free_holdings(tx.db, me, amount.voucher, tx.now):
        chosen.append(each)
        total += each.quantity
        if total >= amount.quantity:
            return chosen
    held = current_holdings(tx.db, me, tx.now, amount.voucher)
    waiting = sum(each.holding.quantity for each in held if each.pending)
    also = f" ({waiting} more wait in open proposals)" if waiting else ""
    raise Refused(f"you hold {total} of this voucher, not {amount.quantity}{also}")


def body_of(db: sqlite3.Connection, drafts: Sequence[Draft], rest: Sequence[Want | Deed | Note]) -> list[Part]:
    """The parts of a body: the legs, each of which names all issuers concerned, then the rest. Raises Refused."""
    if len(drafts) + len(rest) > MAX_PARTS:
        raise Refused(f"an exchange has at most {MAX_PARTS} legs and texts; give less at once")
    issuers = [issuer_of(db, each.voucher) for each in drafts]
    masks = masks_of(issuers)
    if len(masks) > MAX_ISSUERS:
        raise Refused(f"an exchange concerns at most {MAX_ISSUERS} issuers; give less at once")
    legs = [
        Leg(each.from_proposer, each.voucher, each.inputs, each.quantity, each.change, *named(masks, issuer))
        for each, issuer in zip(drafts, issuers, strict=True)
        if issuer is not None
    ]
    if len(legs) < len(drafts):
        raise Refused("this node does not know a voucher that would change hands")
    return [*legs, *rest]


def masks_of(issuers: Sequence[PublicKey | None]) -> dict[PublicKey, int]:
    """Which parts of a body are legs of which issuer, as bit masks; `issuers` are those of the legs in order."""
    masks: dict[PublicKey, int] = {}
    for position, issuer in enumerate(issuers):
        if issuer is not None:
            masks[issuer] = masks.get(issuer, 0) | 1 << position
    return masks


def named(masks: dict[PublicKey, int], issuer: PublicKey) -> tuple[int, tuple[Issuer, ...]]:
    """What a leg in a voucher of `issuer` says of all issuers concerned."""
    others = tuple(Issuer(key, masks[key]) for key in sorted(masks) if key != issuer)
    return masks[issuer], others
