"""A query answers from one state of the ledger, whatever is stored while it reads."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from overlay.node.actions.registry import ACTIONS, query
from overlay.node.node import Node
from overlay.node.wire import Done, Nothing
from tests.node.conftest import Served


def settings(node: Node) -> int:
    return int(node.db.execute("SELECT count(*) FROM node_setting").fetchone()[0])


@pytest.fixture
def registered() -> Iterator[None]:
    known = dict(ACTIONS)
    yield
    ACTIONS.clear()
    ACTIONS.update(known)


async def test_what_is_stored_while_a_query_reads_is_seen_by_the_next(served: Served, registered: None) -> None:
    @query("test", "count")
    def count_twice(node: Node, ask: Nothing) -> Done:
        """Count what is stored, before and after another thread's commit."""
        before = settings(node)
        with closing(sqlite3.connect(node.folder.ledger)) as other, other:
            other.execute("INSERT INTO node_setting VALUES (hex(randomblob(8)), '')")
        return Done(str(settings(node) - before))

    before = settings(served.node)
    assert (await count_twice(served.node, Nothing())).id == "0"
    assert settings(served.node) == before + 1
