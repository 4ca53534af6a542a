"""Datagrams from enemies: nothing is raised, nothing changes, nothing grows."""

import asyncio
import random
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.keys import PublicKey
from overlay.network.quic_errors import Address
from overlay.network.quic_limits import LARGEST_DATAGRAM_BYTES, SMALLEST_INITIAL_BYTES, StreamLimits
from tests.network.streams_world import (
    Internet,
    address,
    ask,
    join,
    refuse_all,
    run,
    until,
)

HONEST = 1  # The number of an honest member's address.


async def exchange() -> list[tuple[Address, Address, bytes]]:
    """All datagrams of an honest request and its answer."""
    internet = Internet()
    farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
    await ask(farmer, baker, bytes(5_000))
    return internet.sent


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=1600), max_size=5))
def test_random_datagrams_are_dropped_and_counted(datagrams: list[bytes]) -> None:
    async def scene() -> None:
        baker = join(Internet(), "baker", 2, refuse_all)
        for datagram in datagrams:
            baker.streams.receive(address(HONEST), datagram)
        assert baker.streams.drops.total() == len(datagrams)
        assert baker.streams.connections == 0

    run(scene())


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(min_size=1200, max_size=1300))
def test_random_bodies_behind_the_header_of_a_first_packet_make_no_connection(first: int, body: bytes) -> None:
    header = bytes([0xC0 | first & 0x0F]) + bytes.fromhex("00000001 08 1122334455667788 08 8877665544332211 00 4480")

    async def scene() -> None:
        baker = join(Internet(), "baker", 2, refuse_all)
        baker.streams.receive(address(HONEST), header + body)
        assert baker.streams.connections == 0
        assert baker.streams.drops.total() == 1

    run(scene())


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_mutated_datagrams_of_a_live_exchange_change_nothing(chance: random.Random) -> None:
    """Each datagram is followed by a damaged copy, or led by it: the answer is the same and nothing is raised."""

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        for member in (farmer, baker):
            honest = internet.receivers[member.where]
            internet.receivers[member.where] = partial(attack, honest)
        assert await ask(farmer, baker, bytes(5_000)) == bytes(5_000)

    def attack(honest: object, source: Address, datagram: bytes) -> None:
        assert callable(honest)
        damaged = bytearray(datagram)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        cut = bytes(damaged[: chance.randint(0, len(damaged))])
        both = [datagram, chance.choice([bytes(damaged), cut])]
        for one in both if chance.random() < 0.5 else reversed(both):
            honest(source, one)

    run(scene())


def test_a_replayed_exchange_reaches_no_handler_and_makes_no_lasting_state() -> None:
    async def scene() -> None:
        served: list[bytes] = []

        async def count(peer: PublicKey, address: Address, request: bytes) -> bytes:
            served.append(request)
            return request

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, count)
        await ask(farmer, baker, bytes(5_000))
        recorded = list(internet.sent)
        for source, target, datagram in recorded * 2:
            internet.receivers[target](source, datagram)
            internet.receivers[target](address(66), datagram)
        await farmer.streams.close()
        await asyncio.sleep(1)
        for source, target, datagram in recorded * 2:
            internet.receivers[target](source, datagram)
            internet.receivers[target](address(66), datagram)
        await asyncio.sleep(2 * StreamLimits().handshake_seconds)
        assert len(served) == 1
        assert baker.streams.connections == 0

    run(scene())


def test_a_replay_from_elsewhere_moves_no_connection_there() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"?")
        held_back: list[bytes] = []
        internet.receivers[baker.where] = lambda source, datagram: held_back.append(datagram)
        asking = asyncio.ensure_future(ask(farmer, baker, b"where to?"))
        await until(lambda: bool(held_back))
        stolen, before = held_back[0], len(internet.sent)
        baker.streams.receive(address(66), stolen)
        assert baker.streams.drops == {"other address": 1}
        internet.receivers[baker.where] = baker.streams.receive
        assert await asking == b"where to?"
        assert {target for _, target, _ in internet.sent[before:]} == {farmer.where, baker.where}

    run(scene())


def test_a_datagram_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    async def scene() -> None:
        baker = join(Internet(), "baker", 2)
        baker.streams.receive(address(HONEST), bytes([0x40]) * LARGEST_DATAGRAM_BYTES)
        assert baker.streams.drops == {"unknown connection": 1}
        baker.streams.receive(address(HONEST), bytes([0x40]) * (LARGEST_DATAGRAM_BYTES + 1))
        assert baker.streams.drops == {"unknown connection": 1, "too large": 1}

    run(scene())


def test_a_first_datagram_below_1200_bytes_is_not_answered() -> None:
    async def scene() -> None:
        first = (await exchange())[0][2]
        internet = Internet()
        baker = join(internet, "baker", 2)
        baker.streams.receive(address(HONEST), first[: SMALLEST_INITIAL_BYTES - 1])
        await asyncio.sleep(1)
        assert internet.sent == []
        assert baker.streams.connections == 0

    run(scene())


def test_a_first_connection_id_that_could_be_guessed_is_refused() -> None:
    async def scene() -> None:
        baker = join(Internet(), "baker", 2)
        for size in (8, 7):
            ids = bytes([size]) + bytes(size) + bytes([8]) + bytes(8)
            baker.streams.receive(address(66), b"\xc0\x00\x00\x00\x01" + ids + bytes.fromhex("00 4480") + bytes(1200))
        assert baker.streams.drops == {"not authentic": 1, "connection id too short": 1}

    run(scene())


def test_an_unproven_address_is_never_sent_three_times_what_came_from_it() -> None:
    async def scene() -> None:
        first = (await exchange())[0][2]
        internet = Internet()
        baker = join(internet, "baker", 2)
        baker.streams.receive(address(66), first)
        await asyncio.sleep(2 * StreamLimits().handshake_seconds)
        assert 0 < sum(len(datagram) for _, _, datagram in internet.sent) <= 3 * len(first)
        assert baker.streams.connections == 0

    run(scene())


def test_other_versions_are_not_negotiated() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2)
        for version in (bytes(4), b"\x6b\x33\x43\xcf", b"\xff\x00\x00\x1d"):
            baker.streams.receive(address(66), b"\xc0" + version + bytes([8]) + bytes(8) + bytes([0]) + bytes(1200))
        await asyncio.sleep(1)
        assert internet.sent == []
        assert baker.streams.drops == {"other version": 3}

    run(scene())
