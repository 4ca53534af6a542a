"""Asking and answering: whom, how often, in which words; floods of strangers; and the end."""

import asyncio
from typing import cast

import pytest

from overlay.keys import PublicKey
from overlay.network.answering import MAX_AT_ONCE, Refusal
from overlay.network.community import QUIC_MESSAGE
from overlay.network.network import CallFailed, Network, plain
from overlay.network.rates import HOST_HANDSHAKES, HOST_REQUESTS, MEMBER_REQUESTS, STRANGER_HOST
from overlay.trustchain.store import StorageError
from tests.network.streams_world import VirtualLoop, run
from tests.network.trio import MEMBERS, close, echo, two
from tests.network.village import Internet, Station, person, place


def test_strangers_are_refused_and_remembered_within_limits() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        farmer.network.serve("echo", echo)
        for number in range(3):
            stranger = await Station(internet, f"stranger {number}", 9, MEMBERS).open()
            stranger.network.add_contact(farmer.where, farmer.key)
            with pytest.raises(CallFailed, match="only members"):
                await stranger.network.call(farmer.key, "echo", b"")
            await close(stranger)
        assert farmer.network.online() == []
        assert farmer.network.addresses() == {}
        assert farmer.seen == []
        assert farmer.drops["refused: Refusal"] == 3
        await close(farmer)

    run(scene())


def test_a_member_that_asks_too_fast_is_refused_until_it_has_waited() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        calls = [farmer.network.call(baker.key, "echo", b"") for _ in range(int(MEMBER_REQUESTS.burst) + 300)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [str(each) for each in outcomes if isinstance(each, CallFailed) and each.refused]
        assert 0 < len(refused) <= 300
        assert set(refused) == {"too many requests; ask more slowly"}
        await asyncio.sleep(1)
        assert await farmer.network.call(baker.key, "echo", b"") == b""
        await close(farmer, baker)

    run(scene())


def test_strangers_have_a_rate_per_host() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        farmer.network.serve("join", echo, strangers=True)
        stranger = await Station(internet, "stranger", 9, MEMBERS).open()
        stranger.network.add_contact(farmer.where, farmer.key)
        refused = 0
        for _ in range(int(HOST_REQUESTS.burst) + 200):
            try:
                await stranger.network.call(farmer.key, "join", b"")
            except CallFailed:
                refused += 1
        assert refused > 0
        await close(farmer, stranger)

    run(scene())


def test_one_member_cannot_have_everything_answered_at_once() -> None:
    async def scene() -> None:
        gate, answering, most = asyncio.Event(), 0, 0

        async def slow(peer: PublicKey, payload: bytes) -> bytes:
            nonlocal answering, most
            answering += 1
            most = max(most, answering)
            await gate.wait()
            answering -= 1
            return b""

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve("slow", slow)
        copy = await Station(internet, "farmer", 3, MEMBERS).open()  # a second connection of the same member
        copy.network.add_contact(baker.where, baker.key)
        calls = [
            asyncio.ensure_future(each.network.call(baker.key, "slow", b"", timeout=30))
            for each in (farmer, copy)
            for _ in range(MAX_AT_ONCE)
        ]
        await asyncio.sleep(5)
        assert most == MAX_AT_ONCE
        gate.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, CallFailed) for each in done) > 0
        await close(farmer, baker, copy)

    run(scene())


def test_what_is_wrong_with_our_disk_is_not_told_to_others() -> None:
    async def scene() -> None:
        async def broken(peer: PublicKey, payload: bytes) -> bytes:
            raise StorageError("/a/path/of/ours/ledger.db: the disk is full")

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve("broken", broken)
        with pytest.raises(CallFailed, match="this node cannot store anything now"):
            await farmer.network.call(baker.key, "broken", b"")
        await close(farmer, baker)

    run(scene())


def test_a_peers_words_reach_a_terminal_as_plain_text_only() -> None:
    async def scene() -> None:
        async def rude(peer: PublicKey, payload: bytes) -> bytes:
            raise Refusal("no\x1b[2J\n\u202etxet \x07")

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve("rude", rude)
        with pytest.raises(CallFailed) as caught:
            await farmer.network.call(baker.key, "rude", b"")
        assert str(caught.value) == "no�[2J��txet �"
        await close(farmer, baker)

    run(scene())


def test_letters_of_every_language_stay() -> None:
    assert plain("Zażółć 日本語 שלום") == "Zażółć 日本語 שלום"


def test_a_flood_of_one_host_leaves_the_others_their_share() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        for port in range(1, int(STRANGER_HOST.burst) + 101):
            farmer.hear(("10.9.9.9", port), bytes([QUIC_MESSAGE]) + b"\x40" + bytes(30))
        assert farmer.drops["too many datagrams of strangers"] == 100
        assert await farmer.network.call(baker.key, "echo", b"through") == b"through"
        await close(farmer, baker)

    run(scene())


def test_handshakes_that_strangers_begin_are_bounded() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        initial = bytes([QUIC_MESSAGE, 0xC0]) + bytes(1_250)
        for port in range(1, int(HOST_HANDSHAKES.burst) + 11):
            farmer.hear(("10.9.9.9", port), initial)
        assert farmer.drops["too many handshakes of strangers"] == 10
        await close(farmer)

    run(scene())


def test_closing_leaves_no_task_timer_or_socket() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        farmer.network.add_contact(place(50), person("mechanic").public_key)
        searching = asyncio.ensure_future(farmer.network.call(person("mechanic").public_key, "echo", b""))
        await asyncio.sleep(0.5)
        await close(farmer, baker)
        with pytest.raises((CallFailed, asyncio.CancelledError)):
            await searching
        assert internet.sockets == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
        loop = cast(VirtualLoop, asyncio.get_running_loop())
        assert [timer for timer in loop.pending_timers() if "deliver" not in repr(timer)] == []

    run(scene())


def test_closing_what_was_never_started_is_fine() -> None:
    async def scene() -> None:
        station = Station(Internet(), "farmer", 1, MEMBERS)
        await close(station)
        assert isinstance(station.network, Network)

    run(scene())
