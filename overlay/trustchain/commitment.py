"""Salted commitments to a private body (docs/ledger.md).

A body is a list of parts. The block carries a 32-byte root over them; a part is shown to whom it concerns together
with its salt and the path to the root, and says nothing of the other parts. A 16-byte salt per part keeps a guess
at a part's content from being checked against the root.

    leaf = SHA-256(0x00 | salt | content)    node = SHA-256(0x01 | left | right)    root = SHA-256(0x02 | count | top)
"""

import hashlib
from collections.abc import Sequence
from typing import NewType

import msgspec

from overlay.clock import Randomness

Root = NewType("Root", bytes)

SALT_BYTES = 16
ROOT_BYTES = 32
# An exchange of 16 legs on each side: more belongs into content, named by its hash.
MAX_PARTS = 32
MAX_PART_BYTES = 4_096
NO_BODY = Root(b"")


class BadDisclosure(ValueError):
    """A part that does not belong to the commitment it claims; the message says why."""


class Disclosure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One part of one block's body, with what proves that it belongs there."""

    block: bytes
    index: int
    count: int
    salt: bytes
    content: bytes
    path: tuple[bytes, ...]

    def root(self) -> Root:
        """The commitment that this disclosure fits; raises BadDisclosure when its shape is wrong."""
        self._check_shape()
        digest, index, width, path = _leaf(self.salt, self.content), self.index, self.count, list(self.path)
        while width > 1:
            if index ^ 1 < width:  # the last of an odd row has no sibling and moves up as it is
                if not path:
                    raise BadDisclosure("the path to the root is too short")
                sibling = path.pop(0)
                digest = _node(sibling, digest) if index & 1 else _node(digest, sibling)
            index, width = index // 2, (width + 1) // 2
        if path:
            raise BadDisclosure("the path to the root is too long")
        return _root(self.count, digest)

    def _check_shape(self) -> None:
        if not 1 <= self.count <= MAX_PARTS or not 0 <= self.index < self.count:
            raise BadDisclosure(f"part {self.index} of {self.count}: a body has 1 to {MAX_PARTS} parts")
        if len(self.salt) != SALT_BYTES or len(self.content) > MAX_PART_BYTES:
            raise BadDisclosure("a part has a salt of 16 bytes and at most 4,096 bytes of content")
        if len(self.block) != ROOT_BYTES or any(len(step) != ROOT_BYTES for step in self.path):
            raise BadDisclosure("a block hash or a step of the path is not 32 bytes")


class Body:
    """The parts of one block's body with their salts: what only its parties keep."""

    def __init__(self, parts: Sequence[bytes], random: Randomness) -> None:
        """Raises BadDisclosure for none or too many parts, or a part over the limit."""
        if not 1 <= len(parts) <= MAX_PARTS:
            raise BadDisclosure(f"a body has 1 to {MAX_PARTS} parts, not {len(parts)}")
        if any(len(part) > MAX_PART_BYTES for part in parts):
            raise BadDisclosure(f"a part of a body has at most {MAX_PART_BYTES} bytes")
        self._parts = [(random.bytes(SALT_BYTES), part) for part in parts]

    @property
    def root(self) -> Root:
        """What the block carries."""
        return _root(len(self._parts), self._rows()[-1][0])

    def disclosures(self, block: bytes) -> list[Disclosure]:
        """Every part of the body of `block` (its hash), each provable alone."""
        rows, count = self._rows(), len(self._parts)
        return [
            Disclosure(block, index, count, salt, content, _path(rows, index))
            for index, (salt, content) in enumerate(self._parts)
        ]

    def _rows(self) -> list[list[bytes]]:
        rows = [[_leaf(salt, content) for salt, content in self._parts]]
        while len(rows[-1]) > 1:
            row = rows[-1]
            pairs = [_node(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            rows.append(pairs + (row[-1:] if len(row) % 2 else []))
        return rows


def _path(rows: list[list[bytes]], index: int) -> tuple[bytes, ...]:
    steps = []
    for row in rows[:-1]:
        if index ^ 1 < len(row):
            steps.append(row[index ^ 1])
        index //= 2
    return tuple(steps)


def _leaf(salt: bytes, content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + salt + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _root(count: int, top: bytes) -> Root:
    return Root(hashlib.sha256(b"\x02" + bytes([count]) + top).digest())
