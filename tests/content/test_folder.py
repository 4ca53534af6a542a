"""The content folder: what is damaged reads as nothing, and what is written is whole."""

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from overlay.content import Content, FolderError
from overlay.content.bandwidth import Tally
from overlay.content.disk import read_chunks, replace
from overlay.content.folder import PARTIAL_LIMIT, RECORD_LIMIT, ContentFolder, Partial, Record
from overlay.content.torrent import CONTENT_LIMIT, Torrent

INFOHASH = "ab" * 32
RECORD = Record(Torrent(Content(INFOHASH, "cd" * 32, 5, b"info"), "name", b"torrent"), {"farmer": 5})


@pytest.fixture
def folder(tmp_path):
    return ContentFolder(tmp_path)


def test_records_and_traces_come_back_as_they_were(folder):
    trace = Partial(5, b"resume", {"farmer": 3})
    folder.write_record(RECORD)
    folder.write_partial(INFOHASH, trace)
    assert (folder.recorded(), folder.read_record(INFOHASH)) == ([INFOHASH], RECORD)
    assert (folder.unfinished(), folder.read_partial(INFOHASH)) == ([INFOHASH], trace)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b"\x81\xa7\x00\x00\x00\x00\x00\x00\x80")
def test_any_bytes_in_place_of_a_record_read_as_nothing(folder, raw):
    (folder.complete / f"{INFOHASH}.record").write_bytes(raw)
    (folder.incoming / f"{INFOHASH}.partial").write_bytes(raw)
    assert folder.read_record(INFOHASH) is None
    assert folder.read_partial(INFOHASH) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 200))
def test_a_record_that_was_cut_off_reads_as_nothing(folder, length):
    whole = msgspec.msgpack.encode(RECORD)
    (folder.complete / f"{INFOHASH}.record").write_bytes(whole[: length % len(whole)])
    assert folder.read_record(INFOHASH) is None


@pytest.mark.parametrize("count", [-1, CONTENT_LIMIT + 1])
def test_counters_that_no_content_can_have_read_as_nothing(folder, count):
    folder.write_record(msgspec.structs.replace(RECORD, received={"farmer": count}))
    assert folder.read_record(INFOHASH) is None


@pytest.mark.parametrize(
    ("part", "suffix", "read", "limit"),
    [("complete", ".record", "read_record", RECORD_LIMIT), ("incoming", ".partial", "read_partial", PARTIAL_LIMIT)],
)
def test_files_longer_than_any_of_ours_are_not_read(folder, part, suffix, read, limit):
    path = getattr(folder, part) / (INFOHASH + suffix)
    value = RECORD if part == "complete" else Partial(5, b"", {})
    field = {"torrent": msgspec.structs.replace(RECORD.torrent, encoded=b"")} if part == "complete" else {}
    shortest = len(msgspec.msgpack.encode(msgspec.structs.replace(value, **field)))
    # Above 64 KiB a msgpack byte string has a header of 5 bytes; the empty one has 2.
    for length, there in ((limit, True), (limit + 1, False)):
        filler = bytes(length - shortest - 3)
        if part == "complete":
            big = msgspec.structs.replace(value, torrent=msgspec.structs.replace(RECORD.torrent, encoded=filler))
        else:
            big = msgspec.structs.replace(value, resume=filler)
        path.write_bytes(msgspec.msgpack.encode(big))
        assert path.stat().st_size == length
        assert (getattr(folder, read)(INFOHASH) is not None) == there


def test_the_largest_trace_and_record_are_within_their_limits():
    hashes = 2 * 32 * (CONTENT_LIMIT // 16384)
    assert hashes < PARTIAL_LIMIT
    assert RECORD_LIMIT > 32 * 2048


def test_a_replaced_file_is_the_old_or_the_new_one_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "file"
    replace(path, b"old")
    replace(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(ValueError):
        replace(path, b"")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_vanished_is_one_clear_error(folder):
    folder.complete.rmdir()
    with pytest.raises(FolderError, match="No such file") as failure:
        folder.write_record(RECORD)
    assert failure.value.path.parent == folder.complete


def test_content_is_taken_up_to_the_limit_and_not_a_byte_more(folder, monkeypatch):
    monkeypatch.setattr("overlay.content.disk.CONTENT_LIMIT", 8)
    assert folder.take_in([b"1234", b"5678"], ".txt")[2] == 8
    with pytest.raises(ValueError, match="this one has more"):
        folder.take_in([b"1234", b"56789"], ".txt")
    assert list(folder.incoming.iterdir()) == []


def test_counters_beyond_the_size_are_dropped_at_the_start():
    tally = Tally()
    tally.restore(INFOHASH, 5, {"farmer": 6})
    assert tally.received() == {}


def test_a_users_file_is_read_in_parts(tmp_path):
    (tmp_path / "song").write_bytes(bytes(1024**2 + 1))
    assert [len(chunk) for chunk in read_chunks(tmp_path / "song")] == [1024**2, 1]
