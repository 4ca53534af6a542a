"""Vouchers and their exchange: promises, offers, both halves of an agreement, and the word of an issuer on it.

What changes hands stands in the body, of which a half shows only the commitment: see `bodies`.
"""

from overlay.trustchain.statements.base import (
    Amount,
    Commitment,
    Hash,
    Line,
    Mask,
    Name,
    Quantity,
    Statement,
    Time,
    Unit,
)
from overlay.trustchain.statements.content import Media


class Mint(Statement, frozen=True, tag="mint"):
    """A voucher: a promise of goods or services. The block's hash is the voucher's id."""

    promise: Name
    unit: Unit
    quantity: Quantity
    terms: Line
    expires: Time  # 0: never
    media: Media | None


class OfferSwap(Statement, frozen=True, tag="swap"):
    """An offer to one member: what the signer would give (legs) and wants in return stands in the body."""

    valid_until: Time
    body: Commitment


class ProposeExchange(Statement, frozen=True, tag="proposal"):
    """The first half: legs stand in the body. `weight` is what the signer says it received, in the charter's scale."""

    valid_until: Time
    body: Commitment
    weight: Amount
    offer: Hash | None  # the OfferSwap that this takes up


class AgreeExchange(Statement, frozen=True, tag="agreement"):
    """The second half; it names the hash of the first, so that its terms cannot be swapped."""

    proposal: Hash
    weight: Amount


class CancelExchange(Statement, frozen=True, tag="cancel"):
    """The proposer takes an unanswered proposal or offer back, or the other party declines it."""

    proposal: Hash
    reason: Line


class Witness(Statement, frozen=True, tag="witness"):
    """The word of a voucher's issuer on an agreed exchange: whether it is the first to spend its inputs.

    `legs` is the bit mask of the parts of the body that are legs of the signer's vouchers: it has judged them all.
    """

    proposal: Hash
    agreement: Hash
    legs: Mask
    first: bool
