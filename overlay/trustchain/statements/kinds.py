"""Which statements there are: the types of blocks that can say them, and their one encoding."""

from typing import Final, cast, get_args

import msgspec

from overlay.trustchain.statements.base import MalformedStatement, Statement
from overlay.trustchain.statements.charters import (
    FoundAssembly,
    FoundCouncil,
    FoundGroup,
    FoundLimitedCouncil,
    HandOver,
    HoldLedgerShare,
    HoldShare,
    SignCharter,
)
from overlay.trustchain.statements.content import AgreeTally, AnnounceSeed, TallyUpload
from overlay.trustchain.statements.decisions import CastVote, Comment, Decide, Delegate, DeliverWork, RecordPayout
from overlay.trustchain.statements.exchanges import (
    AgreeExchange,
    CancelExchange,
    Mint,
    OfferSwap,
    ProposeExchange,
    Witness,
)
from overlay.trustchain.statements.members import AdmitMember, FoundCommons, Profile, SucceedKey, VouchForKey
from overlay.trustchain.statements.proposals import (
    AcceptWork,
    AmendCharter,
    InstructVote,
    ProposeDocument,
    ProposePayment,
    ProposePayments,
    ProposeText,
    ProposeWork,
)

Declare = (
    FoundCommons
    | AdmitMember
    | SucceedKey
    | VouchForKey
    | Profile
    | AnnounceSeed
    | FoundGroup
    | FoundCouncil
    | FoundLimitedCouncil
    | FoundAssembly
    | SignCharter
    | HoldShare
    | HoldLedgerShare
    | HandOver
)
Intent = OfferSwap
Exchange = ProposeExchange | AgreeExchange | CancelExchange
Attest = Witness | TallyUpload | AgreeTally | RecordPayout | DeliverWork
Propose = (
    ProposePayment
    | ProposePayments
    | ProposeText
    | ProposeDocument
    | AmendCharter
    | ProposeWork
    | AcceptWork
    | InstructVote
)
Vote = CastVote | Delegate | Comment
Anything = Declare | Mint | Intent | Exchange | Attest | Propose | Vote | Decide

KINDS: Final[dict[bytes, object]] = {
    b"declare": Declare,  # one half
    b"mint": Mint,  # one half, by the issuer
    b"intent": Intent,  # one half
    b"exchange": Exchange,  # a pair, and its cancellation
    b"attest": Attest,  # one half or a pair
    b"propose": Propose,
    b"vote": Vote,
    b"decide": Decide,
}


def _members(union: object) -> tuple[type[Statement], ...]:
    return get_args(union) or (cast(type[Statement], union),)


_DECODERS = {kind: msgspec.msgpack.Decoder(union) for kind, union in KINDS.items()}
_KIND_OF = {struct: kind for kind, union in KINDS.items() for struct in _members(union)}
_encode = msgspec.msgpack.Encoder().encode


def encode(statement: Anything) -> tuple[bytes, bytes]:
    """The block type and the transaction of a statement. Raises MalformedStatement when a field is out of bounds."""
    kind, raw = _KIND_OF[type(statement)], _encode(statement)
    decode(kind, raw)
    return kind, raw


def decode(kind: bytes, transaction: bytes) -> Anything | None:
    """The statement of a block; None for a foreign kind. Raises MalformedStatement."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    try:
        statement = decoder.decode(transaction)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedStatement(f"a {kind.decode()} statement is malformed: {error}") from error
    if _encode(statement) != transaction:
        raise MalformedStatement(f"a {kind.decode()} statement is not in its shortest encoding")
    return cast(Anything, statement)
