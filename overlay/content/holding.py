"""One torrent in a session: its handle, its counters, and how it is added to libtorrent."""

import asyncio
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import libtorrent as lt

from overlay.content.bandwidth import UsefulBytes
from overlay.content.pump import Signals

Peer = tuple[str, int]

# More addresses than this at once are a flood: connections are limited to 60 in all.
PEERS_LIMIT = 64


@dataclass(slots=True)
class Holding:
    """A content that this session fetches (`path` is None) or seeds (`path` is the complete file).

    `finished` ends when libtorrent has all pieces, or with the error that prevents it.
    """

    infohash: str
    size: int
    handle: lt.torrent_handle
    useful: UsefulBytes
    signals: Signals
    finished: "asyncio.Future[None]"
    path: Path | None

    def connect(self, peers: list[Peer]) -> None:
        """Dial peers; libtorrent forgets duplicates by itself."""
        for peer in peers:
            self.handle.connect_peer(peer)


def usable(peers: list[Peer]) -> list[Peer]:
    """Those of the first PEERS_LIMIT that a peer of ours can have: a numeric unicast address, no privileged port.

    The rest is left out and is nobody's error: what other members announce must not stop a fetch, nor make us knock
    at the services of this machine or its network.
    """
    return [peer for peer in peers[:PEERS_LIMIT] if _unicast(peer[0]) and 1024 <= peer[1] <= 65535]


def _unicast(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)


def from_infohash(infohash: str, folder: Path) -> lt.add_torrent_params:
    """A torrent of which only the infohash is known. Upload mode: nothing is written before its metadata is checked."""
    params = lt.add_torrent_params()
    params.info_hashes = lt.info_hash_t(lt.sha256_hash(bytes.fromhex(infohash)))
    return _plain(params, folder, lt.torrent_flags.upload_mode)


def from_resume(resume: bytes, folder: Path) -> lt.add_torrent_params | None:
    """A torrent that an earlier run began; None if that trace is damaged."""
    try:
        params = lt.read_resume_data(resume)
    except RuntimeError:
        return None
    # Half-filled pieces are fetched anew: who sent which of their blocks is no longer known.
    params.unfinished_pieces = {}
    return _plain(params, folder, 0)


def from_torrent(encoded: bytes, folder: Path) -> lt.add_torrent_params | None:
    """A complete torrent, to be seeded; None if it is damaged.

    Seed mode: libtorrent checks each piece when it is first asked for, so a start reads no file, and bytes that rotted
    on disk are still never sent.
    """
    try:
        params = lt.load_torrent_buffer(encoded)
    except RuntimeError:
        return None
    return _plain(params, folder, lt.torrent_flags.seed_mode)


def _plain(params: lt.add_torrent_params, folder: Path, flags: int) -> lt.add_torrent_params:
    """Nothing but the file: no tracker, web seed, other path or peer that a torrent or resume file may have named."""
    params.save_path = str(folder)
    params.flags = flags | lt.torrent_flags.disable_pex | lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd
    params.trackers = []
    params.url_seeds = []
    params.http_seeds = []
    params.dht_nodes = []
    params.peers = []
    params.banned_peers = []
    params.renamed_files = {}
    return params
