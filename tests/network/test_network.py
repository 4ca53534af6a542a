"""Asking and answering: whom, where, how often; and what is made of those who are silent, slow, lying or flooding."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from overlay.keys import Identity, PublicKey
from overlay.network.answering import MAX_AT_ONCE, MAX_LONG_AT_ONCE, Refusal
from overlay.network.community import BLOCK_MESSAGE, QUIC_MESSAGE
from overlay.network.gossip import FANOUT, MAX_REMEMBERED
from overlay.network.messages import MAX_FRAME_BYTES, MAX_KNOWN, AskHello, Known, encode, frames
from overlay.network.network import CallFailed, Network, plain
from overlay.network.quic_links import HEARD_SECONDS
from overlay.network.rates import HOST_HANDSHAKES, HOST_REQUESTS, MEMBER_GOSSIP, MEMBER_REQUESTS, STRANGER_HOST
from overlay.network.whereabouts import MAX_SILENCE_SECONDS, SILENCE_SECONDS, TELL_SECONDS
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.store import StorageError
from tests.network.streams_world import VirtualLoop, run
from tests.network.village import Internet, Station, person, place, until

ROLES = ("farmer", "baker", "mechanic")
MEMBERS = {person(role).public_key for role in ROLES}


async def echo(peer: PublicKey, payload: bytes) -> bytes:
    return payload


def block_of(author: Identity, sequence: int = 1) -> HalfBlock:
    return HalfBlock(author.public_key, sequence, ANYONE, 0, GENESIS_HASH, b"note", b"", 0).signed_by(author)


async def two(internet: Internet) -> tuple[Station, Station]:
    """The farmer knows where the baker is."""
    farmer = await Station(internet, "farmer", 1, MEMBERS).open()
    baker = await Station(internet, "baker", 2, MEMBERS).open()
    baker.network.serve("echo", echo)
    farmer.network.add_contact(baker.where, baker.key)
    return farmer, baker


async def close(*stations: Station) -> None:
    for station in stations:
        await station.network.close()


async def seconds(awaited: object) -> float:
    """How long a call takes that fails."""
    started = asyncio.get_running_loop().time()
    with pytest.raises(CallFailed):
        await awaited  # type: ignore[misc]
    return asyncio.get_running_loop().time() - started


# Finding -------------------------------------------------------------------------------------------------------------


def test_dead_addresses_before_the_right_one_cost_moments() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        for number in range(50, 53):
            farmer.network.add_contact(place(number), baker.key)
        started = asyncio.get_running_loop().time()
        assert await farmer.network.call(baker.key, "echo", b"well", timeout=10) == b"well"
        assert asyncio.get_running_loop().time() - started < 1.5
        await close(farmer, baker)

    run(scene())


def test_a_call_takes_no_longer_than_its_timeout_however_many_addresses_are_dead() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        baker = person("baker").public_key
        for number in range(50, 54):
            farmer.network.add_contact(place(number), baker)
        assert await seconds(farmer.network.call(baker, "echo", b"", timeout=2.0)) < 2.1
        await close(farmer)

    run(scene())


def test_a_member_that_moved_is_found_where_it_is_now() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        await close(baker)
        moved = await Station(internet, "baker", 3, MEMBERS).open()
        moved.network.serve("echo", echo)
        moved.network.add_contact(farmer.where, farmer.key)
        await until(lambda: farmer.network.addresses() == {baker.key: moved.where})
        assert await farmer.network.call(baker.key, "echo", b"here") == b"here"
        await close(farmer, moved)

    run(scene())


def test_somebody_else_at_a_members_address_gets_nothing() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        mechanic = await Station(internet, "mechanic", 2, MEMBERS).open()
        mechanic.network.serve("secret", echo)
        farmer.network.add_contact(mechanic.where, person("baker").public_key)
        with pytest.raises(CallFailed, match="none of its known addresses"):
            await farmer.network.call(person("baker").public_key, "secret", b"for the baker")
        await close(farmer, mechanic)

    run(scene())


def test_two_nodes_with_one_key_leave_the_others_able_to_ask() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        copy = await Station(internet, "baker", 3, MEMBERS).open()
        copy.network.serve("echo", echo)
        copy.network.add_contact(farmer.where, farmer.key)
        farmer.network.serve("echo", echo)
        baker.network.add_contact(farmer.where, farmer.key)
        for _ in range(5):
            assert await baker.network.call(farmer.key, "echo", b"one") == b"one"
            assert await copy.network.call(farmer.key, "echo", b"other") == b"other"
            assert await farmer.network.call(baker.key, "echo", b"either") == b"either"
        await close(farmer, baker, copy)

    run(scene())


def test_a_silent_member_is_tried_at_once_where_the_user_says_it_is_now() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        farmer.network.add_contact(place(50), person("baker").public_key)
        await until(lambda: farmer.network.peers())
        await until(lambda: not farmer.network.peers())
        farmer.network.add_contact(place(2), person("baker").public_key)
        assert farmer.network.peers() == [person("baker").public_key]
        await close(farmer)

    run(scene())


@pytest.mark.parametrize("is_told", [True, False], ids=["with a word", "without a word"])
def test_a_request_that_waits_where_a_member_was_goes_where_it_is_now(*, is_told: bool) -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        farmer.network.serve("echo", echo)
        await farmer.network.call(baker.key, "echo", b"")
        if not is_told:
            del internet.sockets[baker.where]  # nobody hears its last words either
        await baker.network.close()
        started = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(farmer.network.call(baker.key, "echo", b"produce", timeout=60))
        await asyncio.sleep(HEARD_SECONDS + 0.1)
        back = await Station(internet, "baker", 3, MEMBERS).open()
        back.network.serve("echo", echo)
        back.network.add_contact(farmer.where, farmer.key)
        await back.network.call(farmer.key, "echo", b"I am back")
        assert await waiting == b"produce"
        assert asyncio.get_running_loop().time() - started < HEARD_SECONDS + 0.5
        assert farmer.network.addresses() == {baker.key: back.where}
        await close(farmer, back)

    run(scene())


def test_a_member_that_is_in_two_places_is_remembered_now_and_then_only() -> None:
    async def scene() -> None:
        farmer = await Station(Internet(), "farmer", 1, MEMBERS).open()
        told: list[tuple[PublicKey, tuple[str, int]]] = []
        farmer.network.on_proven = lambda peer, address: told.append((peer, address))
        baker = person("baker").public_key
        for number in range(100):
            farmer.network._whereabouts.prove(baker, place(2 + number % 2))
        assert told == [(baker, place(2))]
        await asyncio.sleep(TELL_SECONDS)
        farmer.network._whereabouts.prove(baker, place(3))
        assert told == [(baker, place(2)), (baker, place(3))]
        await close(farmer)

    run(scene())


def test_every_absent_member_is_looked_for_in_its_turn() -> None:
    async def scene() -> None:
        absent = [person(f"member {number}").public_key for number in range(200)]
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, {*MEMBERS, *absent}).open()
        for number, key in enumerate(absent):
            farmer.network._whereabouts._book.give(key, ("10.1.0.1", number + 1))
        await until(lambda: {target for _, target, _ in internet.sent} >= {("10.1.0.1", n + 1) for n in range(200)})
        await close(farmer)

    run(scene())


def test_a_silent_member_is_left_alone_ever_longer_and_not_for_ever() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        baker = person("baker").public_key
        farmer.network.add_contact(place(2), baker)
        pauses = []
        for _ in range(6):
            await until(lambda: farmer.network.peers())
            started = asyncio.get_running_loop().time()
            await until(lambda: not farmer.network.peers())
            ended = asyncio.get_running_loop().time()
            assert ended - started < 4
            await until(lambda: farmer.network.peers())
            pauses.append(asyncio.get_running_loop().time() - ended)
        grown = [SILENCE_SECONDS * 2**times for times in range(6)]
        assert [round(pause) for pause in pauses] == [min(each, MAX_SILENCE_SECONDS) for each in grown]
        await close(farmer)

    run(scene())


def test_a_slow_answer_loses_the_call_but_not_the_address() -> None:
    async def scene() -> None:
        async def never(peer: PublicKey, payload: bytes) -> bytes:
            await asyncio.sleep(100)
            return b""

        internet = Internet()
        farmer, baker = await two(internet)
        baker.network.serve("slow", never)
        assert await seconds(farmer.network.call(baker.key, "slow", b"", timeout=1.0)) < 1.1
        assert farmer.network.addresses() == {baker.key: baker.where}
        assert await farmer.network.call(baker.key, "echo", b"still") == b"still"
        await close(farmer, baker)

    run(scene())


def test_an_unknown_member_fails_at_once() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = await Station(internet, "farmer", 1, MEMBERS).open()
        assert await seconds(farmer.network.call(person("baker").public_key, "echo", b"", timeout=10)) < 0.1
        await close(farmer)

    run(scene())


def test_a_greeting_names_neighbours_to_members_and_liars_gain_no_more_than_tries() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        lies = tuple(Known(person("mechanic").public_key, *place(number)) for number in range(50, 50 + MAX_KNOWN))
        baker.network._whereabouts.neighbours = lambda *_: lies  # type: ignore[method-assign]
        await farmer.network.call(baker.key, "echo", b"")
        mechanic = await Station(internet, "mechanic", 3, MEMBERS).open()
        mechanic.network.add_contact(farmer.where, farmer.key)
        await until(lambda: farmer.network.addresses().get(mechanic.key) == mechanic.where)
        assert not set(farmer.network.addresses().values()) & {place(number) for number in range(50, 90)}
        await close(farmer, baker, mechanic)

    run(scene())


def test_a_stranger_is_told_of_nobody() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        stranger = await Station(internet, "stranger", 9, MEMBERS).open()
        stranger.network.add_contact(farmer.where, farmer.key)
        assert await stranger.network.call(farmer.key, "hello", encode(AskHello(baker.key))) == b"\x91\x90"
        assert baker.key not in stranger.network._whereabouts._book._places
        await close(farmer, baker, stranger)

    run(scene())


@pytest.mark.parametrize(
    "address", [("::1", 7759), ("bridge.invalid", 7759), ("0.0.0.0", 7759), ("255.255.255.255", 7759), ("10.0.0.2", 0)]
)
async def test_an_address_that_cannot_be_used_is_counted_and_named_in_the_failure(address: tuple[str, int]) -> None:
    internet = Internet()
    farmer = await Station(internet, "farmer", 1, MEMBERS).open()
    farmer.network.add_contact(address, person("baker").public_key)
    with pytest.raises(CallFailed, match="is known that this node could reach"):
        await farmer.network.call(person("baker").public_key, "echo", b"")
    assert sum(count for reason, count in farmer.drops.items() if reason.startswith("contact")) == 1
    await close(farmer)


async def test_a_host_name_is_resolved_before_a_call() -> None:
    internet = Internet()
    farmer = await Station(internet, "farmer", 1, MEMBERS).open()
    farmer.network.add_contact(("localhost", 7759), person("baker").public_key)
    with pytest.raises(CallFailed, match="none of its known addresses"):
        await farmer.network.call(person("baker").public_key, "echo", b"", timeout=0.2)
    assert ("127.0.0.1", 7759) in [target for _, target, _ in internet.sent]
    await close(farmer)


# Answering -----------------------------------------------------------------------------------------------------------


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


# Long answers --------------------------------------------------------------------------------------------------------


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


# Gossip --------------------------------------------------------------------------------------------------------------


def test_a_members_block_is_heard_once_and_from_proven_addresses_only() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        block = block_of(baker.identity)
        farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + block.pack())
        assert farmer.drops == {"gossip from nobody proven": 1}
        await farmer.network.call(baker.key, "echo", b"")
        await until(lambda: baker.network.addresses())
        baker.network.gossip([block, block])
        await until(lambda: farmer.drops.get("gossip heard before") == 1)
        assert farmer.heard == [block]
        await close(farmer, baker)

    run(scene())


def test_gossip_that_is_none_is_counted_by_its_reason() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + b"no block")
        farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + block_of(person("stranger")).pack())
        assert farmer.drops == {"gossip that is no block": 1, "gossip of a stranger's block": 1}
        assert farmer.heard == []
        await close(farmer, baker)

    run(scene())


def test_a_flood_of_gossip_reaches_the_ledger_within_its_rate_and_memory_stays_bounded() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        forged = block_of(baker.identity)
        for number in range(1, int(MEMBER_GOSSIP.burst) + 51):
            raw = bytearray(forged.pack())
            raw[74:78] = number.to_bytes(4)
            farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + bytes(raw))
        assert len(farmer.heard) == MEMBER_GOSSIP.burst
        assert farmer.drops == {"too much gossip": 50}
        assert len(farmer.network._gossip._remembered) <= MAX_REMEMBERED
        await close(farmer, baker)

    run(scene())


def test_gossip_goes_to_some_members_and_to_others_another_time() -> None:
    async def scene() -> None:
        internet = Internet()
        others = [person(f"member {number}") for number in range(3 * FANOUT)]
        farmer = await Station(internet, "farmer", 1, MEMBERS | {each.public_key for each in others}).open()
        for number, other in enumerate(others):
            farmer.network._whereabouts.prove(other.public_key, place(number + 10))
        reached = set()
        for sequence in range(1, 40):
            before = len(internet.sent)
            farmer.network.gossip([block_of(farmer.identity, sequence)])
            told = {target for _, target, datagram in internet.sent[before:]}
            assert len(told) == FANOUT
            reached |= told
        assert len(reached) == len(others)
        await close(farmer)

    run(scene())


# Datagrams and floods ------------------------------------------------------------------------------------------------


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
