"""What a content session tells the node."""

from collections.abc import Callable
from pathlib import Path

import msgspec


class ContentReceived(msgspec.Struct, frozen=True):
    """A fetched content is complete, checked, on disk at `path`, and seeded."""

    infohash: str
    path: Path


class ContentFailed(msgspec.Struct, frozen=True):
    """A content was given up; `reason` is one sentence for people."""

    infohash: str
    reason: str


class PeerUseful(msgspec.Struct, frozen=True):
    """`remote` (a peer's token) has now delivered `bytes_total` verified bytes of this content to us."""

    infohash: str
    remote: str
    bytes_total: int


ContentEvent = ContentReceived | ContentFailed | PeerUseful
OnEvent = Callable[[ContentEvent], None]


class ContentStatus(msgspec.Struct, frozen=True):
    """How one content stands. `progress` is verified bytes over size, 0.0 to 1.0; `path` is set once complete."""

    progress: float
    peers: int
    seeding: bool
    path: Path | None
