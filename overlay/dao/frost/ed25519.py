"""The suite FROST(Ed25519, SHA-512) of RFC 9591, section 6.1, over libsodium.

Its signatures are plain Ed25519. libsodium computes scalars and products in constant time, secret or not.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import nacl.bindings as sodium
import nacl.exceptions

_CONTEXT: Final = b"FROST-ED25519-SHA512-v1"
_DOMAIN: Final = b"counterfoil/frost/ed25519/"


@dataclass(frozen=True, slots=True)
class Ed25519:
    """A `Ciphersuite`; see there."""

    order: int = 2**252 + 27742317777372353535851937790883648493
    element_bytes: int = 32
    identity: bytes = b"\x01" + bytes(31)

    def check_scalar(self, raw: bytes) -> bytes:
        if len(raw) != 32 or int.from_bytes(raw, "little") >= self.order:
            raise ValueError("a scalar of Ed25519 is 32 little-endian bytes below the order")
        return raw

    def check_element(self, raw: bytes) -> bytes:
        # libsodium's check includes the subgroup: a point with a component of small order is refused.
        if len(raw) != 32 or not sodium.crypto_core_ed25519_is_valid_point(raw):
            raise ValueError("these bytes are not a point of the prime-order group of Ed25519")
        return raw

    def scalar(self, value: int) -> bytes:
        return (value % self.order).to_bytes(32, "little")

    def scalar_add(self, left: bytes, right: bytes) -> bytes:
        return sodium.crypto_core_ed25519_scalar_add(left, right)

    def scalar_sub(self, left: bytes, right: bytes) -> bytes:
        return sodium.crypto_core_ed25519_scalar_sub(left, right)

    def scalar_mul(self, left: bytes, right: bytes) -> bytes:
        return sodium.crypto_core_ed25519_scalar_mul(left, right)

    def element_add(self, left: bytes, right: bytes) -> bytes:
        return sodium.crypto_core_ed25519_add(left, right)

    def element_mul(self, scalar: bytes, element: bytes) -> bytes:
        # libsodium refuses both, where a group has an answer.
        if element == self.identity or scalar == bytes(32):
            return self.identity
        return sodium.crypto_scalarmult_ed25519_noclamp(scalar, element)

    def base_mul(self, scalar: bytes) -> bytes:
        if scalar == bytes(32):
            return self.identity
        return sodium.crypto_scalarmult_ed25519_base_noclamp(scalar)

    def h1(self, data: bytes) -> bytes:
        return _reduced(_CONTEXT, b"rho", data)

    def h2(self, data: bytes) -> bytes:
        # The one hash without a domain, because it is that of plain Ed25519.
        return _reduced(data)

    def h3(self, data: bytes) -> bytes:
        return _reduced(_CONTEXT, b"nonce", data)

    def h4(self, data: bytes) -> bytes:
        return hashlib.sha512(_CONTEXT + b"msg" + data).digest()

    def h5(self, data: bytes) -> bytes:
        return hashlib.sha512(_CONTEXT + b"com" + data).digest()

    def hash_to_scalar(self, domain: str, *parts: bytes) -> bytes:
        return _reduced(_DOMAIN, domain.encode(), b"\x00", *parts)

    def verify(self, public_key: bytes, msg: bytes, signature: bytes) -> bool:
        try:
            sodium.crypto_sign_open(signature + msg, public_key)
        except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError):
            return False
        return True


def _reduced(*parts: bytes) -> bytes:
    return sodium.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"".join(parts)).digest())


ED25519: Final = Ed25519()
