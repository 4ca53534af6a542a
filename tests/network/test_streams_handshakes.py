"""Handshakes of enemies: floods, proofs of address, who makes way, damaged messages."""

import asyncio
import random
from contextlib import suppress

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicReceiveContext
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.keys import PublicKey
from overlay.network.quic_errors import Address, PeerUnreachable, RequestTimedOut, WrongPeer
from overlay.network.quic_limits import HANDSHAKE_BYTES, StreamLimits
from tests.network.streams_rogue import (
    Rogue,
    RogueConnection,
    RogueServer,
    let_in,
    rogue_client,
    rogue_configuration,
)
from tests.network.streams_world import (
    Internet,
    Member,
    address,
    ask,
    identity,
    join,
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
