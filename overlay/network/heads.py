"""How far this node knows each member's chain: kept in memory, so that telling and comparing cost no reading.

Chains are spread over 64 buckets by the last byte of their key. Two nodes compare one digest per bucket and then only
the heads in buckets that differ, page by page: in a commons of 10,000 one chain that has moved costs 156 heads, 15 kB.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator

from overlay.keys import PublicKey
from overlay.network.messages import (
    DIGEST_BYTES,
    HEAD_BUCKETS,
    MAX_FORKS,
    MAX_HEADS,
    TIP_BYTES,
    AskHeads,
    BadMessage,
    Head,
    Heads,
)
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Changes, Ledger, meaning
from overlay.trustchain.statements import AdmitMember, FoundCommons, VouchForKey

# What may change who belongs; the type is looked at first, because it costs nothing.
DECLARE, _MEMBERSHIP = b"declare", (AdmitMember, FoundCommons, VouchForKey)
_STATE = struct.Struct(f">74sIIB{TIP_BYTES}s")


class KnownHeads:
    """The heads of all members' chains in one ledger. `close` stops following the ledger."""

    def __init__(self, ledger: Ledger, members: Callable[[], set[PublicKey]]) -> None:
        self._ledger, self._ask_members = ledger, members
        self._members: set[PublicKey] | None = None
        self._heads: dict[PublicKey, Head] = {}
        self._stale: set[PublicKey] = set()
        self._buckets: list[list[PublicKey] | None] = [None] * HEAD_BUCKETS
        self._digests: list[bytes | None] = [None] * HEAD_BUCKETS
        ledger.listeners.append(self._on_changes)

    def close(self) -> None:
        """Stop following the ledger."""
        if self._on_changes in self._ledger.listeners:
            self._ledger.listeners.remove(self._on_changes)

    def look_again(self, keys: Iterable[PublicKey]) -> None:
        """These chains are known less far than before."""
        for key in keys:
            self._stale.add(key)
            self._digests[_bucket_of(key)] = None

    def members(self) -> set[PublicKey]:
        """Whose chains are kept."""
        if self._members is None:
            self._members = self._ask_members()
            self._buckets = [None] * HEAD_BUCKETS
            self._digests = [None] * HEAD_BUCKETS
        return self._members

    def of(self, key: PublicKey) -> Head:
        """How far one chain is known; zeros for an unknown one."""
        head = self._heads.get(key)
        if head is None or key in self._stale:
            head = self._heads[key] = _read_head(self._ledger.db, key)
            self._stale.discard(key)
        return head

    def digests(self) -> tuple[bytes, ...]:
        """One digest per bucket over everything that a head says."""
        return tuple(self._digest(bucket) for bucket in range(HEAD_BUCKETS))

    def page(self, ask: AskHeads) -> Heads:
        """What differs from the asker's state, at most MAX_HEADS behind `after`. Raises BadMessage."""
        if any(len(digest) != DIGEST_BYTES for digest in ask.digests):
            raise BadMessage(f"a digest has {DIGEST_BYTES} bytes")
        found: list[Head] = []
        for head in self._differing(ask):
            if len(found) == MAX_HEADS:
                return Heads(tuple(found), more=True)
            found.append(head)
        return Heads(tuple(found))

    def _differing(self, ask: AskHeads) -> Iterator[Head]:
        for bucket in range(place(ask.after)[0], HEAD_BUCKETS):
            if self._digest(bucket) == ask.digests[bucket]:
                continue
            for key in self._bucket(bucket):
                if place(key) > place(ask.after) and self.of(key).highest:
                    yield self.of(key)

    def _bucket(self, number: int) -> list[PublicKey]:
        members, found = self.members(), self._buckets[number]
        if found is None:
            for each in range(HEAD_BUCKETS):
                self._buckets[each] = []
            for key in sorted(members):
                self._buckets[_bucket_of(key)].append(key)  # type: ignore[union-attr]
            found = self._buckets[number] or []
        return found

    def _digest(self, number: int) -> bytes:
        keys, digest = self._bucket(number), self._digests[number]
        if digest is None:
            told = (self.of(key) for key in keys)
            state = b"".join(
                _STATE.pack(each.key, each.contiguous, each.highest, each.forks, each.tip) for each in told
            )
            digest = self._digests[number] = hashlib.sha256(state).digest()[:DIGEST_BYTES]
        return digest

    def _on_changes(self, changes: Changes) -> None:
        if any(block.type == DECLARE and isinstance(meaning(block), _MEMBERSHIP) for block in changes.blocks):
            self._members = None
        self.look_again({block.public_key for block in changes.blocks})


def _read_head(db: sqlite3.Connection, key: PublicKey) -> Head:
    highest = blocks.head(db, key)
    query = "SELECT count(*) FROM fork WHERE agent = (SELECT id FROM agent WHERE key = ?)"
    forks = int(db.execute(query, (key,)).fetchone()[0])
    contiguous = blocks.first_gap(db, key) - 1
    return Head(key, contiguous, highest[0] if highest else 0, min(forks, MAX_FORKS), _tip(db, key, contiguous))


def _tip(db: sqlite3.Connection, key: PublicKey, place: int) -> bytes:
    query = "SELECT min(hash) FROM half WHERE agent = ? AND sequence = ?"
    (found,) = db.execute(query, (blocks.agent_of(db, key), place)).fetchone()
    return bytes(found[:TIP_BYTES]) if found else b""


def place(key: bytes) -> tuple[int, bytes]:
    """Where a key stands in the order of buckets and keys; no key at all comes first."""
    return (_bucket_of(key) if key else 0, key)


def _bucket_of(key: bytes) -> int:
    return key[-1] % HEAD_BUCKETS
