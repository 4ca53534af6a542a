"""Datagrams and frames from enemies: nothing is raised, nothing changes, nothing grows."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import pytest
from aioquic._buffer import Buffer
from aioquic.buffer import encode_uint_var
from aioquic.quic.connection import QuicConnection, QuicReceiveContext
from aioquic.quic.events import StreamReset
from aioquic.quic.packet import (
    QuicPreferredAddress,
    pull_quic_transport_parameters,
    push_quic_transport_parameters,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.keys import PublicKey
from overlay.network.quic_errors import Address, Code, PeerUnreachable, RequestTimedOut, StreamRefused, WrongPeer
from overlay.network.quic_limits import HANDSHAKE_BYTES, LARGEST_DATAGRAM_BYTES, SMALLEST_INITIAL_BYTES, StreamLimits
from overlay.network.quic_multiplex import Multiplex
from overlay.network.quic_stream import Stream
from tests.network.streams_rogue import (
    Rogue,
    RogueConnection,
    RogueServer,
    rogue_client,
    rogue_configuration,
    stream_frame,
)
from tests.network.streams_world import (
    Internet,
    Member,
    address,
    answering,
    ask,
    echo,
    identity,
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


# Datagrams


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


# Handshakes


async def flood(internet: Internet, target: Address, count: int, host: str = "172.16.0.{}") -> list[Address]:
    """First datagrams of that many different connections, each from an address of its own that never answers."""
    sources = [(host.format(number), 1000 + number) for number in range(count)]
    for number, source in enumerate(sources):
        _, connection = rogue_client(Internet(), 9, identity(f"rogue {number}"))
        connection.connect(target, now=asyncio.get_running_loop().time())
        (datagram, _), *_ = connection.datagrams_to_send(now=asyncio.get_running_loop().time())
        internet.receivers[target](source, datagram)
    await asyncio.sleep(0.01)
    return sources


def test_a_flood_of_first_datagrams_must_prove_its_addresses() -> None:
    async def scene() -> None:
        limits = StreamLimits()
        internet = Internet()
        baker = join(internet, "baker", 2)
        await flood(internet, baker.where, 100)
        assert baker.streams.connections == limits.half_open_before_retry
        assert baker.streams.drops == {"asked to prove its address": 100 - limits.half_open_before_retry}

    run(scene())


def test_an_honest_member_gets_in_during_a_flood() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await flood(internet, baker.where, 100)
        assert await ask(farmer, baker, b"still there?", timeout=1) == b"still there?"

    run(scene())


def test_the_proof_of_an_address_serves_nobody_else_and_not_for_long() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2)
        await flood(internet, baker.where, 4)
        rogue, _ = rogue_client(internet)
        del internet.receivers[baker.where]
        rogue.connect(baker.where)
        first = internet.sent[-1][2]
        baker.streams.receive(rogue.where, first)
        await until(lambda: len(rogue.received) == 1)
        await asyncio.sleep(0)
        second = internet.sent[-1][2]
        assert second != first
        baker.streams.receive(address(66), second)
        assert baker.streams.drops["bad token"] == 1
        baker.streams.receive(rogue.where, second)
        assert baker.streams.connections == 5

        await asyncio.sleep(StreamLimits().handshake_seconds + 0.1)
        baker.streams.receive(rogue.where, second)
        assert baker.streams.drops["old token"] == 1
        assert baker.streams.connections == 0

    run(scene())


def test_the_oldest_unfinished_handshake_makes_way() -> None:
    async def scene() -> None:
        limits = StreamLimits(half_open_before_retry=100, half_open=3)
        internet = Internet()
        baker = join(internet, "baker", 2, limits=limits)
        await flood(internet, baker.where, 3)
        assert baker.streams.connections == 3
        await flood(internet, baker.where, 1, host="172.17.0.{}")
        assert baker.streams.connections == 3

    run(scene())


def test_one_host_gets_as_many_connections_as_the_limit_and_no_more() -> None:
    async def scene() -> None:
        limits = StreamLimits(connections_per_host=3)
        internet = Internet()
        baker = join(internet, "baker", 2, limits=limits)
        members = [join(internet, f"member {number}", 1, who=identity(f"member {number}")) for number in range(4)]
        for number, member in enumerate(members):
            move(internet, member, ("10.0.0.1", 2000 + number))
        for member in members[:3]:
            await ask(member, baker, b"?")
        with pytest.raises(PeerUnreachable):
            await ask(members[3], baker, b"?", timeout=3)
        assert baker.streams.drops["too many connections of one host"] > 0

    run(scene())


def move(internet: Internet, member: Member, where: Address) -> None:
    """Give a member that has not spoken yet another address."""
    internet.receivers[where] = member.streams.receive
    member.where = where
    member.streams._links._send = internet.sender(where)


def test_idle_connections_make_way_for_new_ones_and_busy_ones_do_not() -> None:
    async def scene() -> None:
        limits = StreamLimits(connections=3, kept_for_own=1)

        async def slow_for_some(peer: PublicKey, address: Address, request: bytes) -> bytes:
            if request == b"slow":
                await asyncio.sleep(100)
            return request

        internet = Internet()
        baker = join(internet, "baker", 9, slow_for_some, limits=limits)
        members = [join(internet, f"member {number}", number) for number in range(1, 6)]
        await ask(members[0], baker, b"quick")
        await ask(members[1], baker, b"quick")
        await ask(members[2], baker, b"quick")
        assert baker.streams.connections == 2
        busy = [asyncio.ensure_future(ask(member, baker, b"slow", 300)) for member in members[1:3]]
        await asyncio.sleep(1)
        with pytest.raises(PeerUnreachable):
            await ask(members[3], baker, b"quick", timeout=3)
        # What is kept for requests of our own is still there.
        assert await ask(baker, members[4], b"mine") == b"mine"
        assert await asyncio.gather(*busy) == [b"slow", b"slow"]

    run(scene())


def test_what_overtakes_the_end_of_the_handshake_is_no_part_of_it() -> None:
    """A lossy line may bring a whole window of the request before the last packet of the handshake."""

    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2)
        rogue, connection = rogue_client(internet)
        rogue.connect(baker.where)
        await until(lambda: bool(rogue.received))
        held_back: list[bytes] = []
        internet.receivers[baker.where] = lambda source, datagram: held_back.append(datagram)
        await until(lambda: bool(held_back))
        early = b"\x40" + connection._peer_cid.cid + bytes(1000)
        for _ in range(2 * HANDSHAKE_BYTES // len(early)):
            baker.streams.receive(rogue.where, early)
        baker.streams.receive(rogue.where, held_back[0])
        await until(lambda: rogue.is_through)

    run(scene())


def test_the_end_of_a_handshake_is_confirmed_without_waiting_for_a_request() -> None:
    async def scene() -> None:
        internet = Internet(delay=(0.01, 0.01))
        await let_in(internet, join(internet, "baker", 2))
        assert asyncio.get_running_loop().time() == pytest.approx(4 * 0.01, abs=2e-3)

    run(scene())


def test_closing_says_nothing_to_addresses_that_have_proven_nothing() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2)
        await flood(internet, baker.where, 2)
        before = len(internet.sent)
        await baker.streams.close()
        assert len(internet.sent) == before

    run(scene())


def test_the_connection_that_was_silent_longest_makes_way() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 9, limits=StreamLimits(connections=3, kept_for_own=1))
        first, second, third = (join(internet, f"member {number}", number) for number in range(1, 4))
        for member in (first, second, first, third):
            await ask(member, baker, b"?")
            await asyncio.sleep(1)
        before = len(internet.sent)
        await ask(first, baker, b"!")
        assert not any(datagram[0] & 0x80 for _, _, datagram in internet.sent[before:])

    run(scene())


class StubbornConnection(RogueConnection):
    """Goes on with what it was asked to stop."""

    def _handle_stop_sending_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        for _ in ("stream", "code"):
            buf.pull_uint_var()


def test_a_peer_that_does_not_stop_what_was_refused_keeps_no_connection_busy() -> None:
    async def scene() -> None:
        limits = StreamLimits(connections=2, kept_for_own=1, request_bytes=10)
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, limits=limits)
        connection = StubbornConnection(rogue_configuration(identity("rogue")))
        rogue = Rogue(internet, 9, connection)
        rogue.connect(baker.where)
        await until(lambda: rogue.is_through)
        connection.send_stream_data(0, bytes(11))
        rogue.flush()
        await asyncio.sleep(1)
        assert await ask(farmer, baker, b"?", timeout=1) == b"?"

    run(scene())


def test_a_handshake_that_is_longer_than_any_honest_one_is_cut_off() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2)
        rogue, _ = rogue_client(internet)
        # The server's side never reaches the rogue, so it repeats its first datagram.
        del internet.receivers[rogue.where]
        rogue.connect(baker.where)
        first = internet.sent[-1][2]
        count = HANDSHAKE_BYTES // len(first)
        for _ in range(count):
            baker.streams.receive(rogue.where, first)
        assert baker.streams.connections == 1
        baker.streams.receive(rogue.where, first)
        assert baker.streams.connections == 0
        assert baker.streams.drops["handshake too long"] == 1

    run(scene())


class DamagingConnection(RogueConnection):
    """Changes some bytes of what its TLS says, inside packets that are in order."""

    chance = random.Random(0)

    def _push_crypto_data(self) -> None:
        for buffer in self._crypto_buffers.values():
            message = bytearray(buffer.data)
            for _ in range(self.chance.randint(0, 3) if message else 0):
                place = self.chance.randrange(len(message))
                message[place : place + self.chance.randint(0, 2)] = self.chance.randbytes(self.chance.randint(0, 2))
            buffer.seek(0)
            buffer.push_bytes(bytes(message))
        super()._push_crypto_data()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_damaged_messages_of_the_handshake_raise_nothing_at_either_end(seed: int) -> None:
    async def scene() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        DamagingConnection.chance = random.Random(seed)
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        rogue = Rogue(internet, 8, DamagingConnection(rogue_configuration(identity("rogue"))))
        rogue.connect(baker.where)
        RogueServer(internet, 9, identity("rogue"), DamagingConnection)
        key = identity("rogue").public_key
        with suppress(PeerUnreachable, WrongPeer, RequestTimedOut):
            await farmer.streams.request(key, address(9), b"?", timeout=1)
        assert await ask(farmer, baker, b"still there?", timeout=1) == b"still there?"
        assert problems == []
        assert farmer.streams.drops["library fault"] + baker.streams.drops["library fault"] == 0

    run(scene())


# Frames of a proven peer


async def let_in(internet: Internet, target: Member) -> tuple[Rogue, RogueConnection]:
    rogue, connection = rogue_client(internet)
    rogue.connect(target.where)
    await until(lambda: rogue.is_through)
    return rogue, connection


FRAME_KINDS = st.integers(0, 0x32) | st.sampled_from([0x40, 0xAF, 2**62 - 1])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            FRAME_KINDS, st.lists(st.integers(0, 70) | st.integers(0, 2**62 - 1), max_size=5), st.binary(max_size=40)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_frames_of_a_proven_peer_raise_nothing_and_hurt_nobody_else(
    frames: list[tuple[int, list[int], bytes]],
) -> None:
    async def scene() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"before")
        rogue, connection = await let_in(internet, baker)
        for kind, numbers, tail in frames:
            connection.frames.append(b"".join(map(encode_uint_var, [kind, *numbers])) + tail)
        rogue.flush()
        await asyncio.sleep(0.1)
        assert await ask(farmer, baker, b"after", timeout=1) == b"after"
        assert problems == []
        assert baker.streams.drops["library fault"] == 0

    run(scene())


async def outcome_of(frame: bytes, limits: StreamLimits | None = None) -> bool:
    """Whether the connection survives the frame."""
    internet = Internet()
    baker = join(internet, "baker", 2, limits=limits)
    rogue, connection = await let_in(internet, baker)
    connection.frames.append(frame)
    rogue.flush()
    await asyncio.sleep(1)
    return not rogue.is_over


def test_streams_of_one_direction_are_refused() -> None:
    assert run(outcome_of(stream_frame(0, b"x")))
    assert not run(outcome_of(stream_frame(2, b"x")))


def test_tls_messages_after_the_handshake_are_refused() -> None:
    # The start of a TLS message that announces 16 MiB.
    announcement = bytes([4, 0xFF, 0xFF, 0xFF])
    frame = bytes([0x06]) + encode_uint_var(0) + encode_uint_var(len(announcement)) + announcement
    assert not run(outcome_of(frame))


def test_as_many_streams_as_the_limit_and_no_more() -> None:
    limits = StreamLimits(streams_per_connection=5)
    assert run(outcome_of(stream_frame(4 * 4, b"x"), limits))
    assert not run(outcome_of(stream_frame(4 * 5, b"x"), limits))


def test_a_stream_may_be_filled_to_its_window_and_no_further() -> None:
    window = StreamLimits().stream_window
    assert run(outcome_of(stream_frame(0, b"x", offset=window - 1)))
    assert not run(outcome_of(stream_frame(0, b"x", offset=window)))


def test_a_connection_may_be_filled_to_its_window_and_no_further() -> None:
    limits = StreamLimits(stream_window=1000, connection_window=1500)

    async def scene(last: int) -> bool:
        internet = Internet()
        baker = join(internet, "baker", 2, limits=limits)
        rogue, connection = await let_in(internet, baker)
        connection.frames += [stream_frame(0, b"x", offset=999), stream_frame(4, b"x", offset=last)]
        rogue.flush()
        await asyncio.sleep(1)
        return not rogue.is_over

    assert run(scene(499))
    assert not run(scene(500))


def test_resets_of_streams_that_promised_much_do_not_close_the_window() -> None:
    """A reset counts its final size as used window. Unless that is given back, a few of them stop the connection."""

    async def scene() -> None:
        limits = StreamLimits(stream_window=100_000, connection_window=100_000)
        internet = Internet()
        baker = join(internet, "baker", 2, limits=limits)
        rogue, connection = await let_in(internet, baker)
        for number in range(2 * limits.streams_per_connection):
            connection.send_stream_data(4 * number, b"")  # So that the rogue knows its own streams.
            reset = bytes([0x04]) + b"".join(map(encode_uint_var, (4 * number, 0, 90_000)))
            connection.frames.append(reset)
            rogue.flush()
            await asyncio.sleep(1)
        connection.send_stream_data(8 * limits.streams_per_connection, b"hello", end_stream=True)
        rogue.flush()
        await asyncio.sleep(1)
        assert not rogue.is_over
        assert any(getattr(event, "data", b"") == b"hello" for event in rogue.heard)

    run(scene())


class PreferringConnection(RogueConnection):
    """A server that asks its clients to come to another address."""

    def _serialize_transport_parameters(self) -> bytes:
        parameters = pull_quic_transport_parameters(Buffer(data=super()._serialize_transport_parameters()))
        parameters.preferred_address = QuicPreferredAddress(
            ipv4_address=("192.0.2.66", 53), ipv6_address=None, connection_id=bytes(8), stateless_reset_token=bytes(16)
        )
        buffer = Buffer(capacity=1000)
        push_quic_transport_parameters(buffer, parameters)
        return buffer.data


def test_a_server_cannot_send_its_clients_elsewhere() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = join(internet, "farmer", 1)
        server = RogueServer(internet, 9, identity("rogue"), PreferringConnection)
        asking = asyncio.ensure_future(
            farmer.streams.request(identity("rogue").public_key, address(9), b"?", timeout=5)
        )
        await until(lambda: server.rogue is not None and server.rogue.is_through)
        await asyncio.sleep(1)
        asking.cancel()
        assert {target for source, target, _ in internet.sent if source == farmer.where} == {address(9)}

    run(scene())


# Requests of proven peers


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
