"""Finds members on the same local network by broadcast, without telling the others who they are.

    "CFLN" | version (1) | port (2, big-endian) | nonce (8) | tag (16)

The tag is a keyed hash of port and nonce under the commons' id: whoever knows the commons recognises the announcement,
and to everybody else it is noise that differs each time. An announcement only names an address, which is then greeted
as any other that somebody names; a false one costs one greeting. IPv8's own broadcast sends 65,535 datagrams, one to
each port; this one goes to one port that all nodes of a machine share.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest

from overlay.clock import Clock, Randomness
from overlay.network.endpoint import Address
from overlay.network.rates import LAN_ANNOUNCEMENTS, LAN_HOST, Allowance

log = logging.getLogger(__name__)

LAN_PORT = 7759
BROADCAST = "255.255.255.255"
MAGIC, VERSION = b"CFLN", 1
NONCE_BYTES, TAG_BYTES = 8, 16
# Members who are here already have heard of each other; this is for one that missed the first announcements. 31 bytes
# every 20 s from each of 100 members are 160 bytes a second.
ANNOUNCE_SECONDS = 20.0
# The first announcements follow each other quickly: one datagram may be lost.
FIRST_SECONDS = (0.0, 1.0, 3.0)

_HEAD = struct.Struct(">4sBH8s")
ANNOUNCEMENT_BYTES = _HEAD.size + TAG_BYTES


class Lan:
    """Announces this node's port and hears the announcements of others; `on_neighbour` takes their addresses."""

    def __init__(
        self,
        commons: bytes,
        clock: Clock,
        random: Randomness,
        on_neighbour: Callable[[Address], None],
        count_drop: Callable[[str], None],
        target: Address = (BROADCAST, LAN_PORT),
    ) -> None:
        self._commons, self._clock, self._random = commons, clock, random
        self._on_neighbour, self._count_drop, self._target = on_neighbour, count_drop, target
        self._rates: Allowance[str] = Allowance(clock, LAN_HOST, LAN_ANNOUNCEMENTS)
        self._socket: socket.socket | None = None
        self._port, self._sent, self._due = 0, 0, 0.0

    def open(self, port: int) -> None:
        """Begin, for a node at `port`. Where the system has no broadcast, a node does without: this raises nothing."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # all nodes of this machine hear
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            made.bind(("", self._target[1]))
        except OSError as error:
            made.close()
            log.warning("no members are looked for on the local network: %s", error)
            return
        self._socket, self._port = made, port
        asyncio.get_running_loop().add_reader(made, self._read, made)

    def close(self) -> None:
        """Free the port."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def step(self) -> None:
        """Announce when it is time to."""
        now = self._clock.monotonic()
        if self._socket is None or (self._sent and now < self._due):
            return
        self._sent += 1
        self._due = now + (FIRST_SECONDS[self._sent] if self._sent < len(FIRST_SECONDS) else ANNOUNCE_SECONDS)
        try:
            self._socket.sendto(self._announcement(), self._target)
        except OSError as error:
            self._count_drop("announcement that could not be sent")
            log.debug("nothing can be announced on the local network: %s", error)

    def _announcement(self) -> bytes:
        head = _HEAD.pack(MAGIC, VERSION, self._port, self._random.bytes(NONCE_BYTES))
        return head + self._tag(head)

    def _tag(self, head: bytes) -> bytes:
        return blake2b(head, digest_size=TAG_BYTES, key=self._commons, person=b"lan neighbour").digest()

    def _read(self, readable: socket.socket) -> None:
        try:
            datagram, (host, _) = readable.recvfrom(ANNOUNCEMENT_BYTES + 1)
        except OSError:
            return  # nothing there after all, or an error of an earlier datagram of ours
        reason = self._hear(host, datagram)
        if reason is not None:
            self._count_drop(reason)

    def _hear(self, host: str, datagram: bytes) -> str | None:
        """Hand on a neighbour's address; why the announcement is dropped, None when it is not."""
        if len(datagram) != ANNOUNCEMENT_BYTES:
            return "broadcast that is no announcement"
        magic, version, port, _ = _HEAD.unpack_from(datagram)
        if magic != MAGIC or version != VERSION:
            return "broadcast that is no announcement"
        if not self._rates.take(host):
            return "too many announcements"
        if not compare_digest(datagram[_HEAD.size :], self._tag(datagram[: _HEAD.size])):
            return "announcement of another commons"
        self._on_neighbour((host, port))
        return None
