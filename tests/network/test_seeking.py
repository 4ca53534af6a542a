"""Members whom no known address shows are found through others; and a large commons costs a node no more than a small
one."""

import asyncio
import itertools
from contextlib import AsyncExitStack

import pytest

from overlay.keys import PublicKey
from overlay.network import meetings
from overlay.network.addresses import MAX_CLAIMS
from overlay.network.community import PREFIX_BYTES
from overlay.network.messages import MAX_KNOWN, AskHello, Known, decode
from overlay.network.network import CallFailed
from overlay.network.rates import WAYS
from overlay.network.seeking import ASKED_BY_ONE, SOUGHT_SECONDS, nearest
from tests.network.streams_world import run
from tests.network.village import Internet, Station, person, place, until

ROLES = ("farmer", "baker", "mechanic")
MEMBERS = {person(role).public_key for role in ROLES}
INTRODUCTION, PUNCTURE_REQUEST, PUNCTURE = 246, 250, 249
MANY = tuple(f"member {number}" for number in range(24))
EVERYBODY = {person(role).public_key for role in MANY}


@pytest.fixture
def nobody_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a commons so large that a node knows few of its members."""
    monkeypatch.setattr(meetings, "ENOUGH_ONLINE", 0)
    monkeypatch.setattr(meetings, "NEIGHBOURS", 0)


async def echo(peer: PublicKey, payload: bytes) -> bytes:
    return payload


async def know(one: Station, other: Station) -> None:
    """One has asked the other something."""
    one.network.add_contact(other.where, other.key)
    await one.network.call(other.key, "echo", b"")


async def three(stack: AsyncExitStack, internet: Internet) -> tuple[Station, Station, Station]:
    """The farmer knows the baker, the baker knows the mechanic."""
    stations = [Station(internet, role, number, MEMBERS) for number, role in enumerate(ROLES, start=1)]
    farmer, baker, mechanic = [await stack.enter_async_context(each) for each in stations]
    for each in stations:
        each.network.serve("echo", echo)
    await know(farmer, baker)
    await know(baker, mechanic)
    assert not farmer.network._whereabouts.has_address(mechanic.key)
    return farmer, baker, mechanic


async def many(stack: AsyncExitStack, internet: Internet) -> list[Station]:
    """A commons in which nobody knows anybody yet."""
    stations = [Station(internet, role, number, EVERYBODY) for number, role in enumerate(MANY, start=1)]
    for each in stations:
        await stack.enter_async_context(each)
        each.network.serve("echo", echo)
    return stations


def questions(station: Station, about: PublicKey) -> list[int]:
    """Counts from now on how often a station is asked where a member is."""
    counts, answer = [0], station.network._hello

    async def counted(peer: PublicKey, payload: bytes) -> bytes:
        counts[0] += decode(payload, AskHello).near == about
        return await answer(peer, payload)

    station.network.serve("hello", counted, strangers=True)
    return counts


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_a_member_without_an_address_is_found_through_one_who_knows_it() -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            farmer, _, mechanic = await three(stack, Internet())
            assert await farmer.network.call(mechanic.key, "echo", b"repair") == b"repair"
            assert farmer.network.addresses()[mechanic.key] == mechanic.where

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_a_member_that_has_moved_is_found_where_others_have_met_it() -> None:
    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            farmer, baker, mechanic = await three(stack, internet)
            await know(farmer, mechanic)
            await mechanic.network.close()
            moved = await stack.enter_async_context(Station(internet, "mechanic", 9, MEMBERS))
            moved.network.serve("echo", echo)
            await know(moved, baker)
            assert await farmer.network.call(mechanic.key, "echo", b"here", timeout=20) == b"here"
            assert farmer.network.addresses()[mechanic.key] == moved.where

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_who_is_sought_opens_its_router_for_the_seeker() -> None:
    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            farmer, baker, mechanic = await three(stack, internet)
            await farmer.network.call(mechanic.key, "echo", b"")
            sent = [(source, target) for source, target, raw in internet.sent if raw[PREFIX_BYTES] == PUNCTURE]
            assert (mechanic.where, farmer.where) in sent
            asked = [(source, target) for source, target, raw in internet.sent if raw[PREFIX_BYTES] == PUNCTURE_REQUEST]
            assert (baker.where, mechanic.where) in asked

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_nobody_finds_one_who_is_away_and_nobody_is_asked_twice_at_once() -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            farmer, baker, mechanic = await three(stack, Internet())
            await mechanic.network.close()
            asked = questions(baker, mechanic.key)
            both = [farmer.network.call(mechanic.key, "echo", b"", timeout=20) for _ in range(2)]
            failures = await asyncio.gather(*both, return_exceptions=True)
            assert all(isinstance(each, CallFailed) for each in failures)
            assert asked == [1]
            with pytest.raises(CallFailed):
                await farmer.network.call(mechanic.key, "echo", b"", timeout=20)
            assert asked == [1]
            await asyncio.sleep(SOUGHT_SECONDS)
            with pytest.raises(CallFailed):
                await farmer.network.call(mechanic.key, "echo", b"", timeout=20)
            assert asked == [2]

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_a_stranger_is_not_sought() -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            farmer, baker, _ = await three(stack, Internet())
            asked = questions(baker, person("stranger").public_key)
            with pytest.raises(CallFailed):
                await farmer.network.call(person("stranger").public_key, "echo", b"", timeout=20)
            assert asked == [0]

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_one_who_names_ever_new_places_where_a_member_is_not_hides_it_from_nobody() -> None:
    async def scene() -> None:
        internet, ports = Internet(), itertools.count(1)
        keys = {person(role).public_key for role in (*ROLES, "liar")}
        async with AsyncExitStack() as stack:
            stations = [Station(internet, role, number, keys) for number, role in enumerate((*ROLES, "liar"), start=1)]
            farmer, baker, mechanic, liar = [await stack.enter_async_context(each) for each in stations]
            for each in stations:
                each.network.serve("echo", echo)
            liar.network._whereabouts.neighbours = lambda *_: tuple(  # type: ignore[method-assign]
                Known(mechanic.key, "10.9.9.9", next(ports)) for _ in range(MAX_CLAIMS)
            )
            await know(baker, mechanic)
            await know(farmer, liar)
            for _ in range(MAX_CLAIMS):
                await farmer.network._whereabouts._ask_near(liar.key, mechanic.key)
            await know(farmer, baker)
            assert await farmer.network.call(mechanic.key, "echo", b"all the same", timeout=20) == b"all the same"

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_a_stranger_who_replays_a_members_greeting_from_everywhere_hides_it_from_nobody() -> None:
    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            farmer, _, mechanic = await three(stack, internet)
            mechanic.network.greet(place(66))
            overheard = next(raw for _, target, raw in internet.sent if target == place(66))

            async def replay() -> None:
                for number in itertools.count():
                    internet.deliver((f"10.1.{number // 200}.{number % 200 + 1}", 7759), farmer.where, overheard)
                    await asyncio.sleep(0.25)

            replaying = asyncio.create_task(replay())
            await until(lambda: farmer.network._whereabouts.has_address(mechanic.key))
            assert await farmer.network.call(mechanic.key, "echo", b"found", timeout=20) == b"found"
            replaying.cancel()

    run(scene())


class Router(Internet):
    """Lets in to some addresses only what comes from where they have sent something to."""

    def __init__(self) -> None:
        super().__init__()
        self.behind: set[tuple[str, int]] = set()

    def deliver(self, source: tuple[str, int], target: tuple[str, int], datagram: bytes) -> None:
        if target not in self.behind or any((a, b) == (target, source) for a, b, _ in self.sent):
            super().deliver(source, target, datagram)


@pytest.mark.usefixtures("nobody_is_looked_for")
@pytest.mark.parametrize("is_given", [True, False], ids=["an address that its user gave", "a claim that failed"])
def test_one_behind_a_router_is_reached_at_the_address_that_just_failed(*, is_given: bool) -> None:
    async def scene() -> None:
        internet = Router()
        async with AsyncExitStack() as stack:
            farmer, _, mechanic = await three(stack, internet)
            internet.behind.add(mechanic.where)
            if is_given:
                farmer.network._whereabouts._book.give(mechanic.key, mechanic.where)
            else:
                farmer.network._whereabouts.claimed(mechanic.key, mechanic.where, None)
            assert await farmer.network.call(mechanic.key, "echo", b"in", timeout=20) == b"in"

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_nobody_uses_up_what_a_member_grants_those_who_open_its_router() -> None:
    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            farmer, baker, mechanic = await three(stack, internet)
            internet.sent.clear()
            for _ in range(100):
                await farmer.network._whereabouts._ask_near(baker.key, mechanic.key)
            asked = sum(
                source == baker.where and raw[PREFIX_BYTES] == PUNCTURE_REQUEST for source, _, raw in internet.sent
            )
            assert 0 < asked <= WAYS.burst + 10

    run(scene())


def test_two_groups_that_meet_late_over_one_member_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "ENOUGH_ONLINE", 4)
    monkeypatch.setattr(meetings, "NEIGHBOURS", 3)

    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            stations = await many(stack, internet)
            bridge, *others = stations
            for group in (others[:11], others[11:]):
                for each in group[1:]:
                    await know(each, group[0])
            await until(lambda: all(each.network._whereabouts.has_enough() for each in others))
            await know(bridge, others[0])
            await know(bridge, others[11])
            await asyncio.sleep(60)
            for one, other in zip(others[:11], others[11:], strict=False):
                assert await one.network.call(other.key, "echo", b"met", timeout=20) == b"met"

    run(scene())


@pytest.mark.usefixtures("nobody_is_looked_for")
def test_members_who_lie_about_others_cost_a_bounded_number_of_questions_and_hide_nobody() -> None:
    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            keys = {person(role).public_key for role in ROLES} | EVERYBODY
            stations = [Station(internet, role, number, keys) for number, role in enumerate(ROLES, start=1)]
            farmer, baker, liar = [await stack.enter_async_context(each) for each in stations]
            away = nearest(person("away").public_key, EVERYBODY, 1)[0]
            lies = tuple(
                Known(each, *place(100 + number))
                for number, each in enumerate(nearest(away, EVERYBODY - {away}, MAX_KNOWN))
            )
            liar.network._whereabouts.neighbours = lambda *_: lies  # type: ignore[method-assign]
            for each in stations:
                each.network.serve("echo", echo)
            for each in (baker, liar):
                await know(farmer, each)
            asked, honest = questions(liar, away), questions(baker, away)
            with pytest.raises(CallFailed):
                await farmer.network.call(away, "echo", b"", timeout=120)
            assert (asked, honest) == ([1], [1])
            tried = {target for source, target, _ in internet.sent if source == farmer.where}
            assert len(tried & {place(number) for number in range(100, 140)}) <= 3 * ASKED_BY_ONE

    run(scene())


def test_in_a_commons_of_which_each_knows_a_few_everybody_finds_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "ENOUGH_ONLINE", 3)
    monkeypatch.setattr(meetings, "NEIGHBOURS", 3)

    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            stations = await many(stack, internet)
            for number, each in enumerate(stations[1:], start=1):
                each.network.add_contact(stations[number // 2].where, stations[number // 2].key)
            await until(lambda: all(each.network._whereabouts.has_enough() for each in stations))
            for one, other in zip(stations, stations[11:] + stations[:11], strict=True):
                assert await one.network.call(other.key, "echo", b"found") == b"found"

    run(scene())


def test_a_node_keeps_in_touch_with_those_nearest_to_it_and_greets_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "ENOUGH_ONLINE", 3)
    monkeypatch.setattr(meetings, "NEIGHBOURS", 3)

    async def scene() -> None:
        internet = Internet()
        async with AsyncExitStack() as stack:
            stations = await many(stack, internet)
            one, *others = stations
            for each in others:
                one.network._whereabouts.claimed(each.key, each.where, None)
            close = nearest(one.key, (each.key for each in others), 3)
            await until(lambda: set(close) <= one.network.addresses().keys())
            await asyncio.sleep(30)
            internet.sent.clear()
            await asyncio.sleep(100)
            greetings = [raw for source, _, raw in internet.sent if source == one.where]
            asked = sum(raw[PREFIX_BYTES] == INTRODUCTION for raw in greetings)
            assert 15 <= asked <= 25, "one in five seconds"

    run(scene())


def test_nearness_is_the_same_for_both_and_oneself_is_the_nearest() -> None:
    keys = sorted(EVERYBODY)
    assert nearest(keys[0], keys, 1) == [keys[0]]
    assert nearest(keys[0], keys, 100)[0] == keys[0]
    assert sorted(nearest(keys[5], keys, 100)) == keys
    assert nearest(keys[5], [], 3) == []
