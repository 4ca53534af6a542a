"""Canonical torrents: deterministic to make, and nothing else is accepted."""

import hashlib

import libtorrent as lt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlay.content import BadMetadata, FolderError, WrongContent
from overlay.content.torrent import (
    CONTENT_LIMIT,
    METADATA_LIMIT,
    PIECE_MINIMUM,
    PIECES_LIMIT,
    check_metadata,
    file_name,
    info_dictionary,
    make_torrent,
    piece_length_for,
)

SHA256 = hashlib.sha256(b"a picture").hexdigest()
NAME = SHA256 + ".png"
ROOT = bytes(range(32))
SIZE = 100_000


def check(info, sha256=SHA256, size=SIZE):
    metadata = info if isinstance(info, bytes) else lt.bencode(info)
    return check_metadata(metadata, hashlib.sha256(metadata).hexdigest(), sha256, size)


def decoded():
    return lt.bdecode(info_dictionary(NAME, SIZE, ROOT))


def test_the_canonical_metadata_is_accepted_and_gives_the_name():
    assert check(info_dictionary(NAME, SIZE, ROOT)) == NAME


def two_files(info):
    info[b"file tree"][b"other.png"] = info[b"file tree"][NAME.encode()]


def a_path_that_climbs_out(info):
    info[b"file tree"] = {b"../../escape.png": info[b"file tree"].pop(NAME.encode())}


def a_name_that_climbs_out(info):
    info[b"name"] = b"../" + NAME.encode()


def a_name_with_a_program_extension(info):
    info[b"name"] = (SHA256 + ".exe").encode()
    info[b"file tree"] = {info[b"name"]: info[b"file tree"].pop(NAME.encode())}


def pieces_of_a_gigabyte(info):
    info[b"piece length"] = 1024**3


def pieces_of_one_byte(info):
    info[b"piece length"] = 1


def another_size(info):
    info[b"file tree"][NAME.encode()][b""][b"length"] = SIZE + 1


def a_negative_size(info):
    info[b"file tree"][NAME.encode()][b""][b"length"] = -1


def a_symbolic_link(info):
    info[b"file tree"][NAME.encode()][b""][b"attr"] = b"l"
    info[b"file tree"][NAME.encode()][b""][b"symlink path"] = [b"etc", b"passwd"]


def an_extra_key(info):
    info[b"source"] = b"x"


def a_version_one_torrent(info):
    info.clear()
    info.update({b"name": NAME.encode(), b"length": SIZE, b"piece length": 65536, b"pieces": bytes(40)})


@pytest.mark.parametrize(
    "worsen",
    [
        two_files,
        a_path_that_climbs_out,
        a_name_that_climbs_out,
        a_name_with_a_program_extension,
        pieces_of_a_gigabyte,
        pieces_of_one_byte,
        another_size,
        a_negative_size,
        a_symbolic_link,
        an_extra_key,
        a_version_one_torrent,
    ],
)
def test_metadata_is_refused_for(worsen):
    info = decoded()
    worsen(info)
    with pytest.raises(BadMetadata) as failure:
        check(info)
    assert failure.value.infohash == hashlib.sha256(lt.bencode(info)).hexdigest()


def test_metadata_is_taken_up_to_the_limit_and_not_a_byte_more():
    with pytest.raises(BadMetadata, match="exactly one file"):
        check(b"x" * METADATA_LIMIT)
    with pytest.raises(BadMetadata, match=f"has {METADATA_LIMIT + 1} bytes"):
        check(b"x" * (METADATA_LIMIT + 1))


def test_thirty_megabytes_of_junk_are_refused_unread():
    with pytest.raises(BadMetadata, match="bytes"):
        check_metadata(bytes(30 * 1024**2), "0" * 64, SHA256, SIZE)


def test_metadata_of_another_infohash_is_refused():
    with pytest.raises(BadMetadata, match="does not belong"):
        check_metadata(info_dictionary(NAME, SIZE, ROOT), "0" * 64, SHA256, SIZE)


@given(st.integers(0, 300), st.integers(1, 255))
def test_one_changed_byte_is_refused_unless_it_only_names_other_content(position, flip):
    original = info_dictionary(NAME, SIZE, ROOT)
    changed = bytearray(original)
    changed[position % len(original)] ^= flip
    start = original.index(ROOT)
    if start <= position % len(original) < start + 32:
        assert check(bytes(changed)) == NAME
    else:
        with pytest.raises(BadMetadata):
            check(bytes(changed))


@given(st.binary(max_size=METADATA_LIMIT))
def test_any_bytes_are_refused_with_nothing_but_bad_metadata(raw):
    with pytest.raises(BadMetadata):
        check(raw)


@given(st.integers(1, CONTENT_LIMIT))
def test_pieces_are_powers_of_two_and_few(size):
    length = piece_length_for(size)
    assert length >= PIECE_MINIMUM
    assert length & (length - 1) == 0
    assert size <= length * PIECES_LIMIT
    assert length == PIECE_MINIMUM or size > length // 2 * PIECES_LIMIT


def test_the_piece_length_doubles_just_above_its_limit():
    assert piece_length_for(PIECE_MINIMUM * PIECES_LIMIT) == PIECE_MINIMUM
    assert piece_length_for(PIECE_MINIMUM * PIECES_LIMIT + 1) == 2 * PIECE_MINIMUM
    assert piece_length_for(CONTENT_LIMIT) == 1024**2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=200_000))
def test_a_file_makes_one_torrent_that_passes_the_check_of_those_who_fetch_it(tmp_path, data):
    sha256 = hashlib.sha256(data).hexdigest()
    name = file_name(sha256, ".bin")
    (tmp_path / name).write_bytes(data)
    first, second = (make_torrent(tmp_path, name, sha256, len(data)) for _ in range(2))
    assert first == second
    content = first.content
    assert check_metadata(content.metadata, content.infohash, sha256, len(data)) == name
    assert lt.load_torrent_buffer(first.encoded).info_hashes.v2.to_bytes().hex() == content.infohash


def test_the_largest_content_still_has_metadata_within_the_limit():
    assert len(info_dictionary(SHA256 + ".flac", CONTENT_LIMIT, ROOT)) <= METADATA_LIMIT


def test_a_file_that_vanished_or_shrank_is_told_apart(tmp_path):
    with pytest.raises(FolderError, match=NAME):
        make_torrent(tmp_path, NAME, SHA256, SIZE)


@pytest.mark.parametrize("extension", [".exe", "png", ".PNG", "", "/../x.png", ".html", ".svg"])
def test_only_files_that_devices_show_can_be_shared(extension):
    with pytest.raises(ValueError, match="cannot be shared"):
        file_name(SHA256, extension)


def test_wrong_content_names_its_infohash():
    assert str(WrongContent("ab", "x")) == "content ab: x"
