"""Tweaking the threshold public key: BIP341 outputs (x-only tweaks) and BIP32 children (plain tweaks)."""

from collections.abc import Sequence
from dataclasses import dataclass

from overlay.dao.frost.group import Point
from overlay.dao.frost.scalars import ORDER, scalar_from_bytes


@dataclass(frozen=True, slots=True)
class TweakContext:
    """A threshold public key after some tweaks (BIP-445, "Tweak Context").

    `Q` is the tweaked key; with g the sign that x-only signing needs, the secret of g * Q is
    g * gacc * (threshold secret) + g * tacc.
    """

    Q: Point
    gacc: int = 1
    tacc: int = 0

    @classmethod
    def init(cls, thresh_pk: bytes) -> "TweakContext":
        """Begin with a 33-byte threshold public key; raises ValueError when it is no point."""
        return cls(Point.parse(thresh_pk))

    @classmethod
    def after(cls, thresh_pk: bytes, tweaks: Sequence[bytes], is_xonly: Sequence[bool]) -> "TweakContext":
        """Apply a list of 32-byte tweaks with their modes; raises ValueError as `apply` does."""
        if len(tweaks) != len(is_xonly):
            raise ValueError(f"there are {len(tweaks)} tweaks but {len(is_xonly)} tweak modes")
        context = cls.init(thresh_pk)
        for tweak, xonly in zip(tweaks, is_xonly, strict=True):
            context = context.apply(tweak, xonly)
        return context

    def apply(self, tweak: bytes, is_xonly: bool) -> "TweakContext":
        """Add `tweak` times G to the key, which is first given an even y where `is_xonly`.

        Raises ValueError where the tweak is not a 32-byte scalar or the result is infinity.
        """
        t = scalar_from_bytes(tweak)
        g = -1 if is_xonly and not self.Q.has_even_y() else 1
        tweaked = g * self.Q + Point.generated_by(t)
        if tweaked.is_infinity:
            raise ValueError("the tweaked threshold public key would be infinity")
        return TweakContext(tweaked, g * self.gacc, (t + g * self.tacc) % ORDER)

    def sign(self) -> int:
        """1 or -1: what turns Q into the point that an x-only key stands for."""
        return 1 if self.Q.has_even_y() else -1

    def get_xonly_pubkey(self) -> bytes:
        """The 32-byte x-only key that signatures verify under."""
        return self.Q.to_xonly()

    def get_plain_pubkey(self) -> bytes:
        """The 33-byte compressed key; its lowest bit of byte 0 is the parity in a BIP341 control block."""
        return self.Q.to_bytes()
