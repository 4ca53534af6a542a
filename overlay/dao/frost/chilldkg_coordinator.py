"""The coordinator's side of ChillDKG (see `chilldkg`). It holds no secret."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from overlay.dao.frost import encpedpop
from overlay.dao.frost.certeq import Certificate, Signed
from overlay.dao.frost.chilldkg_message import CoordinatorMsg1
from overlay.dao.frost.errors import (
    FaultyParticipantError,
    MisshapenParticipantMsgError,
    MsgLengthError,
    MsgParseError,
)
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.simplpedpop import DKGOutput
from overlay.dao.frost.transcript import RecoveryData, Transcript


@dataclass(frozen=True, slots=True)
class CoordinatorState:
    """Between `coordinator_step1` and `coordinator_finalize`."""

    transcript: Transcript
    output: DKGOutput


def coordinator_step1(pmsgs1: Sequence[bytes], params: SessionParams) -> tuple[CoordinatorState, bytes]:
    """Sum the first messages of all participants, in their order: state and cmsg1 (162 n + 33 (t - 1) bytes).

    Raises FaultyParticipantError, ValueError where the number of messages is not that of the participants.
    """
    pmsgs = _parse_pmsgs1(pmsgs1, params)
    enc_cmsg, output, sum_coms, enc_secshares = encpedpop.coordinator_step(pmsgs, params.t)
    transcript = Transcript(params, sum_coms, enc_cmsg.pubnonces, enc_secshares)
    return CoordinatorState(transcript, output), CoordinatorMsg1(enc_cmsg, enc_secshares).to_bytes()


def coordinator_finalize(state: CoordinatorState, pmsgs2: Sequence[bytes]) -> tuple[bytes, DKGOutput, bytes]:
    """Join the signatures of all: cmsg2 (64 n bytes), the output without a share, and the recovery data.

    Raises FaultyParticipantError, ValueError where the number of messages is not that of the participants.
    """
    _check_count(pmsgs2, state.transcript.params)
    data = RecoveryData(state.transcript, Certificate(tuple(_parse_pmsgs2(pmsgs2))))
    if (culprit := data.first_uncertified()) is not None:
        raise FaultyParticipantError(culprit, "the signature for the certificate is invalid")
    return data.cert.to_bytes(), state.output, data.to_bytes()


def coordinator_investigate(pmsgs1: Sequence[bytes], params: SessionParams) -> list[bytes]:
    """For each participant the message that lets it find who sent it a wrong share; none is confidential.

    Raises as `coordinator_step1`.
    """
    return [msg.to_bytes() for msg in encpedpop.coordinator_investigate(_parse_pmsgs1(pmsgs1, params))]


def _parse_pmsgs1(pmsgs1: Sequence[bytes], params: SessionParams) -> list[encpedpop.ParticipantMsg]:
    _check_count(pmsgs1, params)
    parsed = []
    for participant, pmsg1 in enumerate(pmsgs1):
        with _blaming_participant(participant):
            parsed.append(encpedpop.ParticipantMsg.from_bytes(pmsg1, params.t, params.n))
    return parsed


def _parse_pmsgs2(pmsgs2: Sequence[bytes]) -> Iterator[bytes]:
    for participant, pmsg2 in enumerate(pmsgs2):
        with _blaming_participant(participant):
            yield Signed.from_bytes(pmsg2).sig


@contextmanager
def _blaming_participant(participant: int) -> Iterator[None]:
    try:
        yield
    except MsgLengthError as error:
        raise MisshapenParticipantMsgError(participant, str(error)) from error
    except MsgParseError as error:
        raise FaultyParticipantError(participant, str(error)) from error


def _check_count(msgs: Sequence[bytes], params: SessionParams) -> None:
    if len(msgs) != params.n:
        raise ValueError(f"there are {params.n} participants but {len(msgs)} messages")
