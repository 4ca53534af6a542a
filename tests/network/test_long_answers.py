"""Answers of any length: frame by frame, few at once, refused, broken off or stalled."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from overlay.keys import PublicKey
from overlay.network.answering import MAX_LONG_AT_ONCE, Refusal
from overlay.network.messages import MAX_FRAME_BYTES, frames
from overlay.network.network import CallFailed
from tests.network.streams_world import run
from tests.network.trio import close, seconds, two
from tests.network.village import Internet, Station, until


async def read_all(station: Station, peer: PublicKey, service: str, patience: float = 5.0) -> list[bytes]:
    async with station.network.open(peer, service, b"", patience) as batches:
        return [each async for batch in batches for each in batch]


def test_a_long_answer_comes_frame_by_frame() -> None:
    async def scene() -> None:
        async def chain(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            for number in range(300):
                yield frames([bytes([number % 256]) * number])

        async def nothing(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            for each in ():
                yield each

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve_blocks("chain", chain)
        baker.network.serve_blocks("nothing", nothing)
        assert await read_all(farmer, baker.key, "chain") == [bytes([n % 256]) * n for n in range(300)]
        assert await read_all(farmer, baker.key, "nothing") == []
        await close(farmer, baker)

    run(scene())


def test_a_long_answer_may_be_refused_before_it_begins_and_broken_off_after() -> None:
    async def scene() -> None:
        async def refuse(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            if not payload:
                raise Refusal("not today")
            yield b""

        async def stop(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            yield frames([b"one"])
            yield b"\x00\x00\x00\x09tw"

        async def huge(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            yield (MAX_FRAME_BYTES + 1).to_bytes(4)

        internet = Internet()
        farmer, baker = await two(internet)
        for name, handler in (("refuse", refuse), ("stop", stop), ("huge", huge)):
            baker.network.serve_blocks(name, handler)
        for name, sentence in (("refuse", "not today"), ("stop", "broke off"), ("huge", "nonsense")):
            with pytest.raises(CallFailed, match=sentence):
                await read_all(farmer, baker.key, name)
        await close(farmer, baker)

    run(scene())


def test_long_answers_to_one_member_are_few_at_once() -> None:
    async def scene() -> None:
        gate = asyncio.Event()

        async def slow(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            yield frames([b"one"])
            await gate.wait()

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve_blocks("slow", slow)
        asking = [asyncio.ensure_future(read_all(farmer, baker.key, "slow", 60)) for _ in range(MAX_LONG_AT_ONCE + 1)]
        await until(lambda: any(each.done() for each in asking))
        gate.set()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert outcomes.count([b"one"]) == MAX_LONG_AT_ONCE
        (refused,) = [str(each) for each in outcomes if isinstance(each, CallFailed)]
        assert "too many requests at once" in refused
        await close(farmer, baker)

    run(scene())


def test_a_long_answer_that_stalls_is_given_up() -> None:
    async def scene() -> None:
        async def stall(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
            yield frames([b"one"])
            await asyncio.sleep(1_000)

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve_blocks("stall", stall)
        assert await seconds(read_all(farmer, baker.key, "stall", 2.0)) < 3
        await close(farmer, baker)

    run(scene())
