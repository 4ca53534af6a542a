"""Server-sent events out of bytes that arrive in any pieces."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.node.wire import Event
from tests.tui.story import event
from tui.event_stream import LINE_LIMIT, EventStream
from tui.problem import NodeProblem


def framed(told: Event, end: bytes = b"\n") -> bytes:
    return b"event: " + told.topic.encode() + end + b"data: " + msgspec.json.encode(told) + end + end


TOLD = [event("people", "one"), event("vouchers", "two"), event("status", "drei – 三")]


@given(st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(min_value=1, max_value=60), max_size=40))
def test_events_are_the_same_however_their_bytes_are_cut(end: bytes, cuts: list[int]) -> None:
    raw = b": hello" + end + end + b"".join(framed(told, end) for told in TOLD)
    stream, found = EventStream(), []
    for cut in [*cuts, len(raw)]:
        found += stream.feed(raw[:cut])
        raw = raw[cut:]
    assert found == TOLD


def test_topics_of_a_newer_node_are_passed_over() -> None:
    assert EventStream().feed(b'event: weather\ndata: {"rain": true}\n\n' + framed(TOLD[0])) == [TOLD[0]]


def test_comments_and_unknown_fields_say_nothing() -> None:
    assert EventStream().feed(b": heartbeat\n\nid: 7\nretry: 1\n\n") == []


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"topic":"people"}', b"\xff\xfe", b'{"topic":"weather"}'])
def test_data_that_is_no_event_is_a_problem(data: bytes) -> None:
    with pytest.raises(NodeProblem):
        EventStream().feed(b"event: people\ndata: " + data + b"\n\n")


def test_a_line_at_the_limit_is_read_and_one_byte_more_is_a_problem() -> None:
    assert EventStream().feed(b":" * LINE_LIMIT) == []
    with pytest.raises(NodeProblem):
        EventStream().feed(b":" * (LINE_LIMIT + 1))


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    with suppress(NodeProblem):
        assert EventStream().feed(raw) == []
