"""Live by events: only what changed is fetched, floods coalesce, a lost connection shows and recovers."""

from typing import get_args

import pytest

from overlay.node.wire import Event, Problem
from tests.tui import story
from tests.tui.double import NodeDouble
from tests.tui.stage import opened
from tui.state import AFFECTED, ALL, FLOOD, LISTS, State


def paths(names: frozenset[str]) -> set[str]:
    return {LISTS[name][0] for name in names}


async def test_each_list_is_fetched_once_at_the_start(node: NodeDouble) -> None:
    async with opened(node):
        assert dict(node.reads) == dict.fromkeys(paths(ALL), 1)


@pytest.mark.parametrize("topic", AFFECTED)
async def test_an_event_refreshes_only_its_lists(node: NodeDouble, topic: str) -> None:
    async with opened(node) as stage:
        node.reads.clear()
        node.tell(story.event(topic, "This was heard."))
        await stage.until(lambda: set(node.reads) == paths(AFFECTED[topic]))
        await stage.until_shown("This was heard.")
        await stage.until(lambda: not stage.app._fetching)
        assert dict(node.reads) == dict.fromkeys(paths(AFFECTED[topic]), 1)


def test_every_topic_of_the_wire_has_lists() -> None:
    assert set(AFFECTED) == set(get_args(Event.__annotations__["topic"]))


async def test_what_an_event_changes_is_shown(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2")
        await stage.until_shown("18")
        node.answers["voucher/holdings"] = story.Holdings((story.holding("Milk", "farmer", "litre", 4_321),))
        node.tell(story.event("vouchers"))
        await stage.until_shown("4,321")


async def test_nothing_is_fetched_while_nothing_happens(node: NodeDouble) -> None:
    async with opened(node) as stage:
        node.reads.clear()
        for key in "12341234":
            await stage.press(key)
        assert not node.reads


async def test_a_flood_of_events_is_fetched_in_few_rounds(node: NodeDouble) -> None:
    async with opened(node) as stage:
        node.reads.clear()
        node.gate.clear()  # the first round hangs while all the rest arrives
        node.tell(story.event("people", "the first event"))
        await stage.until(lambda: node.reads["people/list"] == 1)
        node.tell(*(story.event("people", f"event {number}") for number in range(500)))
        await stage.until(lambda: stage.app.state.heard_in_all == 501)
        node.gate.set()
        await stage.until(lambda: node.reads["people/list"] >= 2)
        await stage.until(lambda: not stage.app._fetching)
        assert node.reads["people/list"] == 2
        await stage.until_shown("event 499")


def test_after_a_flood_everything_is_fetched_since_events_may_be_missing() -> None:
    assert State().heard([story.event("content")] * (FLOOD - 1)) == AFFECTED["content"]
    assert State().heard([story.event("content")] * FLOOD) == ALL


async def test_a_lost_connection_shows_and_recovers_with_everything_fetched_again(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await node.stop()
        await stage.until_shown("Connection lost.", "Trying again in")
        node.reads.clear()
        node.answers["status/show"] = story.status(online=5, members=9)
        await node.start()
        await stage.until_gone("Connection lost.")
        await stage.until_shown("5/9")
        await stage.until(lambda: set(node.reads) == paths(ALL))


async def test_a_node_that_hangs_up_is_called_again(node: NodeDouble) -> None:
    async with opened(node) as stage:
        node.hang_up()
        await stage.until(lambda: node.reads["status/show"] == 2)
        await stage.until_gone("Connection lost.")


async def test_nonsense_on_the_event_stream_is_a_lost_connection_and_no_crash(node: NodeDouble) -> None:
    async with opened(node) as stage:
        node.send(b"event: people\ndata: {nonsense\n\n")
        await stage.until(lambda: node.reads["people/list"] == 2)
        node.tell(story.event("people", "All is well again."))
        await stage.until_shown("All is well again.")


async def test_a_list_that_fails_shows_the_nodes_sentence_until_it_works(node: NodeDouble) -> None:
    node.problems["people/list"] = (507, Problem("the disk is full", "storage"))
    async with opened(node) as stage:
        await stage.until_shown("People can't be shown: the disk is full")
        node.problems.clear()
        await stage.press("ctrl+r")
        await stage.until_gone("the disk is full")
        await stage.press("4")
        await stage.until_shown("mechanic")


async def test_signing_refused_is_shown_on_every_screen(node: NodeDouble) -> None:
    node.answers["status/show"] = story.status(signing="this folder ran elsewhere before")
    async with opened(node) as stage:
        for key in "1234":
            await stage.press(key)
            await stage.until_shown("signs nothing now: this folder ran elsewhere before")


async def test_without_a_commons_only_the_status_is_asked_for_until_one_is_joined(node: NodeDouble) -> None:
    node.answers["status/show"] = story.status(commons=None, name="")
    async with opened(node) as stage:
        await stage.until_shown("You are in no commons yet.", "Found a commons with f")
        assert set(node.reads) == {"status/show"}
        node.answers["status/show"] = story.status()
        node.tell(story.event("status", "You have joined."))
        await stage.until_shown("Riverside Commons", "New millstone")
