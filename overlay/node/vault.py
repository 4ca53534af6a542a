r"""What a passphrase protects: the identity file and backups. Argon2id makes the key, and how much work it takes is
written beside what it protects, so that the work can grow later.

A protected identity file (integers big-endian):

    "COUNTERFOIL KEY 1\n" | public key 74 | operations u32 | memory in bytes u64 | salt 16 | nonce 24 | box 90

The box is XSalsa20-Poly1305 over the 74 bytes of the secret; the public key stands in front so that it can be shown
without the passphrase, and is compared when the box is open.
"""

import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import nacl.bindings
import nacl.exceptions
from nacl.pwhash import argon2id

from overlay.clock import Randomness
from overlay.keys import PUBLIC_KEY_BYTES, SECRET_PREFIX, Identity, InvalidKey, PublicKey, parse_public_key

# Where a passphrase comes from; called only when one is needed. Raises NoPassphrase.
Passphrase = Callable[[], str]

SALT_BYTES, NONCE_BYTES, KEY_BYTES, BOX_OVERHEAD = 16, 24, 32, 16
MAX_PASSPHRASE_BYTES = 1_024
# A file says how much work it wants. More than 1 GiB or 4 rounds (argon2id's "sensitive") would only be an attack.
MAX_OPERATIONS, MAX_MEMORY = argon2id.OPSLIMIT_SENSITIVE, argon2id.MEMLIMIT_SENSITIVE
KEY_MAGIC = b"COUNTERFOIL KEY 1\n"
_WORK = struct.Struct(f">IQ{SALT_BYTES}s")
_SECRET_BYTES = len(SECRET_PREFIX) + 64


class NoPassphrase(InvalidKey):
    """Something is protected by a passphrase, and nobody gave one."""


class WrongPassphrase(InvalidKey):
    """The passphrase is not the one that protects this, or what it protects was altered."""


@dataclass(frozen=True, slots=True)
class Work:
    """How a passphrase becomes a key: rounds and memory (bytes) of argon2id, and the salt."""

    operations: int
    memory: int
    salt: bytes

    SIZE = _WORK.size

    @classmethod
    def moderate(cls, random: Randomness) -> "Work":
        """What a person waits for about a second: 3 rounds over 256 MiB."""
        return cls(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE, random.bytes(SALT_BYTES))

    @classmethod
    def read(cls, raw: bytes) -> "Work":
        """From SIZE bytes; raises InvalidKey for less or more work than is allowed."""
        operations, memory, salt = _WORK.unpack(raw)
        if not 1 <= operations <= MAX_OPERATIONS or not argon2id.MEMLIMIT_MIN <= memory <= MAX_MEMORY:
            raise InvalidKey("this file asks for an amount of work that no file of this program asks for")
        return cls(operations, memory, salt)

    def pack(self) -> bytes:
        return _WORK.pack(self.operations, self.memory, self.salt)

    def key(self, passphrase: str) -> bytes:
        """32 bytes; takes as long as the work is great. Raises InvalidKey for an empty or endless passphrase."""
        spelled = unicodedata.normalize("NFC", passphrase).encode()
        if not 1 <= len(spelled) <= MAX_PASSPHRASE_BYTES:
            raise InvalidKey(f"a passphrase has 1 to {MAX_PASSPHRASE_BYTES:,} bytes, not {len(spelled)}")
        try:
            return bytes(argon2id.kdf(KEY_BYTES, spelled, self.salt, opslimit=self.operations, memlimit=self.memory))
        except nacl.exceptions.RuntimeError as error:
            needed = f"{self.memory >> 20} MiB of memory"
            raise InvalidKey(f"a passphrase takes {needed}, which this machine lacks") from error


def is_protected(raw: bytes) -> bool:
    """Whether the content of an identity file is protected by a passphrase."""
    return raw.startswith(KEY_MAGIC)


def protect(identity: Identity, passphrase: str, work: Work, random: Randomness) -> bytes:
    """The content of a protected identity file."""
    nonce = random.bytes(NONCE_BYTES)
    box = nacl.bindings.crypto_secretbox(identity.secret, nonce, work.key(passphrase))
    return b"".join((KEY_MAGIC, identity.public_key, work.pack(), nonce, box))


def open_identity(raw: bytes, passphrase: Passphrase) -> Identity:
    """The identity in the content of a file, plain or protected. Raises InvalidKey, and its kinds above."""
    if not is_protected(raw):
        return Identity.from_secret(raw)
    public, work, nonce, box = _fields(raw)
    try:
        secret = nacl.bindings.crypto_secretbox_open(box, nonce, work.key(passphrase()))
    except nacl.exceptions.CryptoError as error:
        raise WrongPassphrase("this passphrase does not open the key") from error
    identity = Identity.from_secret(secret)
    if identity.public_key != public:
        raise InvalidKey("the public key in front is not that of the secret behind it: the file was altered")
    return identity


def public_key_of(raw: bytes) -> PublicKey:
    """The public key of an identity file, which no passphrase protects. Raises InvalidKey."""
    return _fields(raw)[0] if is_protected(raw) else Identity.from_secret(raw).public_key


def _fields(raw: bytes) -> tuple[PublicKey, Work, bytes, bytes]:
    """Public key, work, nonce and box of a protected file; raises InvalidKey."""
    lengths = (PUBLIC_KEY_BYTES, Work.SIZE, NONCE_BYTES, _SECRET_BYTES + BOX_OVERHEAD)
    if len(raw) != len(KEY_MAGIC) + sum(lengths):
        raise InvalidKey(f"a protected key has {len(KEY_MAGIC) + sum(lengths)} bytes, not {len(raw)}")
    at, fields = len(KEY_MAGIC), list[bytes]()
    for length in lengths:
        fields.append(raw[at : at + length])
        at += length
    public, work, nonce, box = fields
    return parse_public_key(public), Work.read(work), nonce, box
