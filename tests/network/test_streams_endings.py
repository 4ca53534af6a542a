"""Members that restart, vanish or close, and connections that are idle."""

import asyncio
from typing import cast

import pytest

from overlay.keys import PublicKey
from overlay.network.quic_errors import (
    Address,
    PeerUnreachable,
    StreamsClosed,
)
from overlay.network.quic_limits import StreamLimits
from tests.network.streams_world import (
    Internet,
    VirtualLoop,
    address,
    ask,
    identity,
    join,
    run,
    until,
)


def test_a_peer_that_restarts_in_the_middle_is_an_error_and_then_a_new_connection() -> None:
    async def never(peer: PublicKey, address: Address, request: bytes) -> bytes:
        await asyncio.sleep(10_000)
        return b""

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, never)
        asking = asyncio.ensure_future(ask(farmer, baker, b"bread?", timeout=2000))
        await until(lambda: len(internet.sent) > 4)
        baker = join(internet, "baker", 2)
        with pytest.raises(PeerUnreachable):
            await asking
        assert await ask(farmer, baker, b"bread?") == b"bread?"

    run(scene())


def test_a_peer_that_restarted_says_so_at_once() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"bread?")
        baker = join(internet, "baker", 2)
        before = asyncio.get_running_loop().time()
        with pytest.raises(PeerUnreachable, match="restarted"):
            await ask(farmer, baker, b"bread?")
        assert asyncio.get_running_loop().time() - before < 0.1
        assert await ask(farmer, baker, b"bread?", timeout=2) == b"bread?"

    run(scene())


def test_a_peer_that_vanished_without_a_word_does_not_spoil_the_request_after_its_return() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"bread?")
        internet.sender(baker.where)  # Whoever has the address now keeps silent.
        with pytest.raises(PeerUnreachable, match="nothing heard"):
            await ask(farmer, baker, b"bread?", timeout=2)
        baker = join(internet, "baker", 2)
        assert await ask(farmer, baker, b"bread?", timeout=2) == b"bread?"

    run(scene())


def test_a_peer_that_closes_fails_the_requests_it_has() -> None:
    async def never(peer: PublicKey, address: Address, request: bytes) -> bytes:
        await asyncio.sleep(10_000)
        return b""

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, never)
        asking = asyncio.ensure_future(ask(farmer, baker, b"bread?", timeout=100))
        await until(lambda: len(internet.sent) > 4)
        await baker.streams.close()
        with pytest.raises(PeerUnreachable, match="it closed the connection"):
            await asking

    run(scene())


def test_close_fails_what_is_in_flight_and_leaves_no_task_and_no_timer() -> None:
    async def never(peer: PublicKey, address: Address, request: bytes) -> bytes:
        await asyncio.sleep(10_000)
        return b""

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1, never), join(internet, "baker", 2, never)
        asking = [asyncio.ensure_future(ask(*pair, b"?", 100)) for pair in [(farmer, baker), (baker, farmer)] * 40]
        dialling = asyncio.ensure_future(
            farmer.streams.request(identity("mechanic").public_key, address(9), b"", timeout=100)
        )
        await until(lambda: len(internet.sent) > 8)
        await farmer.streams.close()
        await baker.streams.close()
        results = await asyncio.gather(*asking, dialling, return_exceptions=True)
        assert {type(result) for result in results} <= {StreamsClosed, PeerUnreachable}
        internet.receivers.clear()
        await asyncio.sleep(0.1)  # What is still on the way arrives nowhere.
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert cast(VirtualLoop, asyncio.get_running_loop()).pending_timers() == []

    run(scene())


def test_after_close_nothing_is_asked_and_nothing_taken_in() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await farmer.streams.close()
        with pytest.raises(StreamsClosed):
            await ask(farmer, baker, b"bread?")
        farmer.streams.receive(baker.where, bytes(1200))
        assert farmer.streams.drops == {"closed": 1}

    run(scene())


def test_an_idle_connection_goes_and_the_next_request_makes_another() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"bread?")
        await asyncio.sleep(2 * StreamLimits().idle_seconds)
        assert cast(VirtualLoop, asyncio.get_running_loop()).pending_timers() == []
        assert await ask(farmer, baker, b"more?") == b"more?"

    run(scene())
