"""Half-blocks: signed statements on their signer's own chain, byte-compatible with TrustChain (docs/ledger.md).

    public_key 74s | sequence_number >I | link_public_key 74s | link_sequence_number >I | previous_hash 32s
    | signature 64s | type >I + bytes | transaction >I + bytes | timestamp >Q

The signature covers the pack with 64 ASCII zeros in its place; the hash is SHA-256 of the pack with the real one.
"""

import hashlib
import struct
from dataclasses import dataclass, field
from typing import NewType

from overlay.keys import PUBLIC_KEY_BYTES, PUBLIC_PREFIX, SIGNATURE_BYTES, Identity, PublicKey, verify

BlockHash = NewType("BlockHash", bytes)

ANYONE = PublicKey(b"0" * PUBLIC_KEY_BYTES)
GENESIS_HASH = BlockHash(b"0" * 32)
UNSIGNED = b"0" * SIGNATURE_BYTES
GENESIS_SEQUENCE = 1
MAX_SEQUENCE = 0xFFFFFFFF
HASH_BYTES = 32

_HEAD = struct.Struct(">74sI74sI32s64s")
_LENGTH = struct.Struct(">I")
_TIMESTAMP = struct.Struct(">Q")
_SIGNED_FROM = _HEAD.size - SIGNATURE_BYTES
FIXED_BYTES = _HEAD.size + 2 * _LENGTH.size + _TIMESTAMP.size  # 268
MAX_TYPE_BYTES = 64
# A block, the 22-byte community prefix and one message byte fit a UDP datagram of 1,472 bytes, with 8 to spare:
# 1,472 - 23 - 268 - 8 = 1,173 bytes for type and transaction together.
MAX_CONTENT_BYTES = 1_173
MAX_BLOCK_BYTES = FIXED_BYTES + MAX_CONTENT_BYTES


class MalformedBlock(ValueError):
    """Bytes that are no half-block; the message says where they go wrong."""


@dataclass(frozen=True, slots=True)
class HalfBlock:
    """One signed statement. Immutable; `transaction` keeps the raw bytes and is never re-encoded."""

    public_key: PublicKey
    sequence_number: int
    link_public_key: PublicKey
    link_sequence_number: int
    previous_hash: BlockHash
    type: bytes
    transaction: bytes
    timestamp: int
    signature: bytes = UNSIGNED
    # Computed once each; not `init`, so that a changed copy (dataclasses.replace) never inherits them.
    _packed: list[bytes] = field(default_factory=list, init=False, compare=False, repr=False)
    _hash: list[BlockHash] = field(default_factory=list, init=False, compare=False, repr=False)
    # What the transaction was found to say, kept by whoever decoded it (`ledger.meaning`).
    said: list[object] = field(default_factory=list, init=False, compare=False, repr=False)

    def pack(self, *, signature: bool = True) -> bytes:
        """The wire bytes; with `signature=False` the preimage that is signed."""
        if not self._packed:
            self._packed.append(self._pack())
        if signature:
            return self._packed[0]
        return self._packed[0][:_SIGNED_FROM] + UNSIGNED + self._packed[0][_SIGNED_FROM + SIGNATURE_BYTES :]

    def _pack(self) -> bytes:
        return b"".join(
            (
                _HEAD.pack(
                    self.public_key,
                    self.sequence_number,
                    self.link_public_key,
                    self.link_sequence_number,
                    self.previous_hash,
                    self.signature,
                ),
                _LENGTH.pack(len(self.type)),
                self.type,
                _LENGTH.pack(len(self.transaction)),
                self.transaction,
                _TIMESTAMP.pack(self.timestamp),
            )
        )

    @property
    def hash(self) -> BlockHash:
        """SHA-256 of the pack."""
        if not self._hash:
            self._hash.append(BlockHash(hashlib.sha256(self.pack()).digest()))
        return self._hash[0]

    @property
    def is_genesis(self) -> bool:
        return self.sequence_number == GENESIS_SEQUENCE

    @property
    def is_agreement(self) -> bool:
        """Whether this half answers another; a proposal half has link number 0."""
        return self.link_sequence_number != 0

    def signed_by(self, identity: Identity) -> "HalfBlock":
        """A copy with the signature of `identity`, whose key must be this block's."""
        if identity.public_key != self.public_key:
            raise ValueError("a half-block is signed by the key that it names")
        message = self.pack(signature=False)
        signature = identity.sign(message)
        signed = HalfBlock(
            self.public_key,
            self.sequence_number,
            self.link_public_key,
            self.link_sequence_number,
            self.previous_hash,
            self.type,
            self.transaction,
            self.timestamp,
            signature,
        )
        signed._packed.append(message[:_SIGNED_FROM] + signed.signature + message[_SIGNED_FROM + SIGNATURE_BYTES :])
        return signed

    def has_valid_signature(self) -> bool:
        return verify(self.public_key, self.pack(signature=False), self.signature)


def unpack(raw: bytes) -> HalfBlock:
    """Decode one half-block that fills `raw` exactly. Checks form, not truth; raises MalformedBlock."""
    if not FIXED_BYTES <= len(raw) <= MAX_BLOCK_BYTES:
        raise MalformedBlock(f"a half-block has {FIXED_BYTES} to {MAX_BLOCK_BYTES} bytes, not {len(raw)}")
    key, sequence, link_key, link_sequence, previous, signature = _HEAD.unpack_from(raw)
    kind, offset = _counted(raw, _HEAD.size, MAX_TYPE_BYTES, "type")
    transaction, offset = _counted(raw, offset, MAX_CONTENT_BYTES, "transaction")
    if len(raw) - offset != _TIMESTAMP.size:
        raise MalformedBlock(f"{len(raw) - offset} bytes follow the transaction where the timestamp has 8")
    (timestamp,) = _TIMESTAMP.unpack_from(raw, offset)
    if not key.startswith(PUBLIC_PREFIX):
        raise MalformedBlock("the public key is not a member key: it does not begin with LibNaCLPK:")
    if link_key != ANYONE and not link_key.startswith(PUBLIC_PREFIX):
        raise MalformedBlock("the link key is not a member key: it does not begin with LibNaCLPK:")
    block = HalfBlock(key, sequence, link_key, link_sequence, previous, kind, transaction, timestamp, signature)
    block._packed.append(bytes(raw))
    return block


def stored(key: bytes, sequence: int, link_key: bytes, link_sequence: int, tail: bytes) -> HalfBlock:
    """A block that was unpacked once and kept as what an index needs and a `tail`: its bytes from the previous hash on.

    What was kept is not checked again; a tail that was altered gives a block whose hash and signature do not fit.
    """
    raw = b"".join((key, _LENGTH.pack(sequence), link_key, _LENGTH.pack(link_sequence), tail))
    kind_from = FIXED_BYTES - _LENGTH.size - _TIMESTAMP.size
    kind_to = kind_from + int.from_bytes(raw[kind_from - _LENGTH.size : kind_from])
    block = HalfBlock(
        PublicKey(key),
        sequence,
        PublicKey(link_key),
        link_sequence,
        BlockHash(tail[:HASH_BYTES]),
        raw[kind_from:kind_to],
        raw[kind_to + _LENGTH.size : -_TIMESTAMP.size],
        int.from_bytes(raw[-_TIMESTAMP.size :]),
        tail[HASH_BYTES : HASH_BYTES + SIGNATURE_BYTES],
    )
    block._packed.append(raw)
    return block


def _counted(raw: bytes, offset: int, limit: int, name: str) -> tuple[bytes, int]:
    start = offset + _LENGTH.size
    if len(raw) < start:
        raise MalformedBlock(f"the block ends before its {name}")
    length = int.from_bytes(raw[offset:start])
    end = start + length
    if length > limit or end > len(raw):
        raise MalformedBlock(f"the {name} claims {length} bytes")
    return raw[start:end], end
