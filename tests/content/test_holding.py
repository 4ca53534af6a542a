"""How torrents are added: nothing in a torrent or resume file decides where to write or whom to ask."""

import libtorrent as lt
import pytest

from overlay.content.holding import PEERS_LIMIT, from_infohash, from_resume, from_torrent, usable
from overlay.content.torrent import make_torrent

SIZE = 200_000
SHA256 = "0" * 64


@pytest.fixture
def torrent(tmp_path):
    (tmp_path / f"{SHA256}.bin").write_bytes(bytes(SIZE))
    return make_torrent(tmp_path, f"{SHA256}.bin", SHA256, SIZE)


def meddled(torrent, tmp_path):
    params = lt.load_torrent_buffer(torrent.encoded)
    params.save_path = "/etc"
    params.trackers = ["http://127.0.0.1:1/announce"]
    params.url_seeds = ["http://127.0.0.1:1/file"]
    params.renamed_files = {0: "../../escape"}
    params.peers = [("127.0.0.1", 6881)]
    params.unfinished_pieces = {0: [True, False, False, False]}
    params.flags = lt.torrent_flags.seed_mode
    return params


def assert_plain(params, folder):
    assert params.save_path == str(folder)
    assert params.trackers == params.url_seeds == params.peers == []
    assert params.renamed_files == {}
    for flag in (lt.torrent_flags.disable_pex, lt.torrent_flags.disable_dht, lt.torrent_flags.disable_lsd):
        assert params.flags & flag
    assert not params.flags & lt.torrent_flags.auto_managed


def test_a_trace_says_only_which_pieces_are_there(torrent, tmp_path):
    params = from_resume(lt.write_resume_data_buf(meddled(torrent, tmp_path)), tmp_path)
    assert_plain(params, tmp_path)
    assert params.unfinished_pieces == {}
    assert not params.flags & lt.torrent_flags.seed_mode


def test_a_complete_torrent_is_checked_piece_by_piece_when_asked_for(torrent, tmp_path):
    encoded = lt.bdecode(torrent.encoded)
    encoded |= {b"announce": b"http://127.0.0.1:1/announce", b"url-list": b"http://127.0.0.1:1/file"}
    params = from_torrent(lt.bencode(encoded), tmp_path)
    assert_plain(params, tmp_path)
    assert params.flags & lt.torrent_flags.seed_mode


def test_what_only_has_an_infohash_may_not_write_yet(torrent, tmp_path):
    params = from_infohash(torrent.content.infohash, tmp_path)
    assert_plain(params, tmp_path)
    assert params.flags & lt.torrent_flags.upload_mode
    assert params.info_hashes.v2.to_bytes().hex() == torrent.content.infohash


@pytest.mark.parametrize("raw", [b"", b"junk", b"de", b"d4:infod4:name1:xee", b"l" * 10_000])
def test_junk_is_no_torrent_and_no_trace(tmp_path, raw):
    assert from_resume(raw, tmp_path) is None
    assert from_torrent(raw, tmp_path) is None


def test_peers_are_taken_up_to_the_limit_and_not_one_more():
    peers = [("127.0.0.1", 2000 + each) for each in range(PEERS_LIMIT + 1)]
    assert usable(peers) == peers[:PEERS_LIMIT]


@pytest.mark.parametrize(
    "peer",
    [
        ("tracker.example", 6881),
        ("127.0.0.1", 1023),
        ("127.0.0.1", 65536),
        ("127.0.0.1", -1),
        ("0.0.0.0", 6881),
        ("224.0.0.1", 6881),
        ("", 6881),
        ("127.1", 6881),
    ],
)
def test_only_what_a_peer_can_have_is_dialled(peer):
    assert usable([peer, ("::1", 1024), ("10.0.0.1", 65535)]) == [("::1", 1024), ("10.0.0.1", 65535)]
