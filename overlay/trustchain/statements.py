"""What a half-block of ours can say: one frozen struct per statement, strict msgpack arrays (DESIGN 3.2).

The block's type is the kind (`mint`, `exchange`, ...); the transaction is a tagged array. Decoding accepts exactly
what encoding makes: unknown tags and fields, trailing bytes, longer encodings of a number are refused. Amounts are
integers in a unit's smallest step; times are milliseconds since the Unix epoch; keys are 74 bytes, hashes 32.
"""

from typing import Annotated, Final, cast, get_args

import msgspec
from msgspec import Meta

Key = Annotated[bytes, Meta(min_length=74, max_length=74)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Commitment = Annotated[bytes, Meta(max_length=32)]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Line = Annotated[str, Meta(max_length=280)]
Unit = Annotated[str, Meta(min_length=1, max_length=20)]
# 2^53 - 1: the largest integer that every JSON reader keeps.
MAX_QUANTITY: Final = 9_007_199_254_740_991
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
Amount = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Time = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Small = Annotated[int, Meta(ge=0, le=255)]
# The longest wait that a charter can ask for: 30 days of milliseconds.
MAX_WAIT: Final = 30 * 24 * 3_600_000
# A bit for each of at most 32 parts of a body.
Mask = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
# 32 inputs of 37 bytes and 15 other issuers of 82 make a leg of 2.5 kB, below the 4,096 bytes of a part.
MAX_INPUTS: Final = 32
MAX_ISSUERS: Final = 16


class MalformedStatement(ValueError):
    """A transaction or part of ours that says nothing valid; the message names the kind and the fault."""


class Statement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of all statements."""


class Media(Statement, frozen=True):
    """Content by BitTorrent: the infohash (v2) finds it, SHA-256 of the whole file proves it; `size` in bytes."""

    infohash: Hash
    sha256: Hash
    size: Annotated[int, Meta(ge=1, le=1 << 40)]


# declare: one half ---------------------------------------------------------------------------------------------------


class FoundCommons(Statement, frozen=True, tag="commons"):
    """The founding charter of a commons; the first 20 bytes of this block's hash are the commons' id."""

    name: Name
    purpose: Line
    mib_weight: Amount  # what one MiB of useful upload lends to reputation, in the charter's scale


class AdmitMember(Statement, frozen=True, tag="admit"):
    """The signer, a member, vouches for another who came with an invitation."""

    member: Key


class Profile(Statement, frozen=True, tag="profile"):
    """How a member wants to be shown; the newest on its chain counts."""

    name: Name
    about: Line
    headless: bool = False


class AnnounceSeed(Statement, frozen=True, tag="seed"):
    """The port at which the signer shares content; the newest on its chain counts.

    The BitTorrent peer id follows from the signer's key, so nobody can announce another's and collect its merit.
    """

    port: Annotated[int, Meta(ge=1, le=65535)]


class FoundGroup(Statement, frozen=True, tag="group"):
    """A group's charter: who belongs, how many yes votes decide, how many shares sign. The block's hash is its id."""

    name: Name
    purpose: Line
    members: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=10)]
    approvals: Annotated[int, Meta(ge=1, le=10)]
    threshold: Annotated[int, Meta(ge=1, le=10)]


class SignCharter(Statement, frozen=True, tag="sign-charter"):
    """The signer accepts the charter and binds the host key (secp256k1, 33 bytes) that its shares will hang on."""

    group: Hash
    host_key: Annotated[bytes, Meta(min_length=33, max_length=33)]


class HoldShare(Statement, frozen=True, tag="share"):
    """The signer holds a share of this threshold key (33 bytes) of the group."""

    group: Hash
    threshold_key: Annotated[bytes, Meta(min_length=33, max_length=33)]
    recovery_hash: Hash


class Rule(Statement, frozen=True):
    """How one class of a group's decisions is made.

    `count` asks for `share` yes votes, `majority` for more than half, `supermajority` for `share` percent, `unanimous`
    for all: of the members, or with `of_votes` of the yes and no votes that were cast. `quorum` members must have voted
    in any way; where they have not by the deadline, the `fallback` lets the proposal lapse, or lets those decide who
    have voted. What is decided is carried out `delay` milliseconds later.
    """

    way: Annotated[str, Meta(pattern="^(count|majority|supermajority|unanimous)$")]
    share: Annotated[int, Meta(ge=0, le=100)] = 0
    of_votes: bool = False
    quorum: Annotated[int, Meta(ge=0, le=10)] = 0
    delay: Annotated[int, Meta(ge=0, le=MAX_WAIT)] = 0
    fallback: Annotated[str, Meta(pattern="^(lapse|without-quorum)$")] = "lapse"


class FoundCouncil(Statement, frozen=True, tag="council"):
    """A group's charter as `FoundGroup`, with a rule for each class of decision."""

    name: Name
    purpose: Line
    members: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=10)]
    threshold: Annotated[int, Meta(ge=1, le=10)]
    payments: Rule
    texts: Rule


# mint: one half, by the issuer ---------------------------------------------------------------------------------------


class Mint(Statement, frozen=True, tag="mint"):
    """A voucher: a promise of goods or services. The block's hash is the voucher's id."""

    promise: Name
    unit: Unit
    quantity: Quantity
    terms: Line
    expires: Time  # 0: never
    media: Media | None


# intent: one half ----------------------------------------------------------------------------------------------------


class OfferSwap(Statement, frozen=True, tag="swap"):
    """An offer to one member: what the signer would give (legs) and wants in return stands in the body."""

    valid_until: Time
    body: Commitment


# exchange: a pair, and its cancellation ------------------------------------------------------------------------------


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


# attest: one half or a pair ------------------------------------------------------------------------------------------


class Witness(Statement, frozen=True, tag="witness"):
    """The word of a voucher's issuer on an agreed exchange: whether it is the first to spend its inputs.

    `legs` is the bit mask of the parts of the body that are legs of the signer's vouchers: it has judged them all.
    """

    proposal: Hash
    agreement: Hash
    legs: Mask
    first: bool


class TallyUpload(Statement, frozen=True, tag="tally"):
    """The downloader's half: useful bytes received from the linked member since the tally before this one."""

    received: Quantity
    infohashes: Annotated[tuple[Hash, ...], Meta(max_length=16)]


class AgreeTally(Statement, frozen=True, tag="tally-agreed"):
    """The uploader's half."""

    tally: Hash


class RecordPayout(Statement, frozen=True, tag="payout"):
    """An approved payment was mined in the transaction `txid` (as explorers write it) at `height`.

    `signers` are the places in the charter of the members whose shares made the signature.
    """

    proposal: Hash
    txid: Hash
    height: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
    signers: Annotated[tuple[Small, ...], Meta(max_length=10)]


# propose, vote, decide -----------------------------------------------------------------------------------------------


class ProposePayment(Statement, frozen=True, tag="payment"):
    """Pay `amount` satoshis from the group's treasury to a Bitcoin script, on behalf of `payee`."""

    group: Hash
    title: Name
    reason: Line
    payee: Key
    script: Annotated[bytes, Meta(min_length=2, max_length=42)]
    amount: Quantity
    fee_cap: Quantity
    deadline: Time


class ProposeText(Statement, frozen=True, tag="text"):
    """That a group agrees to these words: a plan, a rule among its members, a position."""

    group: Hash
    title: Name
    text: Line
    deadline: Time


class CastVote(Statement, frozen=True, tag="vote"):
    """One member's vote; the latest on the member's own chain counts. A vote carries nothing that can sign."""

    proposal: Hash
    choice: Annotated[str, Meta(pattern="^(yes|no|abstain)$")]
    reason: Line


class Decide(Statement, frozen=True, tag="decision"):
    """The votes (block hashes) that a member counted, and what they say; everyone checks it against their own view."""

    proposal: Hash
    approved: bool
    votes: Annotated[tuple[Hash, ...], Meta(max_length=10)]


Declare = FoundCommons | AdmitMember | Profile | AnnounceSeed | FoundGroup | FoundCouncil | SignCharter | HoldShare
Intent = OfferSwap
Exchange = ProposeExchange | AgreeExchange | CancelExchange
Attest = Witness | TallyUpload | AgreeTally | RecordPayout
Propose = ProposePayment | ProposeText
Anything = Declare | Mint | Intent | Exchange | Attest | Propose | CastVote | Decide

KINDS: Final[dict[bytes, object]] = {
    b"declare": Declare,
    b"mint": Mint,
    b"intent": Intent,
    b"exchange": Exchange,
    b"attest": Attest,
    b"propose": Propose,
    b"vote": CastVote,
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


# The body of an exchange ---------------------------------------------------------------------------------------------


class Source(Statement, frozen=True):
    """A holding: output `index` of the mint or exchange proposal `block`."""

    block: Hash
    index: Small


class Issuer(Statement, frozen=True):
    """An issuer whose word an exchange needs too, and which parts of the body (a bit mask) are legs of its vouchers."""

    key: Key
    parts: Mask


class Leg(Statement, frozen=True, tag="leg"):
    """Consumes whole holdings of one voucher and makes two: output 2i for the receiver, 2i + 1 the giver's change.

    `parts` is the bit mask of all legs in vouchers of this voucher's issuer. `others` are the other issuers concerned:
    whoever sees this leg alone knows whose words the exchange waits for. Inputs and issuers come in rising order.
    """

    from_proposer: bool
    voucher: Hash
    inputs: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
    quantity: Quantity
    change: Amount
    parts: Mask
    others: Annotated[tuple[Issuer, ...], Meta(max_length=MAX_ISSUERS - 1)]

    def __post_init__(self) -> None:
        sources = [(source.block, source.index) for source in self.inputs]
        keys = [issuer.key for issuer in self.others]
        if sources != sorted(set(sources)) or keys != sorted(set(keys)):
            raise MalformedStatement("a leg names its inputs and issuers in rising order, each once")


class Deed(Statement, frozen=True, tag="deed"):
    """Something outside the ledger that one party does for the other: repair work, a lesson, a ride."""

    from_proposer: bool
    text: Line


class Want(Statement, frozen=True, tag="want"):
    """In an offer to swap: what is wanted in return."""

    voucher: Hash
    quantity: Quantity


class Note(Statement, frozen=True, tag="note"):
    """Words between the parties."""

    text: Line


Part = Leg | Deed | Want | Note
_part_decoder = msgspec.msgpack.Decoder(Part)


def encode_part(part: Part) -> bytes:
    """The content of one part of a body. Raises MalformedStatement when a field is out of bounds."""
    content = _encode(part)
    decode_part(content)
    return content


def decode_part(content: bytes) -> Part:
    """Decode one part of an exchange's body; raises MalformedStatement."""
    try:
        part = _part_decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedStatement(f"a part of an exchange is malformed: {error}") from error
    if _encode(part) != content:
        raise MalformedStatement("a part of an exchange is not in its shortest encoding")
    return cast(Part, part)
