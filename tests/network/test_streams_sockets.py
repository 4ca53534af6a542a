"""Requests through the sockets of this machine."""

import asyncio
from typing import cast

import pytest

from overlay.network.quic_errors import (
    Address,
)
from overlay.network.quic_limits import StreamLimits
from overlay.network.streams import Streams
from tests.network.streams_world import (
    COMMONS,
    LoopClock,
    SeededRandom,
    echo,
    identity,
    pattern,
)

SIZES = [0, 1, 100_000, 5_000_000]
GENEROUS = StreamLimits(request_bytes=8 << 20, held_bytes_per_peer=16 << 20)


class Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.streams: Streams | None = None
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        assert self.streams is not None
        self.streams.receive(addr, data)

    def send(self, address: Address, datagram: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(datagram, address)


async def bind(name: str) -> tuple[Socket, Address]:
    loop = asyncio.get_running_loop()
    transport, socket = await loop.create_datagram_endpoint(Socket, local_addr=("127.0.0.1", 0))
    random = SeededRandom(0)
    socket.streams = Streams(identity(name), socket.send, LoopClock(), random, echo, GENEROUS, commons=COMMONS)
    return socket, transport.get_extra_info("sockname")


@pytest.mark.parametrize("size", SIZES)
async def test_requests_pass_through_real_sockets(size: int) -> None:
    (farmer, _), (baker, where) = await bind("farmer"), await bind("baker")
    assert farmer.streams is not None
    assert baker.streams is not None
    key = identity("baker").public_key
    assert await farmer.streams.request(key, where, pattern(size), timeout=60) == pattern(size)
    for socket in (farmer, baker):
        assert socket.streams is not None
        assert socket.transport is not None
        await socket.streams.close()
        socket.transport.close()


async def test_two_hundred_requests_at_once_pass_through_real_sockets() -> None:
    (farmer, _), (baker, where) = await bind("farmer"), await bind("baker")
    assert farmer.streams is not None
    assert baker.streams is not None
    key = identity("baker").public_key
    questions = [f"question {number}".encode() for number in range(200)]
    asked = (farmer.streams.request(key, where, question, timeout=60) for question in questions)
    assert await asyncio.gather(*asked) == questions
    for socket in (farmer, baker):
        assert socket.streams is not None
        assert socket.transport is not None
        await socket.streams.close()
        socket.transport.close()
