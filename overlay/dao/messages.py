"""What members of a group ask each other for key generation and signing: typed, on authenticated streams."""

from typing import Annotated

from msgspec import Meta

from overlay.network.messages import Wire
from overlay.trustchain.statements import Hash, Small

SessionId = Annotated[bytes, Meta(min_length=16, max_length=16)]
# ChillDKG with 10 members: 33t + 97 + 32n to the coordinator, 33n + 33(t-1) + 129n back, certificate and recovery
# data of the same order: under 4 kB; the limit leaves room for a hundred members.
KeygenBytes = Annotated[bytes, Meta(max_length=65_536)]
# An unsigned transaction of 50 inputs and 2 outputs has about 2.2 kB.
RawTransaction = Annotated[bytes, Meta(max_length=16_384)]
MAX_INPUTS = 50
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


class AskPromise(Wire, frozen=True):
    """Which transaction the member has promised for a proposal."""

    proposal: Hash


class Promise(Wire, frozen=True):
    """The unsigned transaction; empty when nothing is promised."""

    transaction: RawTransaction


class AskCommitments(Wire, frozen=True):
    """Judge this transaction for this proposal; the answer commits to one nonce per input."""

    proposal: Hash
    session: SessionId
    transaction: RawTransaction


class Commitments(Wire, frozen=True):
    nonces: Annotated[tuple[PublicNonce, ...], Meta(min_length=1, max_length=MAX_INPUTS)]


class AskShares(Wire, frozen=True):
    """Sign with the nonces of the session; `signers` are places in the charter, one aggregate nonce per input."""

    session: SessionId
    signers: Annotated[tuple[Small, ...], Meta(min_length=1, max_length=10)]
    nonces: Annotated[tuple[PublicNonce, ...], Meta(min_length=1, max_length=MAX_INPUTS)]


class SignatureShares(Wire, frozen=True):
    shares: Annotated[tuple[PartialSignature, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
