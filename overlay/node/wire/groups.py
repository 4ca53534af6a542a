"""Groups, their proposals and payments."""

from typing import Annotated, Literal

from msgspec import Meta

from overlay.node.wire.base import Ask, Id, Line, Minutes, Name, Quantity, Tell

# At most 21 million bitcoin.
Satoshis = Annotated[int, Meta(ge=0, le=2_100_000_000_000_000)]


class FoundGroup(Ask, frozen=True):
    """Write a group's charter; it stands when every member has signed it.

    With `limit_blocks`, no more than `limit_total` satoshis leave the treasury within so many Bitcoin blocks, and no
    more than `limit_each` to one payee; 0 is no limit. A member may be a group, by its id. `rule` is a rule for one
    class of decisions (spend, text, charter, work), such as `spend=3ofn,quorum=4,deadline=7d,delay=1h`; without one,
    `approvals` yes votes decide, and on the charter two thirds of the members.
    """

    name: Name
    purpose: Line
    members: Annotated[tuple[str, ...], Meta(min_length=1, max_length=10)]
    approvals: Annotated[int, Meta(ge=1, le=10)]
    threshold: Annotated[int, Meta(ge=1, le=10)]
    limit_blocks: Annotated[int, Meta(ge=0, le=365 * 24 * 6)] = 0
    limit_total: Satoshis = 0
    limit_each: Satoshis = 0
    rule: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=4)] = ()


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
    """Propose that a group pays from its treasury; `amount` and `fee_cap` in satoshis.

    `also` are up to five further payees of the same transaction, each as `member,address,satoshis`.
    """

    group: Id
    title: Name
    reason: Line
    payee: str
    address: Annotated[str, Meta(max_length=100)]
    amount: Quantity
    fee_cap: Quantity = 10_000
    minutes: Minutes = 60 * 24 * 7
    also: Annotated[tuple[Annotated[str, Meta(max_length=300)], ...], Meta(max_length=5)] = ()


class CastVote(Ask, frozen=True):
    """Vote on a proposal; the latest of your votes counts until it is decided."""

    proposal: Id
    choice: Literal["yes", "no", "abstain", "block"]
    reason: Line = ""


class Vote(Tell, frozen=True):
    voter: str
    voter_name: str
    choice: str
    reason: str


class Payee(Tell, frozen=True):
    """Who is paid: a member's key and name, an address, satoshis."""

    key: str
    name: str
    address: str
    amount: int


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
    payees: tuple[Payee, ...] = ()


class Proposals(Tell, frozen=True):
    proposals: tuple[Proposal, ...]
