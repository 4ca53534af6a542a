"""Where members are: those who moved, fell silent, are claimed to be elsewhere, or are nowhere."""

import asyncio

import pytest

from overlay.keys import PublicKey
from overlay.network.messages import MAX_KNOWN, AskHello, Known, encode
from overlay.network.network import CallFailed
from overlay.network.quic_links import HEARD_SECONDS
from overlay.network.whereabouts import MAX_SILENCE_SECONDS, SILENCE_SECONDS, TELL_SECONDS
from tests.network.streams_world import run
from tests.network.trio import MEMBERS, close, echo, seconds, two
from tests.network.village import Internet, Station, person, place, until


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
