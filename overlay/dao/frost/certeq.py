"""CertEq of ChillDKG: all participants hold one transcript, and each has signed it under its host key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES, schnorr_sign, schnorr_verify
from overlay.dao.frost.vss import BIP_TAG
from overlay.dao.frost.wire import Reader, count_bytes

CERTEQ: Final = BIP_TAG + "certeq message"
RECOVERY_ACK: Final = BIP_TAG + "recovery acknowledgment"
_PREFIX_BYTES: Final = 33


@dataclass(frozen=True, slots=True)
class Signed:
    """What a participant answers: its 64-byte signature (the second message of ChillDKG, an acknowledgement)."""

    sig: bytes

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Signed":
        """Raises MsgLengthError."""
        return cls(Reader(raw, SIGNATURE_BYTES).take(SIGNATURE_BYTES))

    def to_bytes(self) -> bytes:
        return self.sig


@dataclass(frozen=True, slots=True)
class Certificate:
    """The signatures of all participants, in their order, about one string."""

    sigs: tuple[bytes, ...]

    @staticmethod
    def len_bytes(n: int) -> int:
        return SIGNATURE_BYTES * n

    @classmethod
    def from_bytes(cls, raw: bytes, n: int) -> "Certificate":
        """Raises MsgLengthError."""
        return cls(Reader(raw, cls.len_bytes(n)).chunks(n, SIGNATURE_BYTES))

    def to_bytes(self) -> bytes:
        return b"".join(self.sigs)

    def first_invalid(self, kind: str, hostpubkeys: Sequence[bytes], x: bytes) -> int | None:
        """The first participant whose signature about `x` is invalid, None where all are good."""
        for participant, (hostpubkey, sig) in enumerate(zip(hostpubkeys, self.sigs, strict=True)):
            if not schnorr_verify(_message(kind, x, participant), hostpubkey[1:], sig):
                return participant
        return None


def sign(kind: str, hostseckey: bytes, participant: int, x: bytes, aux_rand: bytes) -> Signed:
    """A participant's BIP340 signature about `x`."""
    return Signed(schnorr_sign(_message(kind, x, participant), hostseckey, aux_rand))


def _message(kind: str, x: bytes, participant: int) -> bytes:
    """What is signed: `kind` as 33 bytes of domain, the participant's number, then `x` itself."""
    return kind.encode().ljust(_PREFIX_BYTES, b"\x00") + count_bytes(participant) + x
