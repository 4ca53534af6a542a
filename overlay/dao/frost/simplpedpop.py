"""SimplPedPop of ChillDKG: Pedersen's distributed key generation with proofs of possession, without any secrecy.

Shares travel by other means (EncPedPop), and that all saw the same is checked elsewhere (CertEq).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES, schnorr_sign, schnorr_verify
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    FaultyParticipantError,
    FaultyParticipantOrCoordinatorError,
    ProtocolError,
)
from overlay.dao.frost.group import POINT_BYTES, Point
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.vss import BIP_TAG, VSS, VSSCommitment
from overlay.dao.frost.wire import Reader, count_bytes, points_bytes

POP_TAG: Final = BIP_TAG + "pop message"


@dataclass(frozen=True, slots=True)
class ParticipantMsg:
    """One participant's commitment and the proof that it knows the secret committed to."""

    com: VSSCommitment
    pop: bytes

    @staticmethod
    def len_bytes(t: int) -> int:
        return POINT_BYTES * t + SIGNATURE_BYTES

    @classmethod
    def read(cls, reader: Reader, t: int) -> "ParticipantMsg":
        """Raises MsgParseError."""
        com = VSSCommitment(reader.points(t, "VSS commitment"))
        return cls(com, reader.take(SIGNATURE_BYTES))

    def to_bytes(self) -> bytes:
        return self.com.to_bytes() + self.pop


@dataclass(frozen=True, slots=True)
class CoordinatorMsg:
    """The commitments of all: those to secrets singly, so that their proofs can be checked, the others summed."""

    coms_to_secrets: tuple[Point, ...]
    sum_coms_to_nonconst_terms: tuple[Point, ...]
    pops: tuple[bytes, ...]

    @staticmethod
    def len_bytes(t: int, n: int) -> int:
        return POINT_BYTES * (n + t - 1) + SIGNATURE_BYTES * n

    @classmethod
    def read(cls, reader: Reader, t: int, n: int) -> "CoordinatorMsg":
        """Raises MsgParseError."""
        coms_to_secrets = reader.points(n, "commitment to a secret")
        sums = reader.points(t - 1, "sum of commitments to non-constant terms")
        return cls(coms_to_secrets, sums, reader.chunks(n, SIGNATURE_BYTES))

    def to_bytes(self) -> bytes:
        points = points_bytes(self.coms_to_secrets + self.sum_coms_to_nonconst_terms)
        return points + b"".join(self.pops)

    def sum_coms(self) -> VSSCommitment:
        """The commitment to the sum of all polynomials."""
        return VSSCommitment((Point.sum(self.coms_to_secrets), *self.sum_coms_to_nonconst_terms))


@dataclass(frozen=True, slots=True)
class DKGOutput:
    """What a key generation yields.

    `secshare` is this participant's secret share (32 bytes), None for the coordinator and other onlookers; `thresh_pk`
    the threshold public key and `pubshares` the public shares by participant, 33 bytes each.
    """

    secshare: bytes | None = field(repr=False)
    thresh_pk: bytes
    pubshares: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ParticipantState:
    """What a participant remembers between the steps; nothing of it is secret."""

    t: int
    n: int
    participant: int
    com_to_secret: Point


class WrongShareError(Exception):
    """The share does not match the commitments; `pubshare` is what it should have matched."""

    def __init__(self, pubshare: Point) -> None:
        self.pubshare = pubshare
        super().__init__("the secret share does not match the commitments")


def pop_prove(secret: Secret, participant: int, aux_rand: bytes) -> bytes:
    """A proof (64 bytes) that participant `participant` knows `secret`."""
    return schnorr_sign(count_bytes(participant), secret.to_bytes(), aux_rand, tag_prefix=POP_TAG)


def pop_fault(participant: int, com_to_secret: Point, pop: bytes) -> str | None:
    """What is wrong with a participant's commitment and proof; None where it knows the secret committed to."""
    if com_to_secret.is_infinity:
        return "the commitment to the secret is infinity"
    if not schnorr_verify(count_bytes(participant), com_to_secret.to_xonly(), pop, tag_prefix=POP_TAG):
        return "the proof of possession does not verify"
    return None


def participant_step1(
    seed: bytes, t: int, n: int, participant: int, aux_rand: bytes
) -> tuple[ParticipantState, ParticipantMsg, list[Secret]]:
    """Share a secret derived from `seed`: state, message to the coordinator, and a private share for each of n."""
    vss = VSS.generate(seed, t)
    com = vss.commit()
    msg = ParticipantMsg(com, pop_prove(vss.secret(), participant, aux_rand))
    return ParticipantState(t, n, participant, com.secret()), msg, vss.secshares(n)


def participant_step2(
    state: ParticipantState, cmsg: CoordinatorMsg, secshare: Secret
) -> tuple[DKGOutput, VSSCommitment]:
    """Check what the others committed to and that `secshare`, the sum of all shares for this one, fits.

    Returns the output and the summed commitment, on which all participants still have to agree.
    Raises FaultyCoordinatorError, FaultyParticipantOrCoordinatorError, or WrongShareError.
    """
    if cmsg.coms_to_secrets[state.participant] != state.com_to_secret:
        raise FaultyCoordinatorError("the coordinator sent another commitment than the one of this participant")
    for participant, (com, pop) in enumerate(zip(cmsg.coms_to_secrets, cmsg.pops, strict=True)):
        if participant != state.participant and (fault := pop_fault(participant, com, pop)):
            raise FaultyParticipantOrCoordinatorError(participant, fault)
    sum_coms = cmsg.sum_coms()
    tweaked, tweak = _tweaked(sum_coms)
    share = secshare + tweak
    if share.point() != tweaked.pubshare(state.participant):
        raise WrongShareError(sum_coms.pubshare(state.participant))
    return dkg_output(tweaked, state.n, share), sum_coms


def _tweaked(sum_coms: VSSCommitment) -> tuple[VSSCommitment, int]:
    if sum_coms.secret().is_infinity:
        # With one honest participant among them this has no more chance than guessing its secret.
        raise ProtocolError("the commitments of all participants cancel out: all of them are faulty")
    return sum_coms.invalid_taproot_commit()


def dkg_output(tweaked: VSSCommitment, n: int, secshare: Secret | None) -> DKGOutput:
    """The output that belongs to a summed and tweaked commitment.

    Raises FaultyParticipantOrCoordinatorError for a public share of infinity: with n - t + 2 participants on its side
    one can give itself the share zero, which is of no use to anyone, but nobody else.
    """
    pubshares = tweaked.pubshares(n)
    for participant, pubshare in enumerate(pubshares):
        if pubshare.is_infinity:
            raise FaultyParticipantOrCoordinatorError(participant, "its public share is infinity")
    encoded = tuple(pubshare.to_bytes() for pubshare in pubshares)
    return DKGOutput(secshare.to_bytes() if secshare else None, tweaked.secret().to_bytes(), encoded)


def investigate(
    participant: int, pubshare: Point, partial_pubshares: Sequence[Point], share_points: Sequence[Point]
) -> ProtocolError:
    """Find whose partial share is wrong, after WrongShareError with this `pubshare`; returns the verdict.

    `partial_pubshares` are the coordinator's claims by sender, `share_points` the partial shares received, times G.
    Raises ValueError where the share is not wrong at all.
    """
    if Point.sum(partial_pubshares) != pubshare:
        return FaultyCoordinatorError("the partial public shares do not add up to the public share")
    for sender, (claimed, received) in enumerate(zip(partial_pubshares, share_points, strict=True)):
        if claimed == received:
            continue
        if sender == participant:
            return FaultyCoordinatorError("the coordinator altered the share of this participant for itself")
        return FaultyParticipantOrCoordinatorError(sender, "the partial secret share is wrong")
    # Equal summands have equal sums, so this share was never wrong.
    raise ValueError("there is nothing to investigate: the share matches the commitments")


def coordinator_step(pmsgs: Sequence[ParticipantMsg], t: int) -> tuple[CoordinatorMsg, DKGOutput, VSSCommitment]:
    """Sum the commitments: message to all, output without a share, and the summed commitment.

    Checks the proofs of possession first, which the BIP leaves to the participants: they could not tell whether the
    coordinator framed the culprit, the coordinator can. Raises FaultyParticipantError.
    """
    for participant, pmsg in enumerate(pmsgs):
        if fault := pop_fault(participant, pmsg.com.secret(), pmsg.pop):
            raise FaultyParticipantError(participant, fault)
    sums = tuple(Point.sum(pmsg.com.points[j] for pmsg in pmsgs) for j in range(1, t))
    cmsg = CoordinatorMsg(tuple(pmsg.com.secret() for pmsg in pmsgs), sums, tuple(pmsg.pop for pmsg in pmsgs))
    sum_coms = cmsg.sum_coms()
    tweaked, _ = _tweaked(sum_coms)
    try:
        return cmsg, dkg_output(tweaked, len(pmsgs), None), sum_coms
    except FaultyParticipantOrCoordinatorError as error:
        raise FaultyParticipantError(error.participant, error.what) from error
