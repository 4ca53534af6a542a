"""How a group decides what was proposed to it, and what came of that: votes, counts, deliveries, payouts."""

from typing import Annotated

from msgspec import Meta

from overlay.trustchain.statements.base import Hash, Key, Line, Small, Statement
from overlay.trustchain.statements.charters import MAX_MEMBERS
from overlay.trustchain.statements.content import Media


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


class DeliverWork(Statement, frozen=True, tag="delivery"):
    """The worker of an agreed `ProposeWork` shows what it made."""

    work: Hash
    evidence: Media
    note: Line


class RecordPayout(Statement, frozen=True, tag="payout"):
    """An approved payment was mined in the transaction `txid` (as explorers write it) at `height`.

    `signers` are the places in the charter of the members whose shares made the signature.
    """

    proposal: Hash
    txid: Hash
    height: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
    signers: Annotated[tuple[Small, ...], Meta(max_length=MAX_MEMBERS)]
