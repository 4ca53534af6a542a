"""What the participants of PedPop certify, and the public recovery data that restores a lost share."""

from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES
from overlay.dao.frost.certeq import Certificate
from overlay.dao.frost.ciphersuite import Ciphersuite
from overlay.dao.frost.errors import MsgParseError, RecoveryDataError, SessionParamsError
from overlay.dao.frost.group import POINT_BYTES
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.pedpop_message import ParticipantMsg
from overlay.dao.frost.wire import COUNT_BYTES, Reader, count_bytes

PEDPOP: Final = "counterfoil pedpop certificate"


@dataclass(frozen=True, slots=True)
class Transcript:
    """The parameters and the messages of all participants: what all certify."""

    params: SessionParams
    pmsgs: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        counts = count_bytes(self.params.t) + count_bytes(self.params.n)
        return counts + b"".join((*self.params.hostpubkeys, *self.pmsgs))

    @staticmethod
    def len_bytes(suite: Ciphersuite, t: int, n: int) -> int:
        return 2 * COUNT_BYTES + n * (POINT_BYTES + ParticipantMsg.len_bytes(suite, t, n))


@dataclass(frozen=True, slots=True)
class RecoveryData:
    """A transcript with the signatures of all participants: public, and enough for each to restore its share."""

    transcript: Transcript
    cert: Certificate

    @classmethod
    def from_bytes(cls, suite: Ciphersuite, raw: bytes) -> "RecoveryData":
        """Read recovery data from anywhere; raises RecoveryDataError. Neither messages nor certificate are checked."""
        t, n = (int.from_bytes(raw[at : at + COUNT_BYTES], "big") for at in (0, COUNT_BYTES))
        try:
            reader = Reader(raw, Transcript.len_bytes(suite, t, n) + Certificate.len_bytes(n))
            reader.take(2 * COUNT_BYTES)
            params = SessionParams(reader.chunks(n, POINT_BYTES), t)
        except (MsgParseError, SessionParamsError) as error:
            raise RecoveryDataError(f"recovery data cannot be read: {error}") from error
        transcript = Transcript(params, reader.chunks(n, ParticipantMsg.len_bytes(suite, t, n)))
        return cls(transcript, Certificate(reader.chunks(n, SIGNATURE_BYTES)))

    def to_bytes(self) -> bytes:
        return self.transcript.to_bytes() + self.cert.to_bytes()

    def first_uncertified(self) -> int | None:
        """The first participant whose signature is invalid, None where the certificate is good."""
        return self.cert.first_invalid(PEDPOP, self.transcript.params.hostpubkeys, self.transcript.to_bytes())
