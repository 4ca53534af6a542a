"""The additive encryption of EncPedPop: each share is hidden by a pad that sender and recipient agree on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from overlay.dao.frost.errors import FaultyParticipantOrCoordinatorError
from overlay.dao.frost.group import Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.vss import BIP_TAG
from overlay.dao.frost.wire import count_bytes

BAD_NONCE: Final = "the nonce of the encryption is no point"


@dataclass(frozen=True, slots=True)
class Encryption:
    """The setting of one encryption: whose keys, which threshold, and which participant we are.

    `deckey` is our secret, `enckeys` the 33-byte public keys of all (ours among them).
    """

    deckey: Secret = field(repr=False)
    enckeys: tuple[bytes, ...]
    t: int
    participant: int

    def context(self) -> bytes:
        return count_bytes(self.t) + b"".join(self.enckeys)

    def pads_to_all(self, secnonce: Secret, pubnonce: bytes) -> Iterator[Secret]:
        """The pad for each recipient in turn; raises ValueError for an enckey that is no point."""
        context = self.context()
        for receiver, enckey in enumerate(self.enckeys):
            bound = count_bytes(receiver) + context
            if receiver == self.participant:
                yield self._self_pad(pubnonce, bound)
            else:
                yield _pad(secnonce.ecdh(Point.parse(enckey)), pubnonce, enckey, bound)

    def pads_from_all(self, pubnonces: Sequence[bytes]) -> Iterator[Secret]:
        """The pad of each sender in turn; raises FaultyParticipantOrCoordinatorError for a bad nonce."""
        bound = count_bytes(self.participant) + self.context()
        for sender, pubnonce in enumerate(pubnonces):
            if sender == self.participant:
                yield self._self_pad(pubnonce, bound)
            else:
                shared = self.deckey.ecdh(_sender_nonce(sender, pubnonce))
                yield _pad(shared, pubnonce, self.enckeys[self.participant], bound)

    def decrypt_sum(self, pubnonces: Sequence[bytes], enc_secshare: int) -> tuple[Secret, tuple[Secret, ...]]:
        """Our share, from the sum of all that was encrypted to us, and the pads; raises as `pads_from_all`."""
        pads = tuple(self.pads_from_all(pubnonces))
        return -reduce(Secret.__add__, pads) + enc_secshare, pads

    def _self_pad(self, pubnonce: bytes, bound: bytes) -> Secret:
        # No key agreement with oneself is needed.
        tag = BIP_TAG + "encaps_multi self_pad"
        return Secret.from_hash(tagged_hash(tag, self.deckey.to_bytes(), pubnonce, bound))


def _pad(shared: bytes, pubnonce: bytes, enckey: bytes, bound: bytes) -> Secret:
    """Hashed ElGamal with the recipient's number in the hash (Pinto, Poettering, Schuldt 2014, section 5)."""
    return Secret.from_hash(tagged_hash(BIP_TAG + "encpedpop ecdh", shared, pubnonce, enckey, bound))


def _sender_nonce(sender: int, pubnonce: bytes) -> Point:
    try:
        return Point.parse(pubnonce)
    except ValueError as error:
        raise FaultyParticipantOrCoordinatorError(sender, BAD_NONCE) from error
