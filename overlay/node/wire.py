"""What a node's REST interface takes and gives: frozen structs, JSON on the wire.

The command line, the routes, the OpenAPI document and the terminal interface are all made from these. Keys, hashes
and ids are lower-case hex; amounts are integers in a unit's smallest step (satoshis for coins); times are milliseconds
since the Unix epoch; `bytes` fields are base64 in JSON and a file's path on the command line. A member in a request is
its name, when no other member has it, or the first 8 or more hex digits of its key's signing half, or the whole key.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Quantity = Annotated[int, Meta(ge=1, le=9_007_199_254_740_991)]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Line = Annotated[str, Meta(max_length=280)]
Minutes = Annotated[int, Meta(ge=1, le=60 * 24 * 365)]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of requests."""


class Tell(msgspec.Struct, frozen=True):
    """The base of answers."""


class Nothing(Ask, frozen=True):
    """A request without fields."""


class Problem(Tell, frozen=True):
    """Why a request was not carried out: one sentence for people, and a short word for programs."""

    problem: str
    kind: Literal["refused", "bad-request", "not-found", "forbidden", "storage", "unavailable", "internal"]


class Done(Tell, frozen=True):
    """The statement that was signed, by its hash."""

    id: str


# node and commons ----------------------------------------------------------------------------------------------------


class CommonsModel(Tell, frozen=True):
    id: str
    name: str
    purpose: str
    founder: str


class Status(Tell, frozen=True):
    """One node at a glance. `signing` is empty when it may sign, else why not; `notices` need the member's eyes."""

    public_key: str
    name: str
    headless: bool
    commons: CommonsModel | None
    address: str
    content_address: str
    online: int
    members: int
    blocks: int
    signing: str
    notices: tuple[str, ...]
    counters: dict[str, int]
    pid: int
    rss_mb: float
    ledger: str
    version: str


class FoundCommons(Ask, frozen=True):
    """Found a commons and become its first member."""

    commons: Name
    purpose: Line
    name: Name
    about: Line = ""


class JoinCommons(Ask, frozen=True):
    """Join a commons with the text of an invitation."""

    invitation: Annotated[str, Meta(max_length=1000)]
    name: Name
    about: Line = ""


class InvitationModel(Tell, frozen=True):
    """One newcomer may join with this text; `qr` is the same as lines of block characters."""

    text: str
    qr: str


# people --------------------------------------------------------------------------------------------------------------


class Person(Tell, frozen=True):
    """A member as this node's owner sees it. `score` is MeritRank's, with its 95 % interval; `proven_cheat` counts."""

    public_key: str
    short: str
    name: str
    about: str
    headless: bool
    me: bool
    online: bool
    proven_cheat: bool
    score: float
    low: float
    high: float
    rank: int | None


class People(Tell, frozen=True):
    people: tuple[Person, ...]


class AskWhy(Ask, frozen=True):
    """Whose score is to be explained."""

    member: str


class ReasonStep(Tell, frozen=True):
    """One edge of a path of trust: `receiver` says that `provider` fulfilled, in these blocks."""

    receiver: str
    provider: str
    weight: int
    blocks: tuple[str, ...]


class Reason(Tell, frozen=True):
    """One path of trust, and what part of the score came along it."""

    share: float
    steps: tuple[ReasonStep, ...]


class Why(Tell, frozen=True):
    member: str
    score: float
    reasons: tuple[Reason, ...]


class CheatProof(Tell, frozen=True):
    """Two statements of one key at one place of its chain."""

    public_key: str
    name: str
    sequence_number: int
    first: str
    second: str


class CheatProofs(Tell, frozen=True):
    proofs: tuple[CheatProof, ...]


# vouchers ------------------------------------------------------------------------------------------------------------


class Picture(Tell, frozen=True):
    """Content by BitTorrent; `path` is where this node has it, empty until it is whole and checked."""

    infohash: str
    sha256: str
    size: int
    path: str
    peers: int


class MintVoucher(Ask, frozen=True):
    """Promise goods or services."""

    promise: Name
    unit: Annotated[str, Meta(min_length=1, max_length=20)]
    quantity: Quantity
    terms: Line = ""
    expires_in: Annotated[int, Meta(ge=0, le=36_500)] = 0  # days; 0: never
    picture: bytes | None = None


class Voucher(Tell, frozen=True):
    """A promise and what became of it: outstanding = minted - redeemed - expired, exact at its issuer."""

    id: str
    issuer: str
    issuer_name: str
    promise: str
    unit: str
    terms: str
    expires: int
    minted: int
    redeemed: int
    expired: int
    outstanding: int
    picture: Picture | None


class Vouchers(Tell, frozen=True):
    vouchers: tuple[Voucher, ...]


class HoldingModel(Tell, frozen=True):
    """What one holds of one voucher: spendable now, not final yet, and bound in open proposals."""

    voucher: str
    promise: str
    unit: str
    issuer: str
    issuer_name: str
    final: int
    provisional: int
    pending: int


class Holdings(Tell, frozen=True):
    holdings: tuple[HoldingModel, ...]


# exchanges -----------------------------------------------------------------------------------------------------------


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
    """Accept an offer or a proposal. `provisional` takes what its issuer has not confirmed yet."""

    id: Id
    provisional: bool = False


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


# content -------------------------------------------------------------------------------------------------------------


class Media(Tell, frozen=True):
    pictures: tuple[Picture, ...]


class Tally(Tell, frozen=True):
    """Bandwidth that a downloader signed for and its uploader countersigned."""

    uploader: str
    uploader_name: str
    downloader: str
    downloader_name: str
    received: int
    countersigned: bool


class Tallies(Tell, frozen=True):
    tallies: tuple[Tally, ...]


# groups --------------------------------------------------------------------------------------------------------------


class FoundGroup(Ask, frozen=True):
    """Write a group's charter; it stands when every member has signed it."""

    name: Name
    purpose: Line
    members: Annotated[tuple[str, ...], Meta(min_length=1, max_length=10)]
    approvals: Annotated[int, Meta(ge=1, le=10)]
    threshold: Annotated[int, Meta(ge=1, le=10)]


class GroupId(Ask, frozen=True):
    group: Id


class GroupMember(Tell, frozen=True):
    public_key: str
    name: str
    signed: bool
    holds_share: bool
    online: bool


class Group(Tell, frozen=True):
    """A group and its treasury. `stage` says what it waits for; `balance` is -1 when no chain backend answers."""

    id: str
    name: str
    purpose: str
    members: tuple[GroupMember, ...]
    approvals: int
    threshold: int
    stage: Literal["charter", "keys", "ready"]
    i_am_member: bool
    i_have_signed: bool
    threshold_key: str
    address: str
    network: str
    balance: int


class Groups(Tell, frozen=True):
    groups: tuple[Group, ...]


class ProposePayment(Ask, frozen=True):
    """Propose that a group pays from its treasury; `amount` and `fee_cap` in satoshis."""

    group: Id
    title: Name
    reason: Line
    payee: str
    address: Annotated[str, Meta(max_length=100)]
    amount: Quantity
    fee_cap: Quantity = 10_000
    minutes: Minutes = 60 * 24 * 7


class CastVote(Ask, frozen=True):
    """Vote on a proposal; the latest of your votes counts until it is decided."""

    proposal: Id
    choice: Literal["yes", "no", "abstain"]
    reason: Line = ""


class Vote(Tell, frozen=True):
    voter: str
    voter_name: str
    choice: str
    reason: str


class Proposal(Tell, frozen=True):
    """A proposed payment and how it stands. `signers` and `txid` are set once it is signed."""

    id: str
    group: str
    group_name: str
    title: str
    reason: str
    proposer: str
    proposer_name: str
    payee: str
    payee_name: str
    address: str
    amount: int
    fee_cap: int
    deadline: int
    votes: tuple[Vote, ...]
    yes: int
    no: int
    abstain: int
    needed: int
    my_vote: str
    i_may_vote: bool
    state: Literal["open", "approved", "rejected", "lapsed", "signed", "paid"]
    txid: str
    height: int
    signers: tuple[str, ...]
    raw_tx: str


class Proposals(Tell, frozen=True):
    proposals: tuple[Proposal, ...]


# events --------------------------------------------------------------------------------------------------------------


class Event(Tell, frozen=True):
    """One server-sent event: what changed (`topic` is the event's name), in a sentence; fetch the rest."""

    topic: Literal["people", "vouchers", "exchanges", "content", "groups", "proposals", "cheats", "status"]
    sentence: str
    id: str
    time: int
