"""EncPedPop of ChillDKG: SimplPedPop with the shares encrypted, so that they can pass through the coordinator.

The encryption is additive: the coordinator sums ciphertexts, and each participant decrypts one sum. Ciphertexts are
public scalars (integers); pads and shares are secrets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from overlay.dao.frost import simplpedpop
from overlay.dao.frost.encryption import BAD_NONCE, Encryption
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    FaultyParticipantError,
    ProtocolError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from overlay.dao.frost.group import POINT_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.scalars import ORDER, SCALAR_BYTES, scalar_from_bytes
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.simplpedpop import DKGOutput, WrongShareError
from overlay.dao.frost.vss import BIP_TAG, VSSCommitment
from overlay.dao.frost.wire import Reader, points_bytes, scalars_bytes


@dataclass(frozen=True, slots=True)
class ParticipantMsg:
    """Commitment and proof, the nonce of the encryption, and one encrypted share for each participant."""

    simpl_pmsg: simplpedpop.ParticipantMsg
    pubnonce: bytes
    enc_shares: tuple[int, ...]

    @staticmethod
    def len_bytes(t: int, n: int) -> int:
        return simplpedpop.ParticipantMsg.len_bytes(t) + POINT_BYTES + SCALAR_BYTES * n

    @classmethod
    def from_bytes(cls, raw: bytes, t: int, n: int) -> "ParticipantMsg":
        """Raises MsgParseError."""
        reader = Reader(raw, cls.len_bytes(t, n))
        simpl_pmsg = simplpedpop.ParticipantMsg.read(reader, t)
        return cls(simpl_pmsg, reader.take(POINT_BYTES), reader.scalars(n, "encrypted secret share"))

    def to_bytes(self) -> bytes:
        return self.simpl_pmsg.to_bytes() + self.pubnonce + scalars_bytes(self.enc_shares)


@dataclass(frozen=True, slots=True)
class CoordinatorMsg:
    """The commitments of all and the nonces of their encryptions.

    The sums of ciphertexts are not part of it: pure EncPedPop would send each participant its own only.
    """

    simpl_cmsg: simplpedpop.CoordinatorMsg
    pubnonces: tuple[bytes, ...]

    @staticmethod
    def len_bytes(t: int, n: int) -> int:
        return simplpedpop.CoordinatorMsg.len_bytes(t, n) + POINT_BYTES * n

    @classmethod
    def read(cls, reader: Reader, t: int, n: int) -> "CoordinatorMsg":
        """Raises MsgParseError."""
        return cls(simplpedpop.CoordinatorMsg.read(reader, t, n), reader.chunks(n, POINT_BYTES))

    def to_bytes(self) -> bytes:
        return self.simpl_cmsg.to_bytes() + b"".join(self.pubnonces)


@dataclass(frozen=True, slots=True)
class CoordinatorInvestigationMsg:
    """For one participant: what each sender encrypted to it, and what each sender's commitment makes of that."""

    enc_partial_secshares: tuple[int, ...]
    partial_pubshares: tuple[Point, ...]

    @staticmethod
    def len_bytes(n: int) -> int:
        return (SCALAR_BYTES + POINT_BYTES) * n

    @classmethod
    def from_bytes(cls, raw: bytes, n: int) -> "CoordinatorInvestigationMsg":
        """Raises MsgParseError."""
        reader = Reader(raw, cls.len_bytes(n))
        shares = reader.scalars(n, "encrypted partial secret share")
        return cls(shares, reader.points(n, "partial public share"))

    def to_bytes(self) -> bytes:
        return scalars_bytes(self.enc_partial_secshares) + points_bytes(self.partial_pubshares)


@dataclass(frozen=True, slots=True)
class ParticipantState:
    """What a participant remembers between the steps; nothing of it is secret."""

    simpl_state: simplpedpop.ParticipantState
    pubnonce: bytes


@dataclass(frozen=True, slots=True)
class Investigation:
    """What a participant with a wrong share needs to find the culprit. The pads are secret."""

    participant: int
    pubshare: Point
    enc_secshare: int
    pads: tuple[Secret, ...] = field(repr=False)


def _check_nonce(participant: int, pubnonce: bytes) -> None:
    try:
        Point.parse(pubnonce)
    except ValueError as error:
        raise FaultyParticipantError(participant, BAD_NONCE) from error


def participant_step1(seed: bytes, encryption: Encryption, random: bytes) -> tuple[ParticipantState, ParticipantMsg]:
    """Share a secret derived from `seed` and `random` and encrypt the shares."""
    n = len(encryption.enckeys)
    # All that goes into the shares goes into the nonce too: no pad can ever cover two different shares.
    simpl_seed = tagged_hash(BIP_TAG + "encpedpop seed", seed, random, encryption.context())
    aux_rand = tagged_hash(BIP_TAG + "simplpedpop aux", simpl_seed)
    secnonce = Secret(tagged_hash(BIP_TAG + "encpedpop secnonce", simpl_seed))
    pubnonce = secnonce.point().to_bytes()
    simpl_state, simpl_pmsg, shares = simplpedpop.participant_step1(
        simpl_seed, encryption.t, n, encryption.participant, aux_rand
    )
    pads = encryption.pads_to_all(secnonce, pubnonce)
    enc_shares = tuple(_ciphertext(share, pad) for share, pad in zip(shares, pads, strict=True))
    return ParticipantState(simpl_state, pubnonce), ParticipantMsg(simpl_pmsg, pubnonce, enc_shares)


def _ciphertext(share: Secret, pad: Secret) -> int:
    return scalar_from_bytes((share + pad).to_bytes())


def participant_step2(
    state: ParticipantState, encryption: Encryption, cmsg: CoordinatorMsg, enc_secshare: int
) -> tuple[DKGOutput, VSSCommitment]:
    """Decrypt this participant's share and check it, as `simplpedpop.participant_step2`.

    A share that does not fit is raised as UnknownFaultyParticipantOrCoordinatorError with its Investigation.
    """
    if cmsg.pubnonces[encryption.participant] != state.pubnonce:
        raise FaultyCoordinatorError("the coordinator sent another nonce than the one of this participant")
    secshare, pads = encryption.decrypt_sum(cmsg.pubnonces, enc_secshare)
    try:
        return simplpedpop.participant_step2(state.simpl_state, cmsg.simpl_cmsg, secshare)
    except WrongShareError as error:
        raise UnknownFaultyParticipantOrCoordinatorError(
            Investigation(encryption.participant, error.pubshare, enc_secshare, pads),
            "the secret share does not match the commitments; an investigation can tell by whose fault",
        ) from error


def investigate(investigation: Investigation, cinv: CoordinatorInvestigationMsg) -> ProtocolError:
    """Find whose share was wrong; returns the verdict."""
    if sum(cinv.enc_partial_secshares) % ORDER != investigation.enc_secshare:
        return FaultyCoordinatorError("the encrypted partial shares do not add up to the encrypted share")
    # A share is compared as a point: one that is zero is legal from a malicious sender, and no Secret.
    share_points = [
        Point.generated_by(enc) - pad.point()
        for enc, pad in zip(cinv.enc_partial_secshares, investigation.pads, strict=True)
    ]
    return simplpedpop.investigate(
        investigation.participant, investigation.pubshare, cinv.partial_pubshares, share_points
    )


def coordinator_step(
    pmsgs: Sequence[ParticipantMsg], t: int
) -> tuple[CoordinatorMsg, DKGOutput, VSSCommitment, tuple[int, ...]]:
    """Sum commitments and ciphertexts; the sums of ciphertexts, by recipient, come last.

    Raises FaultyParticipantError for a nonce that is no point, and as `simplpedpop.coordinator_step`.
    """
    for participant, pmsg in enumerate(pmsgs):
        _check_nonce(participant, pmsg.pubnonce)
    simpl_cmsg, output, sum_coms = simplpedpop.coordinator_step([pmsg.simpl_pmsg for pmsg in pmsgs], t)
    enc_secshares = tuple(sum(column) % ORDER for column in zip(*(p.enc_shares for p in pmsgs), strict=True))
    return CoordinatorMsg(simpl_cmsg, tuple(p.pubnonce for p in pmsgs)), output, sum_coms, enc_secshares


def coordinator_investigate(pmsgs: Sequence[ParticipantMsg]) -> list[CoordinatorInvestigationMsg]:
    """An investigation message for each participant; none of them is confidential."""
    return [
        CoordinatorInvestigationMsg(
            tuple(pmsg.enc_shares[receiver] for pmsg in pmsgs),
            tuple(pmsg.simpl_pmsg.com.pubshare(receiver) for pmsg in pmsgs),
        )
        for receiver in range(len(pmsgs))
    ]
