"""Requests and answers at the limits, and readers that do not read: memory stays bounded."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StreamReset

from overlay.keys import PublicKey
from overlay.network.quic_errors import Address, Code, PeerUnreachable, RequestTimedOut, StreamRefused
from overlay.network.quic_limits import StreamLimits
from overlay.network.quic_multiplex import Multiplex
from overlay.network.quic_stream import Stream
from tests.network.streams_rogue import let_in
from tests.network.streams_world import (
    Internet,
    answering,
    ask,
    echo,
    join,
    refuse_all,
    run,
)

HONEST = 1  # The number of an honest member's address.


def test_a_request_at_the_limit_is_served_and_one_byte_more_is_refused() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = (
            join(internet, "farmer", 1),
            join(internet, "baker", 2, limits=StreamLimits(request_bytes=70_000)),
        )
        assert len(await ask(farmer, baker, bytes(70_000))) == 70_000
        with pytest.raises(StreamRefused, match="TOO_LARGE"):
            await ask(farmer, baker, bytes(70_001))

    run(scene())


async def think(peer: PublicKey, address: Address, request: bytes) -> bytes:
    await asyncio.sleep(1)
    return b""


def test_what_is_held_for_a_peer_is_bounded_and_given_back() -> None:
    async def scene() -> None:
        limits = StreamLimits(held_bytes_per_peer=10_000)

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, think, limits)
        for _ in range(2):
            asking = [asyncio.ensure_future(ask(farmer, baker, bytes(5_000))) for _ in range(2)]
            await asyncio.sleep(0.5)
            with pytest.raises(StreamRefused, match="BUSY"):
                await ask(farmer, baker, b"x")
            assert await asyncio.gather(*asking) == [b"", b""]
            await asyncio.sleep(1)  # Held until the answer is acknowledged.

    run(scene())


def test_what_is_held_for_all_peers_is_bounded() -> None:
    async def scene() -> None:
        limits = StreamLimits(held_bytes=10_000)

        internet = Internet()
        baker = join(internet, "baker", 9, think, limits)
        members = [join(internet, f"member {number}", number) for number in range(1, 4)]
        asking = [asyncio.ensure_future(ask(member, baker, bytes(5_000))) for member in members[:2]]
        await asyncio.sleep(0.5)
        with pytest.raises(StreamRefused, match="BUSY"):
            await ask(members[2], baker, b"x")
        assert await asyncio.gather(*asking) == [b"", b""]

    run(scene())


def test_an_answer_too_large_to_hold_is_refused_as_busy() -> None:
    async def long(peer: PublicKey, address: Address, request: bytes) -> bytes:
        return bytes(10_001)

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, long, StreamLimits(held_bytes=10_000))
        with pytest.raises(StreamRefused, match="BUSY"):
            await ask(farmer, baker, b"")

    run(scene())


def test_one_host_is_served_as_many_requests_at_once_as_the_limit_says() -> None:
    async def scene() -> None:
        internet = Internet()
        limits = StreamLimits(served_per_host=3)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, think, limits)
        asking = [asyncio.ensure_future(ask(farmer, baker, b"")) for _ in range(3)]
        await asyncio.sleep(0.5)
        with pytest.raises(StreamRefused, match="BUSY"):
            await ask(farmer, baker, b"")
        assert await ask(join(internet, "mechanic", 3), baker, b"") == b""
        assert await asyncio.gather(*asking) == [b"", b"", b""]
        await asyncio.sleep(1)  # Served until the answer is acknowledged.
        assert await ask(farmer, baker, b"") == b""

    run(scene())


def test_all_hosts_together_are_served_as_many_requests_as_the_limit_says() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 9, think, StreamLimits(served=3))
        members = [join(internet, f"member {number}", number) for number in range(1, 5)]
        asking = [asyncio.ensure_future(ask(member, baker, b"")) for member in members[:3]]
        await asyncio.sleep(0.5)
        with pytest.raises(StreamRefused, match="BUSY"):
            await ask(members[3], baker, b"")
        assert await asyncio.gather(*asking) == [b"", b"", b""]

    run(scene())


def test_a_request_that_never_ends_is_given_up() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2, refuse_all)
        rogue, connection = await let_in(internet, baker)
        connection.send_stream_data(0, b"wait for it")
        rogue.flush()
        for _ in range(10):
            connection.send_ping(0)
            rogue.flush()
            await asyncio.sleep(StreamLimits().stall_seconds / 5)
        assert [event.error_code for event in rogue.heard if isinstance(event, StreamReset)] == [Code.STALLED]

    run(scene())


# Readers that do not read


def test_a_slow_reader_holds_up_the_writer_and_no_memory() -> None:
    async def scene() -> None:
        limits = StreamLimits()
        produced = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal produced
            while True:
                produced += 10_000
                yield bytes(10_000)

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, answering(endless))
        async with farmer.streams.open(baker.key, baker.where, b"all", patience=5) as pieces:
            taken = 0
            for _ in range(20):
                await asyncio.sleep(10)  # Long enough for everything that can move to have moved.
                taken += len(await anext(pieces))
                assert produced - taken <= 2 * limits.stream_window + limits.outbox_bytes + 10_000
            assert taken > 10 * limits.stream_window

    run(scene())


def test_readers_that_are_stuck_on_one_connection_fill_its_window_and_no_more() -> None:
    async def scene() -> None:
        limits = StreamLimits(connection_window=600_000)
        internet = Internet()
        produced = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal produced
            while True:
                produced += 10_000
                yield bytes(10_000)

        farmer = join(internet, "farmer", 1, limits=limits)
        baker = join(internet, "baker", 2, answering(endless))

        async def stuck() -> None:
            async with farmer.streams.open(baker.key, baker.where, b"all", patience=5):
                await asyncio.sleep(20)

        reading = [asyncio.ensure_future(stuck()) for _ in range(5)]
        await asyncio.sleep(10)
        assert produced <= limits.connection_window + 5 * (StreamLimits().outbox_bytes + 2 * 10_000)
        await asyncio.gather(*reading)

    run(scene())


def test_a_peer_that_never_takes_its_answer_is_given_up() -> None:
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
        async with farmer.streams.open(baker.key, baker.where, b"all", patience=5):
            await asyncio.wait_for(closed.wait(), 3 * StreamLimits().stall_seconds)

    run(scene())


def test_the_end_of_an_answer_that_is_never_taken_is_given_up_too() -> None:
    """The rogue's window ends within what the writer may leave in its outbox when it has said all."""

    async def scene() -> None:
        limits = StreamLimits()

        async def long(peer: PublicKey, address: Address, request: bytes) -> bytes:
            return bytes(limits.stream_window + limits.outbox_bytes // 2)

        internet = Internet()
        baker = join(internet, "baker", 2, long)
        rogue, connection = await let_in(internet, baker)
        connection.send_stream_data(0, b"all", end_stream=True)
        rogue.flush()
        for _ in range(30):
            await asyncio.sleep(limits.stall_seconds / 10)
            connection.send_ping(0)
            rogue.flush()
        assert [event.error_code for event in rogue.heard if isinstance(event, StreamReset)] == [Code.STALLED]

    run(scene())


def test_the_handler_of_a_requester_that_vanished_is_cancelled() -> None:
    async def scene() -> None:
        cancelled = asyncio.Event()

        async def think(peer: PublicKey, address: Address, request: bytes) -> bytes:
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return b""

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, think)
        asking = asyncio.ensure_future(ask(farmer, baker, b"?", timeout=9_000))
        await asyncio.sleep(1)
        internet.sender(farmer.where)  # Somebody else has the address now, and says nothing.
        await asyncio.wait_for(cancelled.wait(), 2 * StreamLimits().idle_seconds)
        asking.cancel()

    run(scene())


def test_many_abandoned_requests_leave_room_for_more() -> None:
    async def scene() -> None:
        async def slow_for_some(peer: PublicKey, address: Address, request: bytes) -> bytes:
            if request == b"slow":
                await asyncio.sleep(10_000)
            return request

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, slow_for_some)
        await ask(farmer, baker, b"quick")
        before = len(internet.sent)
        for _ in range(5):
            asking = [asyncio.ensure_future(ask(farmer, baker, b"slow")) for _ in range(50)]
            await asyncio.sleep(0.2)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        assert await ask(farmer, baker, b"quick", timeout=1) == b"quick"
        # All on the first connection: none of these is a packet of a handshake.
        assert not any(datagram[0] & 0x80 for _, _, datagram in internet.sent[before + 1 :])

    run(scene())


def test_a_reset_for_an_unknown_connection_needs_the_token_of_its_owner() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, echo)
        await ask(farmer, baker, b"?")
        farmer.streams.receive(baker.where, internet.sent[-1][2][:5] + bytes(16))
        assert await ask(farmer, baker, b"!", timeout=1) == b"!"
        assert farmer.streams.connections == 1

    run(scene())


def test_resets_do_not_answer_each_other_for_ever() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        farmer.streams.receive(baker.where, b"\x40" + bytes(1000))
        await asyncio.sleep(10)
        assert [len(datagram) for _, _, datagram in internet.sent] == [21]

    run(scene())


def test_a_flood_for_unknown_connections_is_answered_only_so_often() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        for _ in range(1000):
            farmer.streams.receive(baker.where, b"\x40" + bytes(1000))
        assert len(internet.sent) == 50
        await asyncio.sleep(1)
        farmer.streams.receive(baker.where, b"\x40" + bytes(1000))
        assert len(internet.sent) == 51

    run(scene())


def test_a_peer_that_allows_no_streams_is_not_waited_for_longer_than_patience() -> None:
    async def scene() -> None:
        async def slow(peer: PublicKey, address: Address, request: bytes) -> bytes:
            await asyncio.sleep(1000)
            return b""

        internet = Internet()
        farmer, baker = (
            join(internet, "farmer", 1),
            join(internet, "baker", 2, slow, StreamLimits(streams_per_connection=1)),
        )
        asking = asyncio.ensure_future(ask(farmer, baker, b"?", timeout=100))
        await asyncio.sleep(1)
        with pytest.raises(RequestTimedOut):
            async with farmer.streams.open(baker.key, baker.where, b"?", patience=5):
                pass
        asking.cancel()

    run(scene())


def test_a_fault_of_the_library_ends_one_connection_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, mechanic, baker = (join(internet, name, n) for n, name in enumerate(["farmer", "mechanic", "baker"], 1))
        await asyncio.gather(ask(farmer, baker, b"?"), ask(mechanic, baker, b"?"))
        await asyncio.sleep(1)
        receive = QuicConnection.receive_datagram

        def break_on(self: QuicConnection, data: bytes, addr: Address, now: float) -> None:
            if addr == farmer.where:
                raise KeyError("something nobody thought of")
            receive(self, data, addr, now)

        monkeypatch.setattr(QuicConnection, "receive_datagram", break_on)
        with pytest.raises(PeerUnreachable):
            await ask(farmer, baker, b"?", timeout=3)
        assert baker.streams.drops["library fault"] > 0
        assert await ask(mechanic, baker, b"still there?", timeout=1) == b"still there?"

    run(scene())


def test_a_request_cancelled_in_the_moment_of_its_turn_gives_the_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        internet = Internet()
        limits = StreamLimits(streams_per_connection=1)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, think, limits)
        first = asyncio.ensure_future(ask(farmer, baker, b"?"))
        await asyncio.sleep(0.5)
        second = asyncio.ensure_future(ask(farmer, baker, b"?"))
        await asyncio.sleep(0.1)
        begin = Multiplex._begin

        def begin_and_cancel(self: Multiplex) -> Stream:
            asyncio.get_running_loop().call_soon(second.cancel)
            return begin(self)

        monkeypatch.setattr(Multiplex, "_begin", begin_and_cancel)
        await asyncio.wait([first, second])
        assert second.cancelled()
        monkeypatch.undo()
        assert await ask(farmer, baker, b"?", timeout=5) == b""

    run(scene())
