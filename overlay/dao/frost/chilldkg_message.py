"""The coordinator's first message of ChillDKG. The others are `encpedpop.ParticipantMsg` and those of `certeq`."""

from dataclasses import dataclass

from overlay.dao.frost.encpedpop import CoordinatorMsg
from overlay.dao.frost.scalars import SCALAR_BYTES
from overlay.dao.frost.wire import Reader, scalars_bytes


@dataclass(frozen=True, slots=True)
class CoordinatorMsg1:
    """What ChillDKG broadcasts: all commitments and nonces, and everybody's encrypted share."""

    enc_cmsg: CoordinatorMsg
    enc_secshares: tuple[int, ...]

    @staticmethod
    def len_bytes(t: int, n: int) -> int:
        return CoordinatorMsg.len_bytes(t, n) + SCALAR_BYTES * n

    @classmethod
    def from_bytes(cls, raw: bytes, t: int, n: int) -> "CoordinatorMsg1":
        """Raises MsgParseError."""
        reader = Reader(raw, cls.len_bytes(t, n))
        enc_cmsg = CoordinatorMsg.read(reader, t, n)
        return cls(enc_cmsg, reader.scalars(n, "encrypted secret share"))

    def to_bytes(self) -> bytes:
        return self.enc_cmsg.to_bytes() + scalars_bytes(self.enc_secshares)
