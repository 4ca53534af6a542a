"""Who delivered how much: useful payload per remote peer, counted block by block.

BitTorrent clients usually count what a connection carried. That counts duplicates, is gone when the connection is, and
an incoming connection shows a port that nobody announced. Here each 16 KiB block is credited to the peer id that
delivered it, once its whole piece has passed the hash check. So the sum over all remotes of one content never
exceeds the size of the content, whatever peers send, and whether connections last or not.

A peer id is 20 bytes that each session chooses for itself (BEP 3). Ours, the *token*, follows from the member's key: so
nobody can announce another's token as their own and collect the credit. Who shows another's token while uploading
only gives their own merit away.
"""

import base64
import hashlib
from collections.abc import Iterable

from overlay.clock import Randomness
from overlay.content.torrent import piece_length_for
from overlay.keys import PublicKey

# A block is the unit of request in BitTorrent (BEP 52: 16 KiB leaves of the Merkle tree).
BLOCK_BYTES = 16 * 1024
# Azureus style (BEP 20): two letters and four digits of version, then 12 characters of base 64, 72 bits: no two of a
# million members share one by chance (10^12 / 2^73 = 10^-10), and to hit a given one takes 2^72 keys. libtorrent
# takes it as text, so it is ASCII.
TOKEN_PREFIX = b"-CF0100-"
TOKEN_CHANCE_BYTES = 9
TOKEN_BYTES = 20


def token_of(member: PublicKey) -> str:
    """The peer id in hex (40 digits) under which a member's node shares content."""
    return _token(hashlib.sha256(b"counterfoil content token" + member).digest()[:TOKEN_CHANCE_BYTES])


def new_token(randomness: Randomness) -> str:
    """A peer id in hex (40 digits) of nobody: for a session that has no member behind it."""
    return _token(randomness.bytes(TOKEN_CHANCE_BYTES))


def _token(chance: bytes) -> str:
    return (TOKEN_PREFIX + base64.urlsafe_b64encode(chance)).hex()


def peer_id(token: str) -> str:
    """The peer id in the form that libtorrent takes; raises ValueError for what is no token of ours."""
    raw = bytes.fromhex(token)
    if len(raw) != TOKEN_BYTES or not raw.startswith(TOKEN_PREFIX) or not raw.isascii():
        raise ValueError(f"{token!r} is not the token of a content session")
    return raw.decode()


class UsefulBytes:
    """Credits the blocks of one content. `received` maps remote to bytes and only grows; its sum is at most `size`."""

    def __init__(self, size: int, piece_length: int, received: dict[str, int] | None = None) -> None:
        self.size = size
        self.received = dict(received or {})
        self._piece_length = piece_length
        self._pending: dict[int, dict[int, str]] = {}

    def block_finished(self, piece: int, block: int, remote: str) -> None:
        """`remote` delivered a block. It is sent again only if its piece failed the check: then the last one counts."""
        if self.block_bytes(piece, block) > 0:
            self._pending.setdefault(piece, {})[block] = remote

    def piece_finished(self, piece: int) -> dict[str, int]:
        """The piece passed its check: credit its blocks. Returns the new totals of the remotes that gained."""
        gained: dict[str, int] = {}
        for block, remote in self._pending.pop(piece, {}).items():
            gained[remote] = gained.get(remote, 0) + self.block_bytes(piece, block)
        return {remote: self.received[remote] for remote, count in gained.items() if self._credit(remote, count)}

    def block_bytes(self, piece: int, block: int) -> int:
        """Length of a block: 16 KiB, less at the end of the content, 0 outside of it."""
        start = piece * self._piece_length + block * BLOCK_BYTES
        if piece < 0 or not 0 <= block * BLOCK_BYTES < self._piece_length:
            return 0
        return max(0, min(BLOCK_BYTES, self.size - start))

    def _credit(self, remote: str, count: int) -> bool:
        # The clip matters when a content is fetched again after its file was lost: nobody earns twice by it.
        count = min(count, self.size - sum(self.received.values()))
        if count > 0:
            self.received[remote] = self.received.get(remote, 0) + count
        return count > 0


class Tally:
    """All contents of a session: what was received from whom and, the other side of it, what was sent to whom."""

    def __init__(self) -> None:
        self._received: dict[str, UsefulBytes] = {}
        self._sent: dict[tuple[str, str], int] = {}

    def content(self, infohash: str, size: int) -> UsefulBytes:
        """The counter of one content, made at its first mention."""
        return self._received.setdefault(infohash, UsefulBytes(size, piece_length_for(size)))

    def restore(self, infohash: str, size: int, received: dict[str, int]) -> None:
        """Start from what earlier runs received of a content; more than its size cannot be true and is dropped."""
        received = received if sum(received.values()) <= size else {}
        self._received[infohash] = UsefulBytes(size, piece_length_for(size), received)

    def block_uploaded(self, infohash: str, remote: str, piece: int, block: int) -> None:
        """We sent a block to `remote`. More than the content's size is of no use to it and does not count."""
        useful = self._received[infohash]
        sent = self._sent.get((infohash, remote), 0) + useful.block_bytes(piece, block)
        self._sent[infohash, remote] = min(sent, useful.size)

    def received(self) -> dict[str, int]:
        """Verified bytes per remote, all contents together."""
        counters = [useful.received for useful in self._received.values()]
        return _totals((remote, count) for counter in counters for remote, count in counter.items())

    def sent(self) -> dict[str, int]:
        """Bytes sent per remote since this session began: nobody can have had more useful bytes from us."""
        return _totals((remote, count) for (_, remote), count in self._sent.items())


def _totals(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for remote, count in pairs:
        totals[remote] = totals.get(remote, 0) + count
    return totals
