"""Content that members share by BitTorrent: what it is, where it is to be had, how much of it came."""

from typing import Annotated

from msgspec import Meta

from overlay.trustchain.statements.base import Hash, Quantity, Statement


class Media(Statement, frozen=True):
    """Content by BitTorrent: the infohash (v2) finds it, SHA-256 of the whole file proves it; `size` in bytes."""

    infohash: Hash
    sha256: Hash
    size: Annotated[int, Meta(ge=1, le=1 << 40)]


class AnnounceSeed(Statement, frozen=True, tag="seed"):
    """The port at which the signer shares content; the newest on its chain counts.

    The BitTorrent peer id follows from the signer's key, so nobody can announce another's and collect its merit.
    """

    port: Annotated[int, Meta(ge=1, le=65535)]


class TallyUpload(Statement, frozen=True, tag="tally"):
    """The downloader's half: useful bytes received from the linked member since the tally before this one."""

    received: Quantity
    infohashes: Annotated[tuple[Hash, ...], Meta(max_length=16)]


class AgreeTally(Statement, frozen=True, tag="tally-agreed"):
    """The uploader's half."""

    tally: Hash
