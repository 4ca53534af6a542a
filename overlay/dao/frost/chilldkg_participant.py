"""The participant's side of ChillDKG (see `chilldkg`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from overlay.dao.frost import certeq, encpedpop
from overlay.dao.frost.bip340 import AUX_BYTES
from overlay.dao.frost.certeq import CERTEQ, Certificate
from overlay.dao.frost.chilldkg_message import CoordinatorMsg1
from overlay.dao.frost.encryption import Encryption
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    HostSeckeyError,
    MisshapenCoordinatorMsgError,
    MsgLengthError,
    MsgParseError,
    ProtocolError,
    RandomnessError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from overlay.dao.frost.params import SessionParams, host_secret
from overlay.dao.frost.simplpedpop import DKGOutput
from overlay.dao.frost.transcript import RecoveryData, Transcript

RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ParticipantState1:
    """Between `participant_step1` and `participant_step2`; nothing of it is secret."""

    params: SessionParams
    participant: int
    enc_state: encpedpop.ParticipantState


@dataclass(frozen=True, slots=True)
class ParticipantState2:
    """Between `participant_step2` and `participant_finalize`; it holds the secret share."""

    transcript: Transcript
    output: DKGOutput = field(repr=False)


def participant_step1(hostseckey: bytes, params: SessionParams, random: bytes) -> tuple[ParticipantState1, bytes]:
    """Begin a session: state and pmsg1 (33 t + 32 n + 97 bytes). `random` is 32 bytes, fresh and unpredictable.

    Raises HostSeckeyError where the key is invalid or nobody's in `params`, RandomnessError where `random` is all
    zeros, ValueError for wrong lengths.
    """
    deckey = host_secret(hostseckey)
    participant = params.participant_of(deckey.point().to_bytes())
    _check_length("randomness", random, RANDOM_BYTES)
    if random == bytes(RANDOM_BYTES):
        raise RandomnessError("the randomness is all zeros")
    encryption = Encryption(deckey, tuple(params.hostpubkeys), params.t, participant)
    enc_state, pmsg = encpedpop.participant_step1(hostseckey, encryption, random)
    return ParticipantState1(params, participant, enc_state), pmsg.to_bytes()


def participant_step2(
    hostseckey: bytes, state1: ParticipantState1, cmsg1: bytes, aux_rand: bytes
) -> tuple[ParticipantState2, bytes]:
    """Check the coordinator's first message and certify it: state and pmsg2 (64 bytes). `aux_rand` is 32 bytes.

    Raises HostSeckeyError where the key is not that of step 1, ValueError for a wrong length of our own input;
    FaultyCoordinatorError, FaultyParticipantOrCoordinatorError, or UnknownFaultyParticipantOrCoordinatorError, which
    `participant_investigate` can narrow down.
    """
    deckey = host_secret(hostseckey)
    _check_length("auxiliary randomness", aux_rand, AUX_BYTES)
    params, participant = state1.params, state1.participant
    if deckey.point().to_bytes() != params.hostpubkeys[participant]:
        raise HostSeckeyError("the host secret key is not the one of the first step")
    with _blaming_coordinator():
        msg = CoordinatorMsg1.from_bytes(cmsg1, params.t, params.n)
    encryption = Encryption(deckey, tuple(params.hostpubkeys), params.t, participant)
    enc_secshare = msg.enc_secshares[participant]
    output, sum_coms = encpedpop.participant_step2(state1.enc_state, encryption, msg.enc_cmsg, enc_secshare)
    transcript = Transcript(params, sum_coms, msg.enc_cmsg.pubnonces, msg.enc_secshares)
    pmsg2 = certeq.sign(CERTEQ, hostseckey, participant, transcript.to_bytes(), aux_rand)
    return ParticipantState2(transcript, output), pmsg2.to_bytes()


def participant_finalize(state2: ParticipantState2, cmsg2: bytes) -> tuple[DKGOutput, bytes]:
    """Check that all certified the same: the output and the public recovery data, to be stored.

    Raises FaultyCoordinatorError. Even then the session may have succeeded for another (see the module's text).
    """
    transcript = state2.transcript
    with _blaming_coordinator():
        data = RecoveryData(transcript, Certificate.from_bytes(cmsg2, transcript.params.n))
    if data.first_uncertified() is not None:
        raise FaultyCoordinatorError("the certificate of the coordinator has an invalid signature")
    return state2.output, data.to_bytes()


def participant_investigate(error: UnknownFaultyParticipantOrCoordinatorError, cinv: bytes) -> ProtocolError:
    """Who is to blame for `error` of `participant_step2`, given the coordinator's investigation message (65 n bytes).

    Returns FaultyParticipantOrCoordinatorError or FaultyCoordinatorError, for the caller to raise or to record;
    raises TypeError for an error that did not come from `participant_step2`.
    """
    investigation = error.investigation
    if not isinstance(investigation, encpedpop.Investigation):
        raise TypeError("this error holds no data to investigate")
    try:
        with _blaming_coordinator():
            msg = encpedpop.CoordinatorInvestigationMsg.from_bytes(cinv, len(investigation.pads))
    except FaultyCoordinatorError as fault:
        return fault
    return encpedpop.investigate(investigation, msg)


@contextmanager
def _blaming_coordinator() -> Iterator[None]:
    try:
        yield
    except MsgLengthError as error:
        raise MisshapenCoordinatorMsgError(str(error)) from error
    except MsgParseError as error:
        raise FaultyCoordinatorError(str(error)) from error


def _check_length(name: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise ValueError(f"the {name} is {size} bytes, not {len(value)}")
