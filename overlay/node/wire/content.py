"""Pictures, and the bandwidth that carried them."""

from overlay.node.wire.base import Tell
from overlay.node.wire.vouchers import Picture


class Media(Tell, frozen=True):
    pictures: tuple[Picture, ...]


class Tally(Tell, frozen=True):
    """Bandwidth that a downloader signed for and its uploader countersigned."""

    uploader: str
    uploader_name: str
    downloader: str
    downloader_name: str
    received: int
    countersigned: bool


class Tallies(Tell, frozen=True):
    tallies: tuple[Tally, ...]
