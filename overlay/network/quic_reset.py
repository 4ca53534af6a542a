"""Stateless resets (RFC 9000 section 10.3): a node that restarted tells peers at once that it no longer knows them.

The token of a connection id is a keyed hash that survives a restart, since its key comes from the identity. Whoever
shows it to the peer ends that connection, so it is sent only for ids that no connection here has; the commons is part
of the hash, or the streams of one commons could be made to give away the tokens of another.
"""

from hashlib import blake2b
from hmac import compare_digest

from overlay.clock import Clock, Randomness
from overlay.keys import Identity
from overlay.network.quic_limits import CONNECTION_ID_BYTES

TOKEN_BYTES = 16
# The smallest that RFC 9000 section 10.3 has: 5 bytes before the token. Real packets are larger (first byte 1,
# connection id 8, number 1, frames and tag 19) and are answered; resets are not, or nodes would answer each other's.
_RESET_BYTES = 5 + TOKEN_BYTES
# A restart concerns some 30 peers, each of which asks a few times; this is also all that a flood can make us send.
_RESETS_PER_SECOND = 50

# A packet with a short header: the first bit is 0, the second is 1 (RFC 9000 section 17.3).
_SHORT_HEADER = 0x40
_SHORT_HEADER_MASK = 0x3F


class Resets:
    """Tokens for our own connection ids, and the resets that carry them."""

    def __init__(self, identity: Identity, commons: bytes, clock: Clock, random: Randomness) -> None:
        self._key = blake2b(identity.secret + commons, digest_size=32, person=b"stream reset").digest()
        self._clock = clock
        self._random = random
        self._second = 0
        self._sent = 0

    def token(self, connection_id: bytes) -> bytes:
        """The 16-byte stateless reset token of one of our connection ids."""
        return blake2b(connection_id, digest_size=TOKEN_BYTES, key=self._key).digest()

    def answer(self, datagram: bytes) -> bytes | None:
        """The reset that answers a short-header datagram for an unknown connection; None when it is better not sent."""
        if len(datagram) <= _RESET_BYTES or not self._is_allowed():
            return None
        noise = self._random.bytes(_RESET_BYTES - TOKEN_BYTES)
        first = noise[0] & _SHORT_HEADER_MASK | _SHORT_HEADER
        return bytes([first]) + noise[1:] + self.token(datagram[1 : 1 + CONNECTION_ID_BYTES])

    def _is_allowed(self) -> bool:
        second = int(self._clock.monotonic())
        self._sent = self._sent + 1 if second == self._second else 1
        self._second = second
        return self._sent <= _RESETS_PER_SECOND


def is_reset(datagram: bytes, token: bytes) -> bool:
    """Whether the datagram ends with the token that the peer gave us for its connection id (b"" when it gave none)."""
    return len(datagram) == _RESET_BYTES and compare_digest(datagram[-TOKEN_BYTES:], token)
