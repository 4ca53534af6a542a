"""What members of a group ask each other for key generation and signing: typed, on authenticated streams."""

from typing import Annotated

from msgspec import Meta

from overlay.network.messages import Wire
from overlay.trustchain.statements import Hash, Small

SessionId = Annotated[bytes, Meta(min_length=16, max_length=16)]
# ChillDKG with 10 members: 33t + 97 + 32n to the coordinator, 33n + 33(t-1) + 129n back, certificate and recovery
# data of the same order: under 4 kB; the limit leaves room for a hundred members.
KeygenBytes = Annotated[bytes, Meta(max_length=65_536)]
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
    signers: Annotated[tuple[Small, ...], Meta(min_length=1, max_length=10)]
    nonces: Annotated[tuple[PublicNonce, ...], Meta(min_length=1, max_length=MAX_INPUTS)]


class SignatureShares(Wire, frozen=True):
    """The partial signatures of one signer, in the order of the inputs."""

    shares: Annotated[tuple[PartialSignature, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
