"""Bodies sealed at rest: whoever has the ledger's file alone reads no terms, deeds or notes in it.

Content and salt of a part are sealed together (with the salt in the open, a guess at a short content could be checked
against the commitment) with XSalsa20-Poly1305 under a key that follows from the identity's secret. The nonce is the
part's place: 23 bytes of its block's hash and its index, where only one content can ever stand, as the commitment says.
"""

import hashlib
import sqlite3

import nacl.bindings
import nacl.exceptions

from overlay.keys import SECRET_PREFIX, Identity
from overlay.trustchain.commitment import SALT_BYTES

KEY_BYTES = 32
# A nonce has 24 bytes; the last is the index.
_HASH_BYTES_IN_NONCE = 23


class Unreadable(sqlite3.DatabaseError):
    """A sealed part that this identity cannot open: it was sealed by another one, or was altered."""


class Seal:
    """Closes and opens the parts of one member's file."""

    __slots__ = ("_key",)

    def __init__(self, identity: Identity) -> None:
        secret = identity.secret[len(SECRET_PREFIX) :]
        self._key = hashlib.blake2b(key=secret, digest_size=KEY_BYTES, person=b"cf sealed parts").digest()

    def close(self, block: bytes, index: int, salt: bytes, content: bytes) -> bytes:
        """Salt (16 bytes) and content of part `index` of a block (its hash), 16 bytes longer."""
        return nacl.bindings.crypto_secretbox(salt + content, _nonce(block, index), self._key)

    def open(self, block: bytes, index: int, sealed: bytes) -> tuple[bytes, bytes]:
        """Salt and content; raises Unreadable."""
        try:
            plain = nacl.bindings.crypto_secretbox_open(sealed, _nonce(block, index), self._key)
        except nacl.exceptions.CryptoError as error:
            raise Unreadable(
                f"part {index} of block {block.hex()[:10]} was sealed by another identity, or was altered"
            ) from error
        return plain[:SALT_BYTES], plain[SALT_BYTES:]


def _nonce(block: bytes, index: int) -> bytes:
    return block[:_HASH_BYTES_IN_NONCE] + bytes((index,))
