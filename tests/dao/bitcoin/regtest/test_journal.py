"""The journal keeps whole records whatever happened to its end."""

from pathlib import Path

import pytest

from overlay.dao.bitcoin.regtest.journal import HEADER_BYTES, Journal

RECORDS = [b"a", b"bc" * 30, b"d" * 7]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def written(path: Path) -> bytes:
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    journal.sync()
    journal.close()
    return path.read_bytes()


def reopened(path: Path) -> list[bytes]:
    journal = Journal(path)
    journal.close()
    return journal.records


def test_what_was_synced_is_there_again(path: Path) -> None:
    written(path)
    assert reopened(path) == RECORDS


def test_a_crash_at_any_byte_costs_only_the_record_that_was_being_written(path: Path) -> None:
    content = written(path)
    ends = [sum(HEADER_BYTES + len(record) for record in RECORDS[:count]) for count in range(4)]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends) - 1
        assert reopened(path) == RECORDS[:whole]
        # The torn end is gone, so that new records follow the whole ones.
        assert path.stat().st_size == ends[whole]


def test_a_damaged_record_ends_the_journal(path: Path) -> None:
    content = bytearray(written(path))
    content[HEADER_BYTES + 1 + HEADER_BYTES + 3] ^= 1
    path.write_bytes(bytes(content))
    assert reopened(path) == RECORDS[:1]


def test_a_claim_of_gigabytes_is_no_record(path: Path) -> None:
    path.write_bytes(b"\xff\xff\xff\xff" + bytes(100))
    assert reopened(path) == []
    path.write_bytes(bytes(100))
    assert reopened(path) == []


def test_replaced_records_are_the_only_ones(path: Path) -> None:
    written(path)
    journal = Journal(path)
    journal.replace([b"x"])
    journal.append(b"y")
    journal.sync()
    journal.close()
    assert reopened(path) == [b"x", b"y"]
