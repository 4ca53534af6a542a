"""What the participants of a key generation agree on, and the public recovery data that restores a lost share."""

from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES
from overlay.dao.frost.certeq import CERTEQ, Certificate
from overlay.dao.frost.errors import MsgParseError, RecoveryDataError, SessionParamsError
from overlay.dao.frost.group import POINT_BYTES
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.scalars import SCALAR_BYTES
from overlay.dao.frost.vss import VSSCommitment
from overlay.dao.frost.wire import COUNT_BYTES, Reader, count_bytes, scalars_bytes

PER_PARTICIPANT_BYTES: Final = 2 * POINT_BYTES + SCALAR_BYTES + SIGNATURE_BYTES
"""Of recovery data: host public key, nonce of the encryption, encrypted share, signature."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The public result of a session, the same for all: sums of commitments and everybody's encrypted share."""

    params: SessionParams
    sum_coms: VSSCommitment
    pubnonces: tuple[bytes, ...]
    enc_secshares: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The string that all participants sign (`eq_input`)."""
        return b"".join(
            (
                count_bytes(self.params.t),
                self.sum_coms.to_bytes(),
                *self.params.hostpubkeys,
                *self.pubnonces,
                scalars_bytes(self.enc_secshares),
            )
        )


@dataclass(frozen=True, slots=True)
class RecoveryData:
    """A transcript with the signatures of all participants. Public, and enough for each to restore its share.

    4 + 33 t + 162 n bytes.
    """

    transcript: Transcript
    cert: Certificate

    @classmethod
    def from_bytes(cls, raw: bytes) -> "RecoveryData":
        """Read recovery data from anywhere; raises RecoveryDataError. The certificate is not checked here."""
        try:
            return cls._read(raw)
        except MsgParseError as error:
            raise RecoveryDataError(f"recovery data cannot be read: {error}") from error
        except SessionParamsError as error:
            raise RecoveryDataError(f"recovery data has invalid parameters: {error}") from error

    @classmethod
    def _read(cls, raw: bytes) -> "RecoveryData":
        t = int.from_bytes(raw[:COUNT_BYTES], "big")
        n = max(0, len(raw) - COUNT_BYTES - POINT_BYTES * t) // PER_PARTICIPANT_BYTES
        # The length decides n, and nothing is read before it is clear that the two fit.
        reader = Reader(raw, COUNT_BYTES + POINT_BYTES * t + PER_PARTICIPANT_BYTES * n)
        reader.take(COUNT_BYTES)
        sum_coms = VSSCommitment(reader.points(t, "sum of commitments"))
        hostpubkeys = reader.chunks(n, POINT_BYTES)
        pubnonces = reader.chunks(n, POINT_BYTES)
        enc_secshares = reader.scalars(n, "encrypted secret share")
        cert = Certificate(reader.chunks(n, SIGNATURE_BYTES))
        return cls(Transcript(SessionParams(hostpubkeys, t), sum_coms, pubnonces, enc_secshares), cert)

    def to_bytes(self) -> bytes:
        return self.transcript.to_bytes() + self.cert.to_bytes()

    def first_uncertified(self) -> int | None:
        """The first participant whose signature is invalid, None where the certificate is good."""
        return self.cert.first_invalid(CERTEQ, self.transcript.params.hostpubkeys, self.transcript.to_bytes())
