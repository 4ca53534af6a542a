"""Key generation for any suite of RFC 9591: PedPop [KG20, figure 1] with shares encrypted to host keys.

ChillDKG is published for secp256k1 and BIP340 only. This is its plainer sister for the Ed25519 ledger key of a group,
between the same host keys: every participant's whole message goes to all, unsummed, so a wrong share has a culprit
at once; all certify that they hold the same messages; and those, with the certificate, are the public recovery data.

    participant_step1 -> pmsg -> (all pmsgs to all) -> participant_step2 -> signature
    -> (all signatures to all) -> participant_finalize
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from overlay.dao.frost import certeq
from overlay.dao.frost.certeq import Certificate, Signed
from overlay.dao.frost.ciphersuite import Ciphersuite
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    FaultyParticipantOrCoordinatorError,
    MsgParseError,
    ProtocolError,
    RandomnessError,
    RecoveryDataError,
)
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.pedpop_message import Member, ParticipantMsg, evaluate
from overlay.dao.frost.pedpop_transcript import PEDPOP, RecoveryData, Transcript
from overlay.dao.frost.rfc9591 import GroupKey

RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class KeyShare:
    """What a participant holds in the end: the group's key and its own secret share (a scalar of the suite)."""

    key: GroupKey
    secshare: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParticipantState1:
    """Between `participant_step1` and `participant_step2`; in memory, for one use; not secret."""

    params: SessionParams
    pmsg: bytes


@dataclass(frozen=True, slots=True)
class ParticipantState2:
    """Between `participant_step2` and `participant_finalize`; in memory, for one use; it holds the secret share."""

    transcript: Transcript
    share: KeyShare = field(repr=False)


def participant_step1(
    suite: Ciphersuite, hostseckey: bytes, params: SessionParams, random: bytes
) -> tuple[ParticipantState1, bytes]:
    """Begin a session: state and message to all. `random` is 32 bytes, fresh and unpredictable.

    Raises HostSeckeyError, RandomnessError for zeros, ValueError for wrong lengths.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"the randomness is {RANDOM_BYTES} bytes, not {len(random)}")
    if random == bytes(RANDOM_BYTES):
        raise RandomnessError("the randomness is all zeros")
    member = Member.of(suite, hostseckey, params)
    seed = tagged_hash("counterfoil/pedpop/seed", hostseckey, random, member.context)
    pmsg = member.message(seed).to_bytes()
    return ParticipantState1(params, pmsg), pmsg


def participant_step2(
    suite: Ciphersuite, hostseckey: bytes, state1: ParticipantState1, pmsgs: Sequence[bytes], aux_rand: bytes
) -> tuple[ParticipantState2, bytes]:
    """Check the messages of all, in their order, our own included: state, and our signature (64 bytes) about them.

    Raises FaultyCoordinatorError or FaultyParticipantOrCoordinatorError (the coordinator is whoever relays messages),
    HostSeckeyError, ValueError for wrong counts and lengths of our own.
    """
    params = state1.params
    if len(pmsgs) != params.n:
        raise ValueError(f"there are {params.n} participants but {len(pmsgs)} messages")
    member = Member.of(suite, hostseckey, params)
    if pmsgs[member.participant] != state1.pmsg:
        raise FaultyCoordinatorError("the message of this participant came back altered")
    transcript = Transcript(params, tuple(pmsgs))
    share = _key_share(member, transcript)
    sig = certeq.sign(PEDPOP, hostseckey, member.participant, transcript.to_bytes(), aux_rand)
    return ParticipantState2(transcript, share), sig.to_bytes()


def participant_finalize(state2: ParticipantState2, sigs: Sequence[bytes]) -> tuple[KeyShare, bytes]:
    """Check that all certified the same messages: our share and the public recovery data, to be stored.

    Raises FaultyParticipantOrCoordinatorError, ValueError for a wrong number of signatures. Even then the session may
    have succeeded for another: keep the host key.
    """
    params = state2.transcript.params
    if len(sigs) != params.n:
        raise ValueError(f"there are {params.n} participants but {len(sigs)} signatures")
    cert = Certificate(tuple(_parse_sig(participant, sig) for participant, sig in enumerate(sigs)))
    data = RecoveryData(state2.transcript, cert)
    if (culprit := data.first_uncertified()) is not None:
        raise FaultyParticipantOrCoordinatorError(culprit, "the signature about the messages is invalid")
    return state2.share, data.to_bytes()


def recover(suite: Ciphersuite, hostseckey: bytes, recovery_data: bytes) -> tuple[KeyShare, SessionParams]:
    """A participant's share and the parameters, from its host secret key and the recovery data, from anyone.

    Raises HostSeckeyError, RecoveryDataError. Nothing costly is computed before it is known that this participant
    signed these very messages.
    """
    data = RecoveryData.from_bytes(suite, recovery_data)
    transcript = data.transcript
    member = Member.of(suite, hostseckey, transcript.params)
    if data.first_uncertified() is not None:
        raise RecoveryDataError("the certificate in the recovery data is invalid")
    try:
        return _key_share(member, transcript), transcript.params
    except ProtocolError as error:
        raise RecoveryDataError("the recovery data makes no key, though it is certified") from error


def _parse_sig(participant: int, raw: bytes) -> bytes:
    try:
        return Signed.from_bytes(raw).sig
    except MsgParseError as error:
        raise FaultyParticipantOrCoordinatorError(participant, str(error)) from error


def _key_share(member: Member, transcript: Transcript) -> KeyShare:
    """What the messages of all make of this participant; raises FaultyParticipantOrCoordinatorError."""
    suite, params = member.suite, transcript.params
    msgs = [member.parse(sender, pmsg) for sender, pmsg in enumerate(transcript.pmsgs)]
    shares = [member.decrypt(sender, msg) for sender, msg in enumerate(msgs)]
    columns = zip(*(msg.commitment for msg in msgs), strict=True)
    commitment = [reduce(suite.element_add, column) for column in columns]
    pubshares = [evaluate(suite, commitment, participant) for participant in range(params.n)]
    secshare = reduce(suite.scalar_add, shares)
    if suite.base_mul(secshare) != pubshares[member.participant]:
        raise _wrong_share(member, msgs, shares)
    for participant, pubshare in enumerate(pubshares):
        if pubshare == suite.identity:
            raise FaultyParticipantOrCoordinatorError(participant, "its public share is the identity")
    if commitment[0] == suite.identity:
        raise ProtocolError("the commitments of all participants cancel out: all of them are faulty")
    return KeyShare(GroupKey(suite, params.t, commitment[0], pubshares), secshare)


def _wrong_share(
    member: Member, msgs: Sequence[ParticipantMsg], shares: Sequence[bytes]
) -> FaultyParticipantOrCoordinatorError:
    """The first sender whose share does not match its own commitment."""
    for sender, (msg, share) in enumerate(zip(msgs, shares, strict=True)):
        if member.suite.base_mul(share) != evaluate(member.suite, msg.commitment, member.participant):
            return FaultyParticipantOrCoordinatorError(sender, "the secret share does not match the commitment")
    raise ArithmeticError("all shares match their commitments but their sum does not")
