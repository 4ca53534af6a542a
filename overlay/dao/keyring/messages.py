"""What members of a group ask each other for key generation and signing: typed, on authenticated streams."""

from typing import Annotated

from msgspec import Meta

from overlay.network.messages import Wire
from overlay.trustchain.statements import MAX_MEMBERS, Hash, Small

SessionId = Annotated[bytes, Meta(min_length=16, max_length=16)]
# ChillDKG with 30 members: 33t + 97 + 32n to the coordinator, 33n + 33(t-1) + 129n back, certificate and recovery
# data of the same order: under 12 kB; the limit leaves room for a hundred members.
# The ledger key's messages go to all, unsummed: n (32 (t + n + 2) + 33) bytes, and 97 n more in the recovery data. 50
# members with any threshold: 50 x (32 x 102 + 33 + 97) = 170 kB.
KeygenBytes = Annotated[bytes, Meta(max_length=262_144)]
# An input is a signing session of its own for each signer. 50 inputs of 41 bytes and 2 outputs of at most 51 make an
# unsigned transaction of about 2.2 kB.
MAX_INPUTS = 50
RawTransaction = Annotated[bytes, Meta(max_length=4_096)]
PublicNonce = Annotated[bytes, Meta(min_length=66, max_length=66)]
PartialSignature = Annotated[bytes, Meta(min_length=32, max_length=32)]


class BeginKeygen(Wire, frozen=True):
    """Start key generation for a group; the answer is the participant's first message."""

    group: Hash
    session: SessionId


class CertifyKeygen(Wire, frozen=True):
    """The coordinator's first message; the answer is the participant's signature over the transcript."""

    group: Hash
    session: SessionId
    message: KeygenBytes


class FinishKeygen(Wire, frozen=True):
    """The recovery data, with the certificate of all; the answer is empty once it is on disk."""

    group: Hash
    recovery: KeygenBytes


class AskRecovery(Wire, frozen=True):
    """For the recovery data of a group, by a member that has lost its own; it is public."""

    group: Hash


class Recovery(Wire, frozen=True):
    """The recovery data."""

    recovery: KeygenBytes


class AskDeal(Wire, frozen=True):
    """Deal our share of a group's key to the members of a new version of its charter; the answer is the deal."""

    group: Hash
    dealers: Annotated[tuple[Small, ...], Meta(min_length=1, max_length=100)]


class AskReceive(Wire, frozen=True):
    """Check the deals for the members of a new version of a charter; `recovery` is that of the key so far."""

    group: Hash
    dealers: Annotated[tuple[Small, ...], Meta(min_length=1, max_length=100)]
    recovery: KeygenBytes
    deals: Annotated[tuple[KeygenBytes, ...], Meta(min_length=1, max_length=100)]


class Received(Wire, frozen=True):
    """Our signature about the deals; or, where that is empty, which dealer's is wrong, by its place in the charter."""

    signature: Annotated[bytes, Meta(max_length=64)]
    culprit: Small
    what: Annotated[str, Meta(max_length=280)]


class AskCommitments(Wire, frozen=True):
    """Judge this transaction for this proposal; the answer commits to one nonce per input."""

    proposal: Hash
    session: SessionId
    transaction: RawTransaction


class Commitments(Wire, frozen=True):
    """The public nonces of one signer, in the order of the inputs."""

    nonces: Annotated[tuple[PublicNonce, ...], Meta(min_length=1, max_length=MAX_INPUTS)]


class AskShares(Wire, frozen=True):
    """Sign with the nonces of the session; `signers` are places in the charter, one aggregate nonce per input."""

    session: SessionId
    signers: Annotated[tuple[Small, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    nonces: Annotated[tuple[PublicNonce, ...], Meta(min_length=1, max_length=MAX_INPUTS)]


class SignatureShares(Wire, frozen=True):
    """The partial signatures of one signer, in the order of the inputs."""

    shares: Annotated[tuple[PartialSignature, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
