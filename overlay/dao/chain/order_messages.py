"""What members of a group ask each other to agree on the next half-block of the group's chain (see `group_order`)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from overlay.network.messages import Wire
from overlay.trustchain.block import MAX_BLOCK_BYTES
from overlay.trustchain.statements import Hash, Small

# A charter numbers its members with one byte.
MAX_MEMBERS = 100
RawHalfBlock = Annotated[bytes, Meta(max_length=MAX_BLOCK_BYTES)]
Position = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
# SQLite's integers end at 2^63. See `group_order.MAX_STEP` for why nobody gets there.
Ballot = Annotated[int, Meta(ge=1, le=1 << 62)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
NonceCommitment = Annotated[bytes, Meta(min_length=64, max_length=64)]
KeyShareScalar = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signers = Annotated[tuple[Small, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


class Proof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The same statement signed by several members, named by their places in the charter."""

    signers: Signers
    signatures: Annotated[tuple[Signature, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


class Lock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A block (unsigned) that a quorum voted for in a ballot."""

    ballot: Ballot
    block: RawHalfBlock
    votes: Proof


class Given(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A signature share that a member has given for a block, in which session; whoever has all can join them."""

    block: Hash
    signers: Signers
    commitments: Annotated[tuple[NonceCommitment, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    share: KeyShareScalar


class AskPrepare(Wire, frozen=True):
    """Promise to take part in no ballot below this one, for a position of a group's chain."""

    group: Hash
    position: Position
    ballot: Ballot


class Prepared(Wire, frozen=True):
    """The highest ballot promised, which is higher than the one asked for when that came too late.

    `signed` is the block of that position where the member has it; `lock` what it is bound to, and `given` the shares
    that it gave. The signature is about promise and lock.
    """

    promised: Ballot
    lock: Lock | None
    given: Annotated[tuple[Given, ...], Meta(max_length=64)]
    signed: RawHalfBlock
    signature: Signature


class Answered(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member's answer as another is shown it."""

    member: Small
    lock: Lock | None
    signature: Signature


class AskVote(Wire, frozen=True):
    """Vote for a block, which follows from the answers of a quorum."""

    group: Hash
    position: Position
    ballot: Ballot
    block: RawHalfBlock
    answers: Annotated[tuple[Answered, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


class Voted(Wire, frozen=True):
    """A member's vote."""

    signature: Signature


class AskLock(Wire, frozen=True):
    """Be bound to a block that a quorum voted for."""

    group: Hash
    position: Position
    lock: Lock


class Locked(Wire, frozen=True):
    """A member is bound, and commits to a nonce."""

    signature: Signature
    commitment: NonceCommitment


class AskShare(Wire, frozen=True):
    """Give a signature share for a block that a quorum is bound to."""

    group: Hash
    position: Position
    ballot: Ballot
    locks: Proof
    signers: Signers
    commitments: Annotated[tuple[NonceCommitment, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


class ShareGiven(Wire, frozen=True):
    """The share."""

    share: KeyShareScalar
