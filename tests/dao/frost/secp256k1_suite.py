"""FROST(secp256k1, SHA-256) of RFC 9591, section 6.5, to run the generic protocol against its published figures."""

import hashlib
from dataclasses import dataclass

from overlay.dao.frost.group import Point
from overlay.dao.frost.scalars import ORDER, scalar_from_bytes, scalar_to_bytes

CONTEXT = b"FROST-secp256k1-SHA256-v1"


def expand_message_xmd(msg: bytes, dst: bytes, size: int) -> bytes:
    """RFC 9380, section 5.3.1, with SHA-256 (blocks of 64 bytes, digests of 32)."""
    dst_prime = dst + bytes([len(dst)])
    first = hashlib.sha256(bytes(64) + msg + size.to_bytes(2, "big") + b"\x00" + dst_prime).digest()
    block, out = bytes(32), b""
    for count in range(1, -(-size // 32) + 1):
        mixed = bytes(a ^ b for a, b in zip(first, block, strict=True))
        block = hashlib.sha256(mixed + bytes([count]) + dst_prime).digest()
        out += block
    return out[:size]


def to_scalar(label: bytes, data: bytes) -> bytes:
    return scalar_to_bytes(int.from_bytes(expand_message_xmd(data, CONTEXT + label, 48), "big"))


@dataclass(frozen=True)
class Secp256k1:
    """A `Ciphersuite` over the points of this package; all its scalars are public: they are published figures."""

    order: int = ORDER
    element_bytes: int = 33
    identity: bytes = bytes(33)

    def check_scalar(self, raw: bytes) -> bytes:
        scalar_from_bytes(raw)
        return raw

    def check_element(self, raw: bytes) -> bytes:
        return Point.parse(raw).to_bytes()

    def scalar(self, value: int) -> bytes:
        return scalar_to_bytes(value)

    def scalar_add(self, left: bytes, right: bytes) -> bytes:
        return scalar_to_bytes(scalar_from_bytes(left) + scalar_from_bytes(right))

    def scalar_sub(self, left: bytes, right: bytes) -> bytes:
        return scalar_to_bytes(scalar_from_bytes(left) - scalar_from_bytes(right))

    def scalar_mul(self, left: bytes, right: bytes) -> bytes:
        return scalar_to_bytes(scalar_from_bytes(left) * scalar_from_bytes(right))

    def element_add(self, left: bytes, right: bytes) -> bytes:
        return (Point.parse_extended(left) + Point.parse_extended(right)).to_bytes()

    def element_mul(self, scalar: bytes, element: bytes) -> bytes:
        return (scalar_from_bytes(scalar) * Point.parse_extended(element)).to_bytes()

    def base_mul(self, scalar: bytes) -> bytes:
        return Point.generated_by(scalar_from_bytes(scalar)).to_bytes()

    def h1(self, data: bytes) -> bytes:
        return to_scalar(b"rho", data)

    def h2(self, data: bytes) -> bytes:
        return to_scalar(b"chal", data)

    def h3(self, data: bytes) -> bytes:
        return to_scalar(b"nonce", data)

    def h4(self, data: bytes) -> bytes:
        return hashlib.sha256(CONTEXT + b"msg" + data).digest()

    def h5(self, data: bytes) -> bytes:
        return hashlib.sha256(CONTEXT + b"com" + data).digest()

    def hash_to_scalar(self, domain: str, *parts: bytes) -> bytes:
        return to_scalar(domain.encode(), b"".join(parts))

    def verify(self, public_key: bytes, msg: bytes, signature: bytes) -> bool:
        R, z = signature[:33], signature[33:]
        challenge = self.h2(R + public_key + msg)
        return self.base_mul(z) == self.element_add(R, self.element_mul(challenge, public_key))


SECP256K1 = Secp256k1()
