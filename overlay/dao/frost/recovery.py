"""Restoring the outputs of a key generation from its public recovery data, and acknowledging to hold that data."""

from collections.abc import Sequence

from overlay.dao.frost import certeq
from overlay.dao.frost.bip340 import AUX_BYTES
from overlay.dao.frost.certeq import RECOVERY_ACK, Certificate, Signed
from overlay.dao.frost.encryption import Encryption
from overlay.dao.frost.errors import InvalidRecoveryAckError, MsgParseError, ProtocolError, RecoveryDataError
from overlay.dao.frost.params import SessionParams, host_secret, hostpubkey_gen
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.simplpedpop import DKGOutput, dkg_output
from overlay.dao.frost.transcript import RecoveryData, Transcript


def participant_recover(hostseckey: bytes, recovery_data: bytes) -> tuple[DKGOutput, SessionParams]:
    """This participant's output and the parameters of the session, from its host secret key and the recovery data.

    Raises HostSeckeyError where the key is invalid or took no part, RecoveryDataError for anything wrong with the
    data, ValueError where the key is not 32 bytes. The data may come from anybody: a certificate without this
    participant's own signature is refused, and nothing costly is computed before that is known.
    """
    deckey = host_secret(hostseckey)
    data = RecoveryData.from_bytes(recovery_data)
    params = data.transcript.params
    participant = params.participant_of(deckey.point().to_bytes())
    _check_certificate(data)
    output = _output(data, Encryption(deckey, tuple(params.hostpubkeys), params.t, participant))
    if Secret(output.secshare or b"").point().to_bytes() != output.pubshares[participant]:
        raise RecoveryDataError("the recovered share does not match its public share")
    return output, params


def coordinator_recover(recovery_data: bytes) -> tuple[DKGOutput, SessionParams]:
    """The output without a share; raises RecoveryDataError.

    That the host public keys are those of the right people is for the caller to check, and before this is called on
    data from a stranger (`RecoveryData.from_bytes` gives them cheaply): a certificate proves only that their owners
    agreed, and the public shares cost t * n additions of points.
    """
    data = RecoveryData.from_bytes(recovery_data)
    _check_certificate(data)
    return _output(data, None), data.transcript.params


def participant_recovery_ack_sign(
    hostseckey: bytes, recovery_data: bytes, params: SessionParams, aux_rand: bytes
) -> bytes:
    """A 64-byte acknowledgement that this participant holds the recovery data of the session `params`.

    Raises HostSeckeyError, RecoveryDataError where the data is of another session, ValueError for wrong lengths.
    """
    participant = params.participant_of(hostpubkey_gen(hostseckey))
    if len(aux_rand) != AUX_BYTES:
        raise ValueError(f"the auxiliary randomness is {AUX_BYTES} bytes, not {len(aux_rand)}")
    _check_session(recovery_data, params)
    return certeq.sign(RECOVERY_ACK, hostseckey, participant, recovery_data, aux_rand).to_bytes()


def participant_recovery_acks_verify(recovery_data: bytes, params: SessionParams, acks: Sequence[bytes]) -> None:
    """Check that all participants hold the recovery data, before anyone pays to the key.

    `acks` are in the order of the participants. Raises InvalidRecoveryAckError with the first whose acknowledgement
    is invalid, RecoveryDataError where the data is of another session, ValueError for a wrong number of them.
    """
    if len(acks) != params.n:
        raise ValueError(f"there are {params.n} participants but {len(acks)} acknowledgements")
    _check_session(recovery_data, params)
    cert = Certificate(tuple(_parse_ack(participant, ack) for participant, ack in enumerate(acks)))
    culprit = cert.first_invalid(RECOVERY_ACK, params.hostpubkeys, recovery_data)
    if culprit is not None:
        raise InvalidRecoveryAckError(culprit, "the acknowledgement of the recovery data is invalid")


def _parse_ack(participant: int, ack: bytes) -> bytes:
    try:
        return Signed.from_bytes(ack).sig
    except MsgParseError as error:
        raise InvalidRecoveryAckError(participant, str(error)) from error


def _check_certificate(data: RecoveryData) -> None:
    if data.first_uncertified() is not None:
        raise RecoveryDataError("the certificate in the recovery data is invalid")


def _check_session(recovery_data: bytes, params: SessionParams) -> None:
    if RecoveryData.from_bytes(recovery_data).transcript.params != params:
        raise RecoveryDataError("the recovery data is of another session")


def _output(data: RecoveryData, encryption: Encryption | None) -> DKGOutput:
    transcript = data.transcript
    try:
        secshare = encryption and _decrypt(transcript, encryption)
        tweaked, tweak = transcript.sum_coms.invalid_taproot_commit()
        return dkg_output(tweaked, transcript.params.n, secshare + tweak if secshare else None)
    except (ProtocolError, ValueError) as error:
        raise RecoveryDataError("the recovery data makes no key, though it is certified") from error


def _decrypt(transcript: Transcript, encryption: Encryption) -> Secret:
    enc_secshare = transcript.enc_secshares[encryption.participant]
    return encryption.decrypt_sum(transcript.pubnonces, enc_secshare)[0]
