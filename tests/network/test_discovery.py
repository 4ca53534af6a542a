"""Introductions: members find each other, and nobody who lies, replays or floods keeps them from it."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlay.network.community import BLOCK_MESSAGE, KEY_END, MAX_NAMED, QUIC_MESSAGE
from overlay.network.messages import AskHello, encode
from overlay.network.rates import HOST_INTRODUCTIONS
from tests.network.streams_world import run
from tests.network.village import PREFIX, Internet, Station, person, place, until

REQUEST, RESPONSE, PUNCTURE_REQUEST, PUNCTURE = 246, 245, 250, 249
MEMBERS = {person(role).public_key for role in ("farmer", "baker", "mechanic")}


def messages(internet: Internet, kind: int, source: int) -> list[bytes]:
    """The messages of one kind that a station has sent, without the prefix."""
    found = [datagram[len(PREFIX) :] for sender, _, datagram in internet.sent if sender == place(source)]
    return [message for message in found if message[0] == kind]


def test_members_find_each_other_through_one_whom_both_know() -> None:
    async def scene() -> None:
        internet = Internet()
        async with (
            Station(internet, "farmer", 1, MEMBERS) as farmer,
            Station(internet, "baker", 2, MEMBERS) as baker,
            Station(internet, "mechanic", 3, MEMBERS) as mechanic,
        ):
            baker.network.add_contact(farmer.where, farmer.key)
            mechanic.network.add_contact(farmer.where)  # whoever is there
            await until(lambda: baker.network.addresses().get(mechanic.key) == mechanic.where)
            await until(lambda: mechanic.network.addresses().get(baker.key) == baker.where)

    run(scene())


def test_a_replayed_introduction_moves_nobody() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer, Station(internet, "baker", 2, MEMBERS) as baker:
            baker.network.add_contact(farmer.where, farmer.key)
            await until(lambda: farmer.network.addresses())
            (overheard, *_) = messages(internet, REQUEST, 2)
            for liar in range(50, 100):
                farmer.hear(place(liar), overheard)
            await asyncio.sleep(5)
            assert farmer.network.addresses() == {baker.key: baker.where}
            assert await farmer.network.call(baker.key, "hello", encode(AskHello(baker.key)), 1.0)

    run(scene())


def test_a_member_is_found_among_the_lies_about_it() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer, Station(internet, "baker", 2, MEMBERS) as baker:
            baker.network.greet(place(66))  # a liar overhears one greeting
            (overheard, *_) = messages(internet, REQUEST, 2)
            for liar in range(50, 100):
                farmer.hear(place(liar), overheard)
            baker.network.greet(farmer.where)
            await until(lambda: farmer.network.addresses() == {baker.key: baker.where})

    run(scene())


def test_members_are_introduced_to_members_only() -> None:
    async def scene() -> None:
        internet = Internet()
        async with (
            Station(internet, "farmer", 1, MEMBERS) as farmer,
            Station(internet, "baker", 2, MEMBERS) as baker,
            Station(internet, "stranger", 9, MEMBERS) as stranger,
        ):
            baker.network.add_contact(farmer.where, farmer.key)
            await until(lambda: farmer.network.addresses())
            stranger.network.add_contact(farmer.where, farmer.key)
            await asyncio.sleep(20)
            assert messages(internet, RESPONSE, 1)
            assert not [1 for source, target, _ in internet.sent if (source, target) == (stranger.where, baker.where)]
            assert not messages(internet, PUNCTURE_REQUEST, 1)

    run(scene())


def test_a_response_that_nobody_asked_for_costs_no_look_at_its_signature() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer:
            farmer.hear(place(66), bytes([RESPONSE]) + bytes(200))
            assert farmer.drops == {"introduction that nobody asked for": 1}

    run(scene())


def test_a_stranger_cannot_make_us_send_to_a_victim() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer:
            farmer.hear(place(66), bytes([PUNCTURE_REQUEST]) + bytes(30))
            await asyncio.sleep(1)
            assert internet.sent == []
            assert farmer.drops == {"puncture request of a stranger, or too many": 1}

    run(scene())


def test_too_many_introductions_of_one_host_are_dropped_and_those_of_others_answered() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer, Station(internet, "baker", 2, MEMBERS) as baker:
            baker.network.greet(place(66))
            (overheard, *_) = messages(internet, REQUEST, 2)
            for _ in range(int(HOST_INTRODUCTIONS.burst) + 10):
                farmer.hear(place(66), overheard)
            assert farmer.drops == {"too many introductions": 10}
            assert len(messages(internet, RESPONSE, 1)) == HOST_INTRODUCTIONS.burst
            farmer.hear(place(67), overheard)
            assert len(messages(internet, RESPONSE, 1)) == HOST_INTRODUCTIONS.burst + 1

    run(scene())


def test_a_forged_introduction_is_counted_and_answers_nothing() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer, Station(internet, "baker", 2, MEMBERS) as baker:
            baker.network.greet(place(66))
            (overheard, *_) = messages(internet, REQUEST, 2)
            forged = bytearray(overheard)
            forged[KEY_END] ^= 1
            farmer.hear(place(66), bytes(forged))
            assert farmer.drops == {"introduction that cannot be read": 1}
            assert not messages(internet, RESPONSE, 1)

    run(scene())


def test_only_members_tell_us_where_we_are() -> None:
    async def scene() -> None:
        internet, home = Internet(), ("198.51.100.1", 7759)
        farmer = Station(internet, "farmer", 1, MEMBERS)
        farmer.where = ("203.0.113.9", 7759)
        async with farmer, Station(internet, "baker", 2, MEMBERS) as baker, Station(internet, "liar", 9, set()) as liar:
            community = farmer.network._carrier._community
            assert community is not None
            community.my_estimated_wan = home
            for other in (liar, baker):
                farmer.network.greet(other.where)
                await until(lambda other=other: farmer.network._whereabouts._book.of(other.key).all())  # type: ignore[misc]
            assert community.my_estimated_wan == home
            await until(lambda: farmer.network.addresses())
            farmer.network.greet(baker.where)
            await until(lambda: community.my_estimated_wan == farmer.where)

    run(scene())


def test_named_addresses_are_bounded_each_greeted_once_and_no_place_is_none() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer:
            community = farmer.network._carrier._community
            assert community is not None
            for silly in (("0.0.0.0", 0), ("255.255.255.255", 9), ("127.0.0.1", 9), farmer.where):
                community.name(silly)
            assert farmer.drops == {"introduction to no place": 4}
            for number in range(MAX_NAMED + 5):
                community.name((f"10.1.{number // 256}.{number % 256}", 9))
            assert farmer.drops["introduction beyond what can be greeted"] == 5
            await until(lambda: not community._named)
            greeted = [target for _, target, _ in internet.sent]
            assert len(greeted) == len(set(greeted)) == MAX_NAMED

    run(scene())


def test_greetings_of_a_dead_contact_grow_rare() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer:
            farmer.network.add_contact(place(2))
            await asyncio.sleep(300)
            assert 10 < len(internet.sent) < 25

    run(scene())


def test_what_is_no_message_is_counted() -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer:
            for message in (b"", b"\x07", bytes([255]), bytes([PUNCTURE])):
                farmer.hear(place(2), message)
            assert farmer.drops == {"shorter than a message": 1, "unknown message": 2}
            assert internet.sent == []

    run(scene())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([REQUEST, RESPONSE, PUNCTURE_REQUEST, PUNCTURE, 231, 232, 233, 234, QUIC_MESSAGE, BLOCK_MESSAGE])
    | st.integers(0, 255),
    st.binary(max_size=300),
    st.booleans(),
)
def test_garbage_of_any_kind_ends_in_a_count_and_never_in_an_error(kind: int, rest: bytes, with_key: bool) -> None:
    async def scene() -> None:
        internet = Internet()
        async with Station(internet, "farmer", 1, MEMBERS) as farmer:
            key = b"\x00\x4a" + person("baker").public_key if with_key else b""
            farmer.network.greet(place(2))
            farmer.hear(place(2), bytes([kind]) + key + rest)
            assert kind in (PUNCTURE, 231) or sum(farmer.drops.values()) == 1

    run(scene())
