"""The database: what is acknowledged is on disk, a failing job undoes only itself, trouble is told in one sentence."""

import asyncio
import os
import resource
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overlay.trustchain.store import StorageError, Store

SCHEMA = ("CREATE TABLE IF NOT EXISTS t (x INTEGER NOT NULL, fill BLOB)",)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "ledger.db", SCHEMA)
    yield store
    store.close()


def insert(x: int, fill: bytes = b"") -> Callable[[sqlite3.Connection], int]:
    def work(db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO t VALUES (?,?)", (x, fill))
        return x

    return work


def rows(store: Store) -> list[int]:
    return [x for (x,) in store.db.execute("SELECT x FROM t ORDER BY x")]


async def test_a_write_returns_its_result_and_is_seen_by_readers_and_other_processes(store: Store) -> None:
    assert await store.write(insert(7)) == 7
    assert rows(store) == [7]
    with sqlite3.connect(store.path) as other:
        assert other.execute("SELECT x FROM t").fetchall() == [(7,)]
    other.close()


async def test_the_file_is_synchronised_fully(store: Store) -> None:
    settings = await store.write(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert settings == ["wal", 2]


async def test_many_writers_share_few_commits(store: Store) -> None:
    commits = 0

    def count(_: str) -> None:
        nonlocal commits
        commits += 1

    def trace(db: sqlite3.Connection) -> None:
        db.set_trace_callback(lambda statement: count(statement) if statement == "COMMIT" else None)

    await store.write(trace)
    assert await asyncio.gather(*(store.write(insert(x)) for x in range(1_000))) == list(range(1_000))
    assert rows(store) == list(range(1_000))
    assert commits <= 20


async def test_a_failing_job_undoes_only_itself(store: Store) -> None:
    def failing(db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO t VALUES (2, NULL)")
        raise LookupError("changed my mind")

    done = await asyncio.gather(
        store.write(insert(1)), store.write(failing), store.write(insert(3)), return_exceptions=True
    )
    assert isinstance(done[1], LookupError)
    assert rows(store) == [1, 3]


async def test_an_error_of_the_database_is_one_sentence(store: Store) -> None:
    with pytest.raises(StorageError, match="could not be used: no such table"):
        await store.write(lambda db: db.execute("INSERT INTO nowhere VALUES (1)").rowcount)


async def test_readers_cannot_write(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.db.execute("INSERT INTO t VALUES (1, NULL)")


async def test_a_full_disk_stores_nothing_and_says_so(store: Store) -> None:
    await store.write(insert(0))
    (pages,) = await store.write(lambda db: db.execute("PRAGMA page_count").fetchone())
    await store.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 10}").fetchone())
    with pytest.raises(StorageError, match="the disk is full; nothing was stored"):
        await store.write(insert(1, bytes(100 * 4_096)))
    assert rows(store) == [0]
    assert await store.write(insert(2)) == 2
    assert rows(store) == [0, 2]


async def test_a_disk_that_fills_up_in_the_middle_of_a_batch_keeps_all_of_it_or_says_which_failed(store: Store) -> None:
    (pages,) = await store.write(lambda db: db.execute("PRAGMA page_count").fetchone())
    await store.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 20}").fetchone())
    done = await asyncio.gather(*(store.write(insert(x, bytes(8_000))) for x in range(40)), return_exceptions=True)
    assert rows(store) == sorted(each for each in done if isinstance(each, int))
    failures = [each for each in done if not isinstance(each, int)]
    assert failures
    assert all(isinstance(each, StorageError) and "the disk is full" in str(each) for each in failures)


async def test_a_file_size_limit_of_the_system_is_a_full_disk_too(store: Store) -> None:
    """What a quota looks like: the write itself fails, and SQLite gives up the whole transaction."""
    import signal

    await store.write(insert(0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        done = await asyncio.gather(
            *(store.write(insert(x, bytes(9_000))) for x in range(1, 60)), return_exceptions=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert any(isinstance(each, StorageError) for each in done)
    assert rows(store) == [0, *sorted(each for each in done if isinstance(each, int))]
    assert await store.write(insert(99)) == 99


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is no database " * 300)
    with pytest.raises(StorageError, match=r"ledger\.db: the ledger file is damaged; restore a backup"):
        Store(tmp_path / "ledger.db", SCHEMA)


def test_a_file_that_is_damaged_inside_is_one_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.db", SCHEMA)
    store.close()
    raw = bytearray((tmp_path / "ledger.db").read_bytes())
    raw[100:4_096] = bytes(3_996)
    (tmp_path / "ledger.db").write_bytes(raw)
    with pytest.raises(StorageError, match="the ledger file is damaged"):
        Store(tmp_path / "ledger.db", SCHEMA)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written; check the folder"):
        Store(tmp_path / "nowhere" / "ledger.db", SCHEMA)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_file_that_may_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    Store(tmp_path / "ledger.db", SCHEMA).close()
    (tmp_path / "ledger.db").chmod(stat.S_IRUSR)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StorageError, match="cannot be written"):
        Store(tmp_path / "ledger.db", SCHEMA)


async def test_closing_finishes_what_was_handed_in_and_refuses_what_comes_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.db", SCHEMA)
    waiting = [asyncio.create_task(store.write(insert(x))) for x in range(50)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    store.close()
    store.close()
    assert sorted(await asyncio.gather(*waiting)) == list(range(50))
    with pytest.raises(StorageError, match="closed"):
        await store.write(insert(1))


async def test_what_is_on_disk_is_told_although_its_caller_was_cancelled(store: Store) -> None:
    told: asyncio.Queue[int] = asyncio.Queue()
    caller = asyncio.create_task(store.write(insert(5), told.put_nowait))
    await asyncio.wait([caller], timeout=0)  # it has handed in its job
    caller.cancel()
    assert await told.get() == 5
    assert rows(store) == [5]
    assert caller.cancelled()


async def test_what_failed_is_not_told(store: Store) -> None:
    told: list[object] = []
    with pytest.raises(StorageError):
        await store.write(lambda db: db.execute("nonsense").rowcount, told.append)
    assert told == []
