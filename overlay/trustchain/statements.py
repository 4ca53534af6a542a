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
# A payee takes a key of 74 bytes, a script of at most 42 and an amount, 130 in all: six of them, 780, and some 130 for
# the rest leave a good 200 for title and reason in the 1,173 bytes of a block.
MAX_FURTHER_PAYEES: Final = 5
# The longest period of a charter's limits: a year of blocks, one every ten minutes.
MAX_LIMIT_BLOCKS: Final = 365 * 24 * 6
# A group is founded by ten: their keys of 74 bytes fit a block beside the rules. It may grow to thirty, whose votes, of
# 34 bytes each in a word that names them, take 1,020 of a block's 1,173.
MAX_FOUNDERS: Final = 10
MAX_MEMBERS: Final = 30
# A bit for each of at most 32 parts of a body.
Mask = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
# 32 inputs of 37 bytes and 15 other issuers of 82 make a leg of 2.5 kB, below the 4,096 bytes of a part.
MAX_INPUTS: Final = 32
MAX_ISSUERS: Final = 16


# What an old key signs, followed by the 74 bytes of the new one: no half-block begins like this.
CONSENT: Final = b"counterfoil: this key is followed by"


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


class SucceedKey(Statement, frozen=True, tag="succeed"):
    """The signer, a new key, takes the place of an old one that is proven to have signed two histories.

    In force only as the first statement of its chain, and with the consent of the old key: its Ed25519 signature over
    CONSENT and the new key, so that nobody can claim another's key. The old chain is not gone on with. What it promised
    up to `head`, the hash of one of its blocks (GENESIS_HASH: none), the new key stands by, whatever comes to light.
    """

    old: Key
    head: Hash
    consent: Annotated[bytes, Meta(min_length=64, max_length=64)]


class VouchForKey(Statement, frozen=True, tag="vouch"):
    """The signer, a member, knows that `member` is the new key of whom the claim (a SucceedKey, by its hash) names.

    It admits the new key, as `AdmitMember` does. With `stands` false it does not, and the signer takes its word on the
    claim back; its latest on its chain counts. An admission is not taken back.
    """

    member: Key
    claim: Hash
    stands: bool = True


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
    members: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MAX_FOUNDERS)]
    approvals: Annotated[int, Meta(ge=1, le=MAX_FOUNDERS)]
    threshold: Annotated[int, Meta(ge=1, le=MAX_FOUNDERS)]


class SignCharter(Statement, frozen=True, tag="sign-charter"):
    """The signer accepts the charter and binds the host key (secp256k1, 33 bytes) that its shares will hang on."""

    group: Hash
    host_key: Annotated[bytes, Meta(min_length=33, max_length=33)]


class HoldShare(Statement, frozen=True, tag="share"):
    """The signer holds a share of this threshold key (33 bytes) of the group."""

    group: Hash
    threshold_key: Annotated[bytes, Meta(min_length=33, max_length=33)]
    recovery_hash: Hash


class HoldLedgerShare(Statement, frozen=True, tag="ledger-share"):
    """The signer holds a share of the Ed25519 key (32 bytes) with which the group signs its own chain."""

    group: Hash
    ledger_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    recovery_hash: Hash


class HandOver(Statement, frozen=True, tag="handover"):
    """The group says on its own chain that from the next block on the members of this version of its charter write it.

    They hold the same key, shared anew.
    """

    version: Hash


class Rule(Statement, frozen=True):
    """How one class of a group's decisions is made.

    `count` asks for `share` yes votes, `majority` for more than half, `supermajority` for `share` percent, `unanimous`
    for all: of the members, or with `of_votes` of the yes and no votes that were cast. `quorum` members must have voted
    in any way; where they have not by the deadline, the `fallback` lets the proposal lapse, or lets those decide who
    have voted. What is decided is carried out `delay` milliseconds later. Members have at least `period` milliseconds
    to vote. So many `vetoes` stop a proposal; where that is 0, a block is a no. Where it is `delegable`, a member may
    leave its vote to another.
    """

    way: Annotated[str, Meta(pattern="^(count|majority|supermajority|unanimous)$")]
    share: Annotated[int, Meta(ge=0, le=100)] = 0
    of_votes: bool = False
    quorum: Annotated[int, Meta(ge=0, le=MAX_MEMBERS)] = 0
    delay: Annotated[int, Meta(ge=0, le=MAX_WAIT)] = 0
    fallback: Annotated[str, Meta(pattern="^(lapse|without-quorum)$")] = "lapse"
    period: Annotated[int, Meta(ge=0, le=MAX_WAIT)] = 0
    vetoes: Annotated[int, Meta(ge=0, le=MAX_MEMBERS)] = 0
    delegable: bool = False


class FoundCouncil(Statement, frozen=True, tag="council"):
    """A group's charter as `FoundGroup`, with a rule for each class of decision."""

    name: Name
    purpose: Line
    members: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MAX_FOUNDERS)]
    threshold: Annotated[int, Meta(ge=1, le=MAX_FOUNDERS)]
    payments: Rule
    texts: Rule


class Limits(Statement, frozen=True):
    """What may leave a treasury within any `blocks` Bitcoin blocks, in satoshis without fees; 0 is no limit.

    `total` is for all payees together, `each` for one payee.
    """

    blocks: Annotated[int, Meta(ge=1, le=MAX_LIMIT_BLOCKS)]
    total: Amount
    each: Amount


class FoundLimitedCouncil(FoundCouncil, frozen=True, tag="limited-council"):
    """As `FoundCouncil`, with limits that every signer of a payment enforces by itself."""

    limits: Limits


class FoundAssembly(FoundCouncil, frozen=True, tag="assembly"):
    """As `FoundCouncil`, with rules for changes of the charter and for paid work, and perhaps limits."""

    amendments: Rule
    works: Rule
    limits: Limits | None


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
    signers: Annotated[tuple[Small, ...], Meta(max_length=MAX_MEMBERS)]


class DeliverWork(Statement, frozen=True, tag="delivery"):
    """The worker of an agreed `ProposeWork` shows what it made."""

    work: Hash
    evidence: Media
    note: Line


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


class FurtherPayee(Statement, frozen=True):
    """One more who is paid by the same transaction: `amount` satoshis to a script, on behalf of `payee`."""

    payee: Key
    script: Annotated[bytes, Meta(min_length=2, max_length=42)]
    amount: Quantity


class ProposePayments(ProposePayment, frozen=True, tag="payments"):
    """As `ProposePayment`, to several payees in one transaction: all of them are paid, or none."""

    more: Annotated[tuple[FurtherPayee, ...], Meta(min_length=1, max_length=MAX_FURTHER_PAYEES)]


class ProposeText(Statement, frozen=True, tag="text"):
    """That a group agrees to these words: a plan, a rule among its members, a position."""

    group: Hash
    title: Name
    text: Line
    deadline: Time


class ProposeDocument(ProposeText, frozen=True, tag="document"):
    """As `ProposeText`, where the words are too long for a block: `text` sums them up, `content` is all of them."""

    content: Media


class ClassRule(Statement, frozen=True):
    """The rule for one class of decisions."""

    subject: Annotated[str, Meta(pattern="^(payments|texts|amendments|works)$")]
    rule: Rule


class AmendCharter(Statement, frozen=True, tag="amendment"):
    """Change a charter. `group` is the version that it changes; once adopted, this block's hash is the next version.

    `threshold` 0 leaves it as it is, and so does each class of decisions that `rules` does not name.
    """

    group: Hash
    title: Name
    reason: Line
    admit: Annotated[tuple[Key, ...], Meta(max_length=MAX_FOUNDERS)]
    remove: Annotated[tuple[Key, ...], Meta(max_length=MAX_FOUNDERS)]
    threshold: Annotated[int, Meta(ge=0, le=MAX_MEMBERS)]
    rules: Annotated[tuple[ClassRule, ...], Meta(max_length=4)]
    deadline: Time


class ProposeWork(Statement, frozen=True, tag="work"):
    """That a patch or a piece of work is worth `amount` satoshis, to be paid to a script once its delivery is accepted.

    `content` is the patch, or a longer description, where there is one.
    """

    group: Hash
    title: Name
    text: Line
    worker: Key
    script: Annotated[bytes, Meta(min_length=2, max_length=42)]
    amount: Quantity
    content: Media | None
    deadline: Time


class AcceptWork(ProposePayment, frozen=True, tag="acceptance"):
    """A `ProposePayment` of exactly what was agreed for a `ProposeWork`, because of this `DeliverWork`."""

    work: Hash
    delivery: Hash


class InstructVote(Statement, frozen=True, tag="instruction"):
    """That a group which is a member of another votes so on that one's proposal `about`."""

    group: Hash
    about: Hash
    choice: Annotated[str, Meta(pattern="^(yes|no|abstain|block)$")]
    reason: Line
    deadline: Time


class CastVote(Statement, frozen=True, tag="vote"):
    """One member's vote; the latest on the member's own chain counts. A vote carries nothing that can sign."""

    proposal: Hash
    choice: Annotated[str, Meta(pattern="^(yes|no|abstain|block)$")]
    reason: Line


class Delegate(Statement, frozen=True, tag="delegation"):
    """The signer leaves its votes on one class of decisions to another member; the newest on its chain counts.

    `group` is the founding charter. Without `to` the signer votes by itself again.
    """

    group: Hash
    subject: Annotated[str, Meta(pattern="^(payments|texts|amendments|works)$")]
    to: Key | None


class Comment(Statement, frozen=True, tag="comment"):
    """A word in the discussion of a proposal."""

    proposal: Hash
    text: Line


class Decide(Statement, frozen=True, tag="decision"):
    """The votes (block hashes) that a member counted, and what they say; everyone checks it against their own view."""

    proposal: Hash
    approved: bool
    votes: Annotated[tuple[Hash, ...], Meta(max_length=MAX_MEMBERS)]


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
    b"declare": Declare,
    b"mint": Mint,
    b"intent": Intent,
    b"exchange": Exchange,
    b"attest": Attest,
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
