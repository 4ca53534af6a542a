"""One canonical torrent per file: the same bytes and extension give the same infohash on every node.

Torrents are BitTorrent v2 only (BEP 52). A v2 info dictionary names the file by the root of a Merkle tree, so it has
about 280 bytes whatever the file's size and fits beside a block in one datagram; every 16 KiB block can be checked,
and blamed on the peer that sent it. A hybrid torrent would add 20 bytes per piece and a second, SHA-1 based, name.

Because the form is canonical, hostile metadata needs no parser: the one byte string that the stated SHA-256 and size
allow is rebuilt and compared. Two files, other names, odd piece lengths, extra keys: all of them differ somewhere.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import libtorrent as lt
import msgspec

from overlay.content.errors import BadMetadata, BadReference, FolderError, WrongContent

# The largest content: 2 GiB, two hours of good video. It bounds disk use per block that a peer can make us fetch.
CONTENT_LIMIT = 2 * 1024**3
# Pieces start at 64 KiB (a 4 MiB picture then has 64, enough to share between peers) and double so that a torrent
# has at most 2,048 of them: 2 GiB / 2,048 = 1 MiB pieces, and 2,048 * 32 bytes = 64 KiB of hashes.
PIECE_MINIMUM = 64 * 1024
PIECES_LIMIT = 2048
# 64 digits of SHA-256 twice, two extensions of at most 5, about 150 bytes of keys and numbers: under 300.
METADATA_LIMIT = 512
# What people's devices open with a viewer, never with an interpreter. The dot is part of an extension.
PICTURES = (".png", ".jpg", ".webp", ".gif")
SOUND_AND_FILM = (".mp3", ".ogg", ".opus", ".flac", ".wav", ".m4a", ".mp4", ".webm")
EXTENSIONS = frozenset((*PICTURES, *SOUND_AND_FILM, ".txt", ".md", ".pdf", ".json", ".bin"))

_HEX32 = re.compile(r"[0-9a-f]{64}")
# Only finds the name and the tree's root; the rebuilt whole is what gets compared.
_INFO_START = re.compile(
    rb"d9:file treed\d{2}:([0-9a-f]{64})(\.[a-z0-9]{2,4})d0:d6:lengthi\d{1,10}e11:pieces root32:(.{32})eee", re.DOTALL
)


class Content(msgspec.Struct, frozen=True):
    """What a block states of a content. `infohash` and `sha256` are 64 hex digits, `size` is in bytes;
    `metadata` is the info dictionary, which peers hand over too if a message has no room for it."""

    infohash: str
    sha256: str
    size: int
    metadata: bytes


class Torrent(msgspec.Struct, frozen=True):
    """A content together with what seeding it needs: its file name and the whole .torrent with piece hashes."""

    content: Content
    name: str
    encoded: bytes


def piece_length_for(size: int) -> int:
    """The canonical piece length of a file of `size` bytes: a power of two from 64 KiB up."""
    length = PIECE_MINIMUM
    while length * PIECES_LIMIT < size:
        length *= 2
    return length


def file_name(sha256: str, extension: str) -> str:
    """The only name under which a file travels and lies on disk; raises ValueError for an extension not allowed."""
    if extension not in EXTENSIONS:
        raise ValueError(f"files that end in {extension!r} cannot be shared; use one of {' '.join(sorted(EXTENSIONS))}")
    return sha256 + extension


def info_dictionary(name: str, size: int, root: bytes) -> bytes:
    """The canonical bencoded info dictionary (BEP 52) of one file with the Merkle `root` (32 bytes)."""
    leaf = {b"": {b"length": size, b"pieces root": root}}
    info: Any = {
        b"file tree": {name.encode(): leaf},
        b"meta version": 2,
        b"name": name.encode(),
        b"piece length": piece_length_for(size),
    }
    return lt.bencode(info)


def check_reference(infohash: str, sha256: str, size: int) -> None:
    """Check the three things that a block says of a content; raises BadReference."""
    if not _HEX32.fullmatch(infohash) or not _HEX32.fullmatch(sha256):
        raise BadReference(infohash[:64], "an infohash and a SHA-256 are 64 lower-case hex digits each")
    if not 0 < size <= CONTENT_LIMIT:
        raise BadReference(infohash, f"a size of {size} bytes is not between 1 and {CONTENT_LIMIT}")


def check_metadata(metadata: bytes, infohash: str, sha256: str, size: int) -> str:
    """The name of the file that `metadata` describes, if it is the one the block stated; raises BadMetadata."""
    if len(metadata) > METADATA_LIMIT:
        raise BadMetadata(infohash, f"its metadata has {len(metadata)} bytes; {METADATA_LIMIT} are allowed")
    if hashlib.sha256(metadata).hexdigest() != infohash:
        raise BadMetadata(infohash, "its metadata does not belong to this infohash")
    found = _INFO_START.match(metadata)
    if found is None or found[1].decode() != sha256 or found[2].decode() not in EXTENSIONS:
        raise BadMetadata(infohash, "its metadata does not name exactly one file after the stated SHA-256")
    name = file_name(sha256, found[2].decode())
    if metadata != info_dictionary(name, size, found[3]):
        raise BadMetadata(infohash, f"its metadata does not describe one plain file of {size} bytes")
    return name


def make_torrent(folder: Path, name: str, sha256: str, size: int) -> Torrent:
    """Hash the file `name` in `folder` into its canonical torrent. Reads the whole file: call it in a thread.

    Raises WrongContent where the file has another length by now, FolderError where it cannot be read.
    """
    builder = lt.create_torrent([lt.create_file_entry(name, size)], piece_length_for(size), lt.create_torrent.v2_only)
    # A date would make two nodes' torrents differ; the infohash leaves it out, the file need not have it either.
    builder.set_creation_date(0)
    try:
        lt.set_piece_hashes(builder, str(folder))
    except RuntimeError as error:
        raise FolderError(folder / name, str(error)) from error
    generated = builder.generate()
    metadata = lt.bencode(generated[b"info"])
    infohash = hashlib.sha256(metadata).hexdigest()
    try:
        check_metadata(metadata, infohash, sha256, size)
    except BadMetadata as error:
        raise WrongContent(infohash, f"the file {name} changed while it was read") from error
    return Torrent(Content(infohash, sha256, size, metadata), name, lt.bencode(generated))
