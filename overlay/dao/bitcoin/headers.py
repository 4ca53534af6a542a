"""Block headers and merkle branches: what shows that a transaction is in a block that took work to make.

Hashes are 32 bytes in the order of the wire; people see them reversed, in hex.
"""

import hashlib
from collections.abc import Sequence

import msgspec

HEADER_BYTES = 80
HASH_BYTES = 32
# Compact targets (nBits): a mantissa of 23 bits and its sign in the low three bytes, the length in the high one.
MANTISSA_BITS, SIGN = 24, 0x00800000
# A block of 4,000,000 bytes holds fewer than 2^16 transactions of at least 60 bytes; one level more is generous.
MAX_BRANCH = 17


class InvalidHeader(ValueError):
    """Bytes that are no block header, or one that took less work than it claims; the message says which."""


class Header(msgspec.Struct, frozen=True):
    """The header of a block; `block_hash` and `previous` as people see them, `merkle_root` as in the wire."""

    block_hash: str
    previous: str
    merkle_root: bytes
    time: int
    bits: int

    @property
    def target(self) -> int:
        """What the hash, as a number, may be at most."""
        mantissa, length = self.bits & (1 << MANTISSA_BITS) - 1, self.bits >> MANTISSA_BITS
        return mantissa << 8 * (length - 3) if length >= 3 else mantissa >> 8 * (3 - length)


def parse_header(raw: bytes, easiest_target: int) -> Header:
    """The header in `raw`, which met its own target, and that one no easier than `easiest_target`.

    Raises InvalidHeader.
    """
    if len(raw) != HEADER_BYTES:
        raise InvalidHeader(f"a block header has {HEADER_BYTES} bytes, not {len(raw)}")
    number = int.from_bytes(digest := double_sha256(raw), "little")
    header = Header(
        digest[::-1].hex(),
        raw[4:36][::-1].hex(),
        raw[36:68],
        int.from_bytes(raw[68:72], "little"),
        int.from_bytes(raw[72:76], "little"),
    )
    if header.bits & SIGN or header.bits >> MANTISSA_BITS > HASH_BYTES or header.target > easiest_target:
        raise InvalidHeader("the header claims less work than any block of its network")
    if number > header.target:
        raise InvalidHeader("the header took less work than it claims")
    return header


def branch(leaves: Sequence[bytes], position: int) -> list[bytes]:
    """The hashes beside the way from the leaf at `position` to the merkle root, the lowest first."""
    found = []
    level = list(leaves)
    while len(level) > 1:
        # An odd last hash is paired with itself.
        level += level[-1:] * (len(level) % 2)
        found.append(level[position ^ 1])
        level = [double_sha256(level[n] + level[n + 1]) for n in range(0, len(level), 2)]
        position >>= 1
    return found


def root(leaf: bytes, position: int, beside: Sequence[bytes]) -> bytes | None:
    """The merkle root that `branch` leads to; None if `position` lies outside a tree of that height."""
    for each in beside:
        leaf = double_sha256(each + leaf if position & 1 else leaf + each)
        position >>= 1
    return None if position else leaf


def double_sha256(data: bytes) -> bytes:
    """The hash of blocks and transactions, in the order of the wire."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
