"""How groups govern themselves: texts, discussion, changes of charters, delegation, councils, paid work."""

from typing import Annotated, Literal

from msgspec import Meta

from overlay.node.wire.base import Ask, Id, Line, Minutes, Name, Quantity, Tell

WEEK = 60 * 24 * 7
Class = Literal["spend", "text", "charter", "work"]
LongText = Annotated[str, Meta(min_length=1, max_length=100_000)]
RuleText = Annotated[str, Meta(max_length=200)]
Members = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=10)]
# Half of what a request may have.
File = Annotated[bytes, Meta(min_length=1, max_length=3 << 20)]
Extension = Literal[".txt", ".md", ".pdf", ".json", ".bin", ".png", ".jpg"]


class AskProposal(Ask, frozen=True):
    proposal: Id


class AskGroup(Ask, frozen=True):
    group: Id


class ProposeText(Ask, frozen=True):
    """Propose that a group agrees to a text; one longer than 280 characters travels as content."""

    group: Id
    title: Name
    text: LongText
    minutes: Minutes = WEEK


class CommentOn(Ask, frozen=True):
    """Say something about a proposal."""

    proposal: Id
    text: Annotated[str, Meta(min_length=1, max_length=280)]


class AmendGroup(Ask, frozen=True):
    """Propose another version of a charter: who comes, who goes, which rules change; `threshold` 0 leaves it."""

    group: Id
    title: Name
    reason: Line = ""
    admit: Members = ()
    remove: Members = ()
    threshold: Annotated[int, Meta(ge=0, le=30)] = 0
    rule: Annotated[tuple[RuleText, ...], Meta(max_length=4)] = ()
    minutes: Minutes = WEEK


class DelegateVotes(Ask, frozen=True):
    """Leave your votes on one class of decisions to a member; without `to` you vote yourself again."""

    group: Id
    subject: Class
    to: Annotated[str, Meta(max_length=200)] = ""


class InstructVote(Ask, frozen=True):
    """Propose how your group votes in a council that it is a member of; `about` is the council's proposal."""

    group: Id
    about: Id
    choice: Literal["yes", "no", "abstain", "block"]
    reason: Line = ""
    minutes: Minutes = WEEK


class ProposeWork(Ask, frozen=True):
    """Propose a patch or a piece of work and its price, in satoshis, to be paid once its delivery is accepted."""

    group: Id
    title: Name
    text: Line
    worker: Annotated[str, Meta(max_length=200)]
    address: Annotated[str, Meta(max_length=100)]
    amount: Quantity
    patch: File | None = None
    minutes: Minutes = WEEK


class DeliverWork(Ask, frozen=True):
    """Show what you made for a work that the group agreed to."""

    work: Id
    evidence: File
    extension: Extension = ".bin"
    note: Line = ""


class AcceptWork(Ask, frozen=True):
    """Propose that a delivery be accepted and its price paid; the newest, unless one is named."""

    work: Id
    delivery: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    fee_cap: Quantity = 10_000
    minutes: Minutes = WEEK


class AskLog(Ask, frozen=True):
    """Write a group's decisions as JSON lines to a file on the node's machine, named from its root."""

    group: Id
    to: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Logged(Tell, frozen=True):
    """How many proposals were written where, and the SHA-256 of the file."""

    to: str
    proposals: int
    sha256: str


class RuleModel(Tell, frozen=True):
    """A rule as `group found --rule` takes it."""

    subject: str
    rule: str


class ContentModel(Tell, frozen=True):
    """Content that a proposal or a delivery names; `path` is empty while this node does not have it."""

    infohash: str
    sha256: str
    size: int
    path: str


class CommentModel(Tell, frozen=True):
    author: str
    author_name: str
    text: str
    time: int


class Ballot(Tell, frozen=True):
    """A vote that counts; `through` are the members that it was left to, the last of whom cast it."""

    voter: str
    voter_name: str
    choice: str
    reason: str
    through: tuple[str, ...]


class DeliveryModel(Tell, frozen=True):
    id: str
    note: str
    content: ContentModel | None


class WorkModel(Tell, frozen=True):
    """A piece of work; `accepted` is the payment by which a delivery was accepted."""

    worker: str
    worker_name: str
    address: str
    amount: int
    deliveries: tuple[DeliveryModel, ...]
    accepted: str


class Motion(Tell, frozen=True):
    """One proposal of any kind, and how it stands now.

    `number` is the proposer's place in the group, a dash, and the proposal's place on the proposer's chain: the same at
    every node and for ever. `verdict` says in words what the votes come to; `obstacle`, why no votes can decide it.
    """

    id: str
    number: str
    group: str
    group_name: str
    version: str
    version_number: int
    kind: str
    title: str
    text: str
    content: ContentModel | None
    proposer: str
    proposer_name: str
    opened: int
    deadline: int
    rule: str
    votes: tuple[Ballot, ...]
    yes: int
    no: int
    abstain: int
    block: int
    needed: int
    missing: tuple[str, ...]
    counted_by: tuple[str, ...]
    can_still_pass: bool
    state: Literal["open", "approved", "rejected", "lapsed"]
    final: bool
    due: int
    verdict: str
    obstacle: str
    comments: tuple[CommentModel, ...]
    changes: tuple[str, ...]
    work: WorkModel | None
    about: str


class Motions(Tell, frozen=True):
    motions: tuple[Motion, ...]


class CharterModel(Tell, frozen=True):
    """One version of a charter. `rivals` are set where two versions follow it: then the group decides no more."""

    group: str
    name: str
    purpose: str
    version: str
    number: int
    members: tuple[str, ...]
    member_names: tuple[str, ...]
    threshold: int
    rules: tuple[RuleModel, ...]
    custodians: tuple[str, ...]
    delegations: tuple[str, ...]
    rivals: tuple[str, ...]


class Charters(Tell, frozen=True):
    """All versions of a group's charter, the founding first."""

    versions: tuple[CharterModel, ...]
