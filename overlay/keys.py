"""Identity keys: one agent is one key pair, byte-compatible with the keys of IPv8.

A public key is `LibNaCLPK:` + X25519 public (32 bytes) + Ed25519 public (32 bytes), 74 bytes in all; the secret
is `LibNaCLSK:` + X25519 secret (32) + Ed25519 seed (32). Signatures are checked with PyNaCl only: libsodium
refuses small-order keys that other libraries accept, and peers must never disagree on validity.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType

import nacl.bindings
import nacl.exceptions
import nacl.public
import nacl.signing

PublicKey = NewType("PublicKey", bytes)

PUBLIC_PREFIX = b"LibNaCLPK:"
SECRET_PREFIX = b"LibNaCLSK:"
PUBLIC_KEY_BYTES = 74
SIGNATURE_BYTES = 64
SECRET_BYTES = 64
ED25519_MULTICODEC = b"\xed\x01"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# A key, plain or protected by a passphrase, has less than 300 bytes.
MAX_KEY_FILE_BYTES = 4_096


class InvalidKey(ValueError):
    """A key file or key text is not what it should be; the message names it and says why."""


def parse_public_key(raw: bytes) -> PublicKey:
    """Check length and prefix of a public key; raises InvalidKey."""
    if len(raw) != PUBLIC_KEY_BYTES or not raw.startswith(PUBLIC_PREFIX):
        raise InvalidKey(f"a member key is 74 bytes that begin with LibNaCLPK:, not {len(raw)} bytes")
    return PublicKey(bytes(raw))


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is that of `public_key` (74 bytes) over `message`. Never raises."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, public_key[42:])
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError, nacl.exceptions.RuntimeError):
        return False
    return True


def short(public_key: bytes) -> str:
    """Ten hex digits of the signing half: enough for people to tell keys apart on one screen."""
    return public_key[42:47].hex()


def did_key(public_key: PublicKey) -> str:
    """The signing half as other software names it: `did:key` of W3C CCG, multicodec ed25519-pub in base58btc."""
    return f"did:key:z{_base58(ED25519_MULTICODEC + public_key[42:])}"


def _base58(raw: bytes) -> str:
    """Bitcoin's alphabet; `raw` begins with a byte that is not zero."""
    number, digits = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, len(BASE58))
        digits = BASE58[digit] + digits
    return digits


@dataclass(frozen=True, slots=True)
class Identity:
    """A member's key pair. `secret` is 74 bytes; it never appears in `repr` or logs."""

    secret: bytes = field(repr=False)
    public_key: PublicKey
    _signing_key: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "Identity":
        """Build from 64 bytes: X25519 secret, then Ed25519 seed. Raises InvalidKey."""
        if len(seed) != SECRET_BYTES:
            raise InvalidKey(f"an identity seed is {SECRET_BYTES} bytes, not {len(seed)}")
        box = nacl.bindings.crypto_scalarmult_base(seed[:32])
        sign_public, signing_key = nacl.bindings.crypto_sign_seed_keypair(seed[32:])
        public = PublicKey(PUBLIC_PREFIX + box + sign_public)
        return cls(SECRET_PREFIX + seed, public, signing_key)

    @classmethod
    def from_secret(cls, secret: bytes) -> "Identity":
        """Build from the 74-byte IPv8 form. Raises InvalidKey."""
        if not secret.startswith(SECRET_PREFIX):
            raise InvalidKey("a secret key begins with LibNaCLSK:")
        return cls.from_seed(secret[len(SECRET_PREFIX) :])

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over `message`."""
        return nacl.bindings.crypto_sign(message, self._signing_key)[:SIGNATURE_BYTES]

    def box_with(self, other: PublicKey) -> nacl.public.Box:
        """An authenticated channel to `other` (X25519 + XSalsa20-Poly1305); raises InvalidKey for a bad point."""
        try:
            return nacl.public.Box(nacl.public.PrivateKey(self.secret[10:42]), nacl.public.PublicKey(other[10:42]))
        except (nacl.exceptions.CryptoError, nacl.exceptions.RuntimeError) as error:
            raise InvalidKey(f"the key {short(other)} cannot be used for a private channel") from error


def save(path: Path, identity: Identity) -> None:
    """Write the secret to `path`, readable by its owner only, on disk before this returns; never overwrites."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(identity.secret)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> bytes:
    """The content of a key file; raises InvalidKey when others may read it, or it is much too long for a key."""
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise InvalidKey(f"{path}: other users of this machine can read the key; run chmod 600 on it")
    if status.st_size > MAX_KEY_FILE_BYTES:
        raise InvalidKey(f"{path}: a key has at most {MAX_KEY_FILE_BYTES:,} bytes")
    return path.read_bytes()
