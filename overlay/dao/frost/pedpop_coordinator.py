"""The coordinator of PedPop: relays the messages of all, checks them first, and joins the certificate.

It is trusted with nothing. What it finds wrong is certainly its sender's doing, given that messages arrive as they
were sent.
"""

from collections.abc import Sequence
from functools import reduce

from overlay.dao.frost.certeq import Certificate, Signed
from overlay.dao.frost.ciphersuite import Ciphersuite
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    FaultyParticipantError,
    FaultyParticipantOrCoordinatorError,
    MsgParseError,
    RecoveryDataError,
)
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.pedpop_message import ParticipantMsg, evaluate, parse
from overlay.dao.frost.pedpop_transcript import RecoveryData, Transcript
from overlay.dao.frost.rfc9591 import GroupKey


def join(suite: Ciphersuite, pmsgs: Sequence[bytes], params: SessionParams) -> Transcript:
    """Check the messages of all, in their order: what everybody is to certify.

    Raises FaultyParticipantError, ValueError for a wrong number of messages.
    """
    if len(pmsgs) != params.n:
        raise ValueError(f"there are {params.n} participants but {len(pmsgs)} messages")
    for sender, pmsg in enumerate(pmsgs):
        try:
            parse(suite, params, sender, pmsg)
        except FaultyParticipantOrCoordinatorError as error:
            raise FaultyParticipantError(error.participant, error.what) from error
    return Transcript(params, tuple(pmsgs))


def split(suite: Ciphersuite, message: bytes, params: SessionParams) -> list[bytes]:
    """The messages of all out of one that the coordinator made by writing them one after another.

    Raises FaultyCoordinatorError.
    """
    size = ParticipantMsg.len_bytes(suite, params.t, params.n)
    if len(message) != size * params.n:
        raise FaultyCoordinatorError(f"the message is {len(message)} bytes long instead of {size * params.n}")
    return [message[at : at + size] for at in range(0, len(message), size)]


def finalize(transcript: Transcript, sigs: Sequence[bytes]) -> bytes:
    """Join the signatures of all about the messages: the public recovery data. Raises FaultyParticipantError."""
    data = RecoveryData(transcript, Certificate(tuple(_parse(place, sig) for place, sig in enumerate(sigs))))
    if (culprit := data.first_uncertified()) is not None:
        raise FaultyParticipantError(culprit, "the signature about the messages is invalid")
    return data.to_bytes()


def recover(suite: Ciphersuite, recovery: bytes) -> tuple[GroupKey, SessionParams]:
    """What everybody knows of a key, from its public recovery data; raises RecoveryDataError.

    A certificate proves only that the owners of its host keys agreed: whose they are is for the caller to check.
    """
    data = RecoveryData.from_bytes(suite, recovery)
    params = data.transcript.params
    if data.first_uncertified() is not None:
        raise RecoveryDataError("the certificate in the recovery data is invalid")
    try:
        msgs = [parse(suite, params, sender, pmsg) for sender, pmsg in enumerate(data.transcript.pmsgs)]
    except FaultyParticipantOrCoordinatorError as error:
        raise RecoveryDataError("the recovery data makes no key, though it is certified") from error
    columns = zip(*(msg.commitment for msg in msgs), strict=True)
    commitment = [reduce(suite.element_add, column) for column in columns]
    pubshares = [evaluate(suite, commitment, participant) for participant in range(params.n)]
    return GroupKey(suite, params.t, commitment[0], pubshares), params


def _parse(participant: int, raw: bytes) -> bytes:
    try:
        return Signed.from_bytes(raw).sig
    except MsgParseError as error:
        raise FaultyParticipantError(participant, str(error)) from error
