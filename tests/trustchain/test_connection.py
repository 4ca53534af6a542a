"""What a connection remembers holds for exactly one state of the file."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay.trustchain.connection import Connection, derived, once


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Two connections to one file, as the one that writes and the one that reads."""
    with contextlib.ExitStack() as stack:
        made = [sqlite3.connect(tmp_path / "f.db", factory=Connection, isolation_level=None) for _ in range(2)]
        for each in made:
            stack.enter_context(contextlib.closing(each))
        made[0].execute("PRAGMA journal_mode = WAL")
        made[0].execute("CREATE TABLE fact (value)")
        yield made[0], made[1]


def remember(db: sqlite3.Connection) -> None:
    derived(db)["how many"] = db.execute("SELECT count(*) FROM fact").fetchone()[0]


def test_it_is_there_as_long_as_nothing_changes(pair: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    for db in pair:
        remember(db)
        assert derived(db) == {"how many": 0}


def test_a_change_of_its_own_makes_it_forget_at_once(pair: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    writer, _ = pair
    writer.execute("BEGIN")
    remember(writer)
    writer.execute("INSERT INTO fact VALUES (1)")
    assert derived(writer) == {}


def test_what_another_commits_makes_it_forget(pair: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    writer, reader = pair
    remember(reader)
    writer.execute("BEGIN")
    writer.execute("INSERT INTO fact VALUES (1)")
    assert derived(reader) == {"how many": 0}
    writer.execute("COMMIT")
    assert derived(reader) == {}


def test_what_a_change_overtakes_while_it_is_worked_out_is_not_kept(
    pair: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    writer, reader = pair
    known = derived(reader)
    count = reader.execute("SELECT count(*) FROM fact").fetchone()[0]
    writer.execute("INSERT INTO fact VALUES (1)")
    assert derived(reader) == {}
    known["how many"] = count
    assert derived(reader) == {}


def test_a_snapshot_remembers_what_it_shows(pair: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    writer, reader = pair
    reader.execute("BEGIN")
    remember(reader)
    writer.execute("INSERT INTO fact VALUES (1)")
    assert derived(reader) == {"how many": 0} == {"how many": reader.execute("SELECT count(*) FROM fact").fetchone()[0]}
    reader.execute("COMMIT")
    assert derived(reader) == {}


def test_what_was_derived_from_changes_that_are_rolled_back_is_forgotten_with_them(
    pair: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    writer, _ = pair
    assert isinstance(writer, Connection)
    writer.execute("BEGIN")
    writer.execute("INSERT INTO fact VALUES (1)")
    remember(writer)
    writer.execute("ROLLBACK")
    writer.forget()
    assert derived(writer) == {}


def test_what_is_asked_again_is_worked_out_once_for_each_state(
    pair: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    writer, reader = pair
    asked: list[str] = []

    def ask(name: str) -> None:
        once(reader, (name,), lambda: asked.append(name))

    for name in ("this", "that", "this"):
        ask(name)
    assert asked == ["this", "that"]
    writer.execute("INSERT INTO fact VALUES (1)")
    ask("this")
    assert asked == ["this", "that", "this"]


def test_a_plain_connection_remembers_nothing() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        derived(db)["how many"] = 1
        assert derived(db) == {}
