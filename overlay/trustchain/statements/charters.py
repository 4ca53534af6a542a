"""Groups: their charters, the rules and limits in them, and who holds shares of the keys that sign for them."""

from typing import Annotated, Final

from msgspec import Meta

from overlay.trustchain.statements.base import Amount, Hash, Key, Line, Name, Statement

# The longest wait that a charter can ask for: 30 days of milliseconds.
MAX_WAIT: Final = 30 * 24 * 3_600_000
# The longest period of a charter's limits: a year of blocks, one every ten minutes.
MAX_LIMIT_BLOCKS: Final = 365 * 24 * 6
# A group is founded by ten: their keys of 74 bytes fit a block beside the rules. It may grow to thirty, whose votes, of
# 34 bytes each in a word that names them, take 1,020 of a block's 1,173.
MAX_FOUNDERS: Final = 10
MAX_MEMBERS: Final = 30


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


class Limits(Statement, frozen=True):
    """What may leave a treasury within any `blocks` Bitcoin blocks, in satoshis without fees; 0 is no limit.

    `total` is for all payees together, `each` for one payee.
    """

    blocks: Annotated[int, Meta(ge=1, le=MAX_LIMIT_BLOCKS)]
    total: Amount
    each: Amount


class FoundGroup(Statement, frozen=True, tag="group"):
    """A group's charter: who belongs, how many yes votes decide, how many shares sign. The block's hash is its id."""

    name: Name
    purpose: Line
    members: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MAX_FOUNDERS)]
    approvals: Annotated[int, Meta(ge=1, le=MAX_FOUNDERS)]
    threshold: Annotated[int, Meta(ge=1, le=MAX_FOUNDERS)]


class FoundCouncil(Statement, frozen=True, tag="council"):
    """A group's charter as `FoundGroup`, with a rule for each class of decision."""

    name: Name
    purpose: Line
    members: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MAX_FOUNDERS)]
    threshold: Annotated[int, Meta(ge=1, le=MAX_FOUNDERS)]
    payments: Rule
    texts: Rule


class FoundLimitedCouncil(FoundCouncil, frozen=True, tag="limited-council"):
    """As `FoundCouncil`, with limits that every signer of a payment enforces by itself."""

    limits: Limits


class FoundAssembly(FoundCouncil, frozen=True, tag="assembly"):
    """As `FoundCouncil`, with rules for changes of the charter and for paid work, and perhaps limits."""

    amendments: Rule
    works: Rule
    limits: Limits | None


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
