"""Domain-separated hashing: the tagged hash of BIP340, under which every hash of this package is made."""

import hashlib
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=64)
def _tagged_state(tag: str) -> Any:
    """SHA-256 that has already absorbed the two copies of the tag: one block that need not be hashed again."""
    tag_hash = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(tag_hash + tag_hash)


def tagged_hash(tag: str, *parts: bytes) -> bytes:
    """SHA256(SHA256(tag) || SHA256(tag) || parts...), 32 bytes (BIP340, "Design")."""
    state = _tagged_state(tag).copy()
    for part in parts:
        state.update(part)
    digest: bytes = state.digest()
    return digest


def xor_bytes(left: bytes, right: bytes) -> bytes:
    """Byte by byte exclusive or of two strings of one length."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
