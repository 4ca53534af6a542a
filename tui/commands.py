"""The node's commands that forms send: where to, with what, and what comes back."""

from dataclasses import dataclass

from overlay.node.wire import (
    AcceptExchange,
    Ask,
    CastVote,
    CommentOn,
    CommonsModel,
    DeclineExchange,
    Done,
    FoundCommons,
    FoundGroup,
    Give,
    GroupId,
    InvitationModel,
    JoinCommons,
    MintVoucher,
    Nothing,
    OfferSwap,
    ProposePayment,
    ProposeText,
    Tell,
    Voucher,
)


@dataclass(frozen=True)
class Command:
    """One POST of the REST interface."""

    path: str
    request: type[Ask]
    answer: type[Tell]


FOUND_COMMONS = Command("commons/found", FoundCommons, CommonsModel)
JOIN_COMMONS = Command("commons/join", JoinCommons, CommonsModel)
INVITE = Command("commons/invite", Nothing, InvitationModel)
MINT = Command("voucher/mint", MintVoucher, Voucher)
OFFER_SWAP = Command("exchange/offer", OfferSwap, Done)
GIVE = Command("exchange/give", Give, Done)
ACCEPT = Command("exchange/accept", AcceptExchange, Done)
DECLINE = Command("exchange/decline", DeclineExchange, Done)
FOUND_GROUP = Command("group/found", FoundGroup, Done)
SIGN_CHARTER = Command("group/sign", GroupId, Done)
PROPOSE_PAYMENT = Command("proposal/pay", ProposePayment, Done)
PROPOSE_TEXT = Command("proposal/text", ProposeText, Done)
COMMENT = Command("proposal/comment", CommentOn, Done)
CAST_VOTE = Command("proposal/vote", CastVote, Done)
