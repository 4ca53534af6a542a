"""Vouchers that change hands."""

from typing import Annotated, Literal

from msgspec import Meta

from overlay.node.wire.base import Ask, Id, Line, Minutes, Quantity, Tell


class OfferSwap(Ask, frozen=True):
    """Offer some of one voucher to a member for some of another."""

    to: str
    give: Id
    give_quantity: Quantity
    want: Id
    want_quantity: Quantity
    minutes: Minutes = 60


class Give(Ask, frozen=True):
    """Propose to hand a voucher over: as a gift, for a deed, or (to its issuer) to redeem it.

    `worth` is what the receiver did for it, in the commons' scale: it becomes the receiver's reputation.
    """

    to: str
    voucher: Id
    quantity: Quantity
    deed: Line = ""
    note: Line = ""
    worth: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    minutes: Minutes = 60


class AcceptExchange(Ask, frozen=True):
    """Accept an offer or a proposal. `provisional` takes what its issuer has not confirmed yet, up to the limit that
    follows from the giver's reputation; `beyond_limit` also more, at your own risk."""

    id: Id
    provisional: bool = False
    beyond_limit: bool = False


class DeclineExchange(Ask, frozen=True):
    """Decline what was proposed to you, or take back what you proposed."""

    id: Id
    reason: Line = ""


class LegModel(Tell, frozen=True):
    giver: str
    receiver: str
    voucher: str
    promise: str
    unit: str
    quantity: int


class ExchangeModel(Tell, frozen=True):
    """An exchange or offer of this member. `waiting_for` names whose word is missing; `to_answer` when it is ours."""

    id: str
    agreement: str
    is_offer: bool
    proposer: str
    proposer_name: str
    counterparty: str
    counterparty_name: str
    legs: tuple[LegModel, ...]
    wants: str
    deed: str
    note: str
    standing: Literal["proposed", "cancelled", "lapsed", "unproven", "provisional", "final", "refused"]
    waiting_for: str
    reason: str
    to_answer: bool
    valid_until: int
    timestamp: int


class Exchanges(Tell, frozen=True):
    exchanges: tuple[ExchangeModel, ...]
