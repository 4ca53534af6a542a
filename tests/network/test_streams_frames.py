"""Frames of proven peers that break the rules: one connection ends, nobody else is hurt."""

import asyncio

from aioquic._buffer import Buffer
from aioquic.buffer import encode_uint_var
from aioquic.quic.packet import (
    QuicPreferredAddress,
    pull_quic_transport_parameters,
    push_quic_transport_parameters,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.network.quic_limits import StreamLimits
from tests.network.streams_rogue import (
    RogueConnection,
    RogueServer,
    let_in,
    stream_frame,
)
from tests.network.streams_world import (
    Internet,
    address,
    ask,
    identity,
    join,
    run,
    until,
)

HONEST = 1  # The number of an honest member's address.


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
