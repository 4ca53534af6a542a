"""The UDP socket under the community: read in batches, bound once, errors counted and never raised.

IPv8's own endpoint takes one datagram per turn of the event loop, tries ten thousand other ports when one is taken,
and resolves names while everything waits. Under a flood the first of these is what starves honest traffic: a turn of
the loop costs ten times as much as a datagram.
"""

import asyncio
import errno
import socket
from abc import abstractmethod
from collections import Counter

from ipv8.messaging.interfaces.endpoint import Endpoint
from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address

Address = tuple[str, int]

# More than any datagram of ours: one that fills it was longer and is refused.
MAX_DATAGRAM = 1_500
# Datagrams per turn of the loop: 64 of at most 20 us delay what else is due by about a millisecond.
BATCH = 64
# What the kernel holds for us between two turns: 4 MiB are 3,000 of the largest datagrams, or 150 ms of a flood of
# 20,000 small ones a second. The kernel may grant less.
RECEIVE_BUFFER = 4 << 20


class PortInUse(OSError):
    """The UDP address that the configuration names cannot be had; the message says what would help."""


class Socket(Endpoint):
    """What carries datagrams: the real one below, or a double in tests. `drops` counts what was dropped, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.drops: Counter[str] = Counter()

    @abstractmethod
    async def open(self) -> bool:
        """Bind. Raises PortInUse."""

    @abstractmethod
    def get_address(self) -> Address:
        """Where it is bound; the null address when closed."""

    @abstractmethod
    def send(self, socket_address: Address, packet: bytes) -> None:
        """Send one datagram; it may be lost. Never raises."""

    @abstractmethod
    def close(self) -> None:
        """Stop receiving and free the port."""

    def assert_open(self) -> None:
        """IPv8 asks; nothing here depends on it."""

    def reset_byte_counters(self) -> None:
        """Bytes are not counted here."""


class UdpSocket(Socket):
    """One IPv4 socket, read by the running loop."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._wanted = (host, port)
        self._socket: socket.socket | None = None

    async def open(self) -> bool:
        """Bind. Raises PortInUse."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            made.bind(self._wanted)
        except OSError as error:
            made.close()
            raise PortInUse(_cannot_bind(self._wanted, error)) from error
        self._socket = made
        asyncio.get_running_loop().add_reader(made, self._drain, made)
        return True

    def is_open(self) -> bool:
        return self._socket is not None

    def get_address(self) -> Address:
        """Where it is bound; the null address when closed."""
        if self._socket is None:
            return ("0.0.0.0", 0)  # noqa: S104 - IPv8's word for nowhere
        host, port = self._socket.getsockname()
        return (host, port)

    def send(self, socket_address: Address, packet: bytes) -> None:
        """Send one datagram; what the system does not take at once is lost, as anything may be on the way."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(packet, (socket_address[0], socket_address[1]))
        except OSError as error:
            self.drops[f"not sent: {errno.errorcode.get(error.errno or 0, 'no such host')}"] += 1

    def close(self) -> None:
        """Free the port."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _drain(self, readable: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                datagram, address = readable.recvfrom(MAX_DATAGRAM + 1)
            except BlockingIOError:
                return
            except OSError as error:  # an earlier datagram of ours found nobody; the next one may be fine
                self.drops[f"not received: {errno.errorcode.get(error.errno or 0, 'unknown')}"] += 1
                return
            if len(datagram) > MAX_DATAGRAM:
                self.drops["too large a datagram"] += 1
            elif datagram[: self.prefixlen] not in self._prefix_map:
                self.drops["of another commons"] += 1
            else:
                self.notify_listeners((UDPv4Address(*address), datagram))
            if self._socket is None:
                return


def _cannot_bind(wanted: Address, error: OSError) -> str:
    host, port = wanted
    if error.errno == errno.EADDRINUSE:
        return f"UDP port {port} on {host} is in use by another program; choose another port"
    if error.errno == errno.EACCES:
        return f"UDP port {port} needs more rights than this program has; choose one above 1023"
    return f"this machine has no IPv4 address {host} to listen on: {error.strerror or error}"
