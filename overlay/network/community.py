"""The IPv8 community of one commons: finds peers, carries datagrams, knows nothing of what is in them.

Introductions (who is where) are IPv8's own. Everything of ours rides in two unsigned message types: a QUIC datagram,
and a half-block, which carries its own signature. An address that IPv8 reports is only a candidate: IPv8's signed
packets can be replayed from elsewhere, so an address counts once a QUIC handshake has proven who is there.
"""

from collections import Counter
from collections.abc import Callable

from ipv8.community import Community, CommunitySettings
from ipv8.keyvault.crypto import default_eccrypto
from ipv8.messaging.interfaces.udp.endpoint import UDPEndpoint, UDPv4Address
from ipv8.peer import Peer
from ipv8.peerdiscovery.network import Network as Introductions

from overlay.keys import Identity, PublicKey

Address = tuple[str, int]
Receiver = Callable[[Address, bytes], None]

ANY_HOST = "0.0.0.0"  # noqa: S104 - compared with, not bound to
PREFIX_BYTES = 22
QUIC_MESSAGE = 1
BLOCK_MESSAGE = 2
# IPv8 keeps this many verified peers of one community; introductions beyond are answered but not kept.
MAX_PEERS = 100


class PortInUse(OSError):
    """The UDP port that the configuration names belongs to another process."""


class CommonsSettings(CommunitySettings):
    """What a community of ours is made with."""

    commons: bytes
    on_quic: Receiver
    on_block: Receiver
    drops: Counter[str]


class CommonsCommunity(Community):
    """Routes the two message types to their receivers; everything else is IPv8's."""

    settings_class = CommonsSettings

    def __init__(self, settings: CommonsSettings) -> None:
        self.community_id = settings.commons
        super().__init__(settings)
        self._drops = settings.drops
        self.add_message_handler(QUIC_MESSAGE, _without_header(settings.on_quic))
        self.add_message_handler(BLOCK_MESSAGE, _without_header(settings.on_block))

    def on_packet(self, packet: tuple[Address, bytes], warn_unknown: bool = False) -> None:
        """A packet of the bare prefix would raise out of IPv8: it is dropped and counted here."""
        if len(packet[1]) <= PREFIX_BYTES:
            self._drops["shorter than a message"] += 1
            return
        super().on_packet(packet, warn_unknown)

    def send_message(self, address: Address, message: int, payload: bytes) -> None:
        """Send one datagram; it may be lost."""
        self.endpoint.send(address, self.get_prefix() + bytes([message]) + payload)


def _without_header(receiver: Receiver) -> Receiver:
    return lambda address, data: receiver((address[0], address[1]), data[PREFIX_BYTES + 1 :])


class Carrier:
    """One UDP socket with one community on it: open, send, walk, close."""

    def __init__(self, identity: Identity, commons: bytes, on_quic: Receiver, on_block: Receiver) -> None:
        self.drops: Counter[str] = Counter()
        self._settings = CommonsSettings(
            commons=commons,
            on_quic=on_quic,
            on_block=on_block,
            drops=self.drops,
            my_peer=Peer(default_eccrypto.key_from_private_bin(identity.secret)),
            network=Introductions(),
            max_peers=MAX_PEERS,
        )
        self._community: CommonsCommunity | None = None

    async def open(self, host: str, port: int) -> Address:
        """Bind the socket (port 0: any) and start the community; raises PortInUse."""
        endpoint = UDPEndpoint(port, host)
        await endpoint.open()
        bound = endpoint.get_address()
        if port and bound[1] != port:  # IPv8 goes on to the next free port; a configured port is a promise
            endpoint.close()
            raise PortInUse(f"UDP port {port} on {host} is in use by another program; choose another port")
        self._settings.endpoint = endpoint
        self._settings.my_peer.address = bound
        self._community = CommonsCommunity(self._settings)
        if host != ANY_HOST:
            # A socket bound to one address is reached there only; IPv8 would tell others the machine's LAN address.
            self._community.my_estimated_lan = self._community.my_estimated_wan = UDPv4Address(*bound)
        return (bound[0], bound[1])

    async def close(self) -> None:
        if self._community is not None:
            await self._community.unload()
            self._community.endpoint.close()
            self._community = None

    def send(self, address: Address, message: int, payload: bytes) -> None:
        """Send one datagram, if the socket is open."""
        if self._community is not None and self._community.endpoint.is_open():
            self._community.send_message(address, message, payload)

    def contact(self, address: Address) -> None:
        """Ask the node at an address to introduce itself and others."""
        if self._community is not None:
            self._community.walk_to(address)

    def step(self) -> None:
        """One step of discovery: ask a peer for others, or greet one that was named to us."""
        if self._community is None:
            return
        for address in self._community.get_walkable_addresses()[:8]:
            self._community.walk_to(address)
        self._community.get_new_introduction()

    def introduced(self) -> list[tuple[PublicKey, Address]]:
        """The peers that IPv8 has heard from, with the address it believes: candidates only."""
        if self._community is None:
            return []
        return [
            (PublicKey(peer.public_key.key_to_bin()), (peer.address[0], peer.address[1]))
            for peer in self._community.get_peers()
        ]
