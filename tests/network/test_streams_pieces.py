"""Answers in pieces: in order, left early, refused midway, or no longer coming."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from overlay.network.quic_errors import (
    FIRST_FREE_CODE,
    Refusal,
    RequestTimedOut,
    StreamRefused,
)
from tests.network.streams_world import (
    Internet,
    answering,
    ask,
    hundred_pieces,
    join,
    rough_internet,
    run,
)


def test_an_answer_in_pieces_arrives_whole_and_in_order() -> None:
    async def scene() -> None:
        internet = rough_internet(4)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, answering(hundred_pieces))
        async with farmer.streams.open(baker.key, baker.where, b"all", patience=60) as pieces:
            received = b"".join([piece async for piece in pieces])
        assert received == b"".join([piece async for piece in hundred_pieces()])

    run(scene())


def test_leaving_early_stops_the_answerers_iterator() -> None:
    async def scene() -> None:
        closed = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(10_000)
            finally:
                closed.set()

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, answering(endless))
        async with farmer.streams.open(baker.key, baker.where, b"all", patience=5) as pieces:
            assert await anext(pieces)
        await asyncio.wait_for(closed.wait(), 1)

    run(scene())


def test_an_iterator_that_refuses_midway_ends_the_answer_with_its_code() -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise Refusal(FIRST_FREE_CODE)

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, answering(half))
        with pytest.raises(StreamRefused) as caught:
            await ask(farmer, baker, b"all")
        assert caught.value.code == FIRST_FREE_CODE

    run(scene())


def test_an_answer_that_stops_coming_is_timed_out_by_the_readers_patience() -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(1000)

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, answering(stuck))
        async with farmer.streams.open(baker.key, baker.where, b"all", patience=5) as pieces:
            assert await anext(pieces) == b"first"
            with pytest.raises(RequestTimedOut):
                await anext(pieces)

    run(scene())


# Ends and beginnings
