"""The socket: bound once or not at all, read in batches, never raising for what comes or goes."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from ipv8.messaging.interfaces.endpoint import EndpointListener

from overlay.network.endpoint import BATCH, MAX_DATAGRAM, Address, PortInUse, UdpSocket

PREFIX = b"\x00\x02" + bytes(20)


class Ear(EndpointListener):
    """Notes what arrives."""

    def __init__(self, endpoint: UdpSocket) -> None:
        super().__init__(endpoint)
        self.heard: list[bytes] = []
        self.ripe = asyncio.Event()
        self.awaited = 1
        endpoint.add_prefix_listener(self, PREFIX)

    def on_packet(self, packet: tuple[Address, bytes]) -> None:
        self.heard.append(packet[1][len(PREFIX) :])
        if len(self.heard) >= self.awaited:
            self.ripe.set()

    async def hear(self, count: int) -> list[bytes]:
        self.awaited = count
        async with asyncio.timeout(10):
            await self.ripe.wait()
        return self.heard


@pytest.fixture
async def endpoint() -> AsyncIterator[UdpSocket]:
    made = UdpSocket("127.0.0.1", 0)
    await made.open()
    yield made
    made.close()


@pytest.fixture
async def sender(endpoint: UdpSocket) -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(endpoint.get_address())
        yield made


async def test_many_datagrams_arrive_whole_and_in_order(endpoint: UdpSocket, sender: socket.socket) -> None:
    ear, sent = Ear(endpoint), [bytes([number % 256]) * 40 for number in range(3 * BATCH)]
    for each in sent:
        sender.send(PREFIX + each)
    assert await ear.hear(len(sent)) == sent


async def test_what_belongs_elsewhere_or_is_too_large_is_counted(endpoint: UdpSocket, sender: socket.socket) -> None:
    ear = Ear(endpoint)
    for datagram in (b"", b"junk", bytes(22), PREFIX + bytes(MAX_DATAGRAM - 22 + 1), PREFIX + bytes(MAX_DATAGRAM - 22)):
        sender.send(datagram)
    assert await ear.hear(1) == [bytes(MAX_DATAGRAM - 22)]
    assert endpoint.drops == {"of another commons": 3, "too large a datagram": 1}


async def test_a_port_that_is_taken_is_told_and_no_other_is_taken_instead(endpoint: UdpSocket) -> None:
    port = endpoint.get_address()[1]
    with pytest.raises(PortInUse, match=f"UDP port {port} on 127.0.0.1 is in use"):
        await UdpSocket("127.0.0.1", port).open()


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "bridge.invalid"])
async def test_a_host_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(PortInUse, match=f"no IPv4 address {host}"):
        await UdpSocket(host, 0).open()


async def test_what_cannot_be_sent_is_counted_and_raises_nothing(endpoint: UdpSocket) -> None:
    endpoint.send(("127.0.0.1", 9), bytes(70_000))
    assert endpoint.drops == {"not sent: EMSGSIZE": 1}


async def test_a_closed_socket_frees_its_port_and_sends_nothing(endpoint: UdpSocket) -> None:
    address = endpoint.get_address()
    endpoint.close()
    endpoint.close()
    endpoint.send(("127.0.0.1", 9), b"")
    assert not endpoint.is_open()
    again = UdpSocket(*address)
    await again.open()
    again.close()


async def test_closing_in_the_middle_of_a_batch_ends_it(endpoint: UdpSocket, sender: socket.socket) -> None:
    ear = Ear(endpoint)
    ear.on_packet = lambda packet: (ear.heard.append(packet[1]), endpoint.close(), ear.ripe.set())  # type: ignore[assignment, func-returns-value]
    for _ in range(5):
        sender.send(PREFIX + b"x")
    assert len(await ear.hear(1)) == 1
