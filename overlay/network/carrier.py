"""One UDP socket with one community on it: open, send, greet, close. Without the community it does nothing."""

from collections import Counter
from collections.abc import Callable

from ipv8.keyvault.crypto import default_eccrypto
from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address
from ipv8.peer import Peer

from overlay.clock import Clock
from overlay.keys import Identity
from overlay.network.community import CommonsCommunity, CommonsSettings, Guide, NoTables, Receiver
from overlay.network.endpoint import Address, Socket, UdpSocket

Bind = Callable[[str, int], Socket]

ANY_HOST = "0.0.0.0"  # noqa: S104 - compared with, not bound to


class Carrier:
    """What a `Network` sends with, and counts what is dropped."""

    def __init__(
        self,
        identity: Identity,
        commons: bytes,
        clock: Clock,
        guide: Guide,
        on_quic: Receiver,
        on_block: Receiver,
        bind: Bind = UdpSocket,
    ) -> None:
        self._drops: Counter[str] = Counter()
        self._bind = bind
        self._settings = CommonsSettings(
            commons=commons,
            on_quic=on_quic,
            on_block=on_block,
            drops=self._drops,
            clock=clock,
            guide=guide,
            my_peer=Peer(default_eccrypto.key_from_private_bin(identity.secret)),
        )
        self._socket: Socket | None = None
        self._community: CommonsCommunity | None = None

    @property
    def drops(self) -> Counter[str]:
        """Counts of what was dropped, by reason."""
        return self._drops

    async def open(self, host: str, port: int) -> Address:
        """Bind the socket (port 0: any) and start the community; raises PortInUse."""
        endpoint = self._bind(host, port)
        endpoint.drops = self._drops
        await endpoint.open()
        bound = endpoint.get_address()
        self._settings.endpoint = endpoint
        self._settings.my_peer.address = UDPv4Address(*bound)
        self._settings.network = NoTables(self.name)
        self._settings.is_everywhere = host == ANY_HOST
        self._socket, self._community = endpoint, CommonsCommunity(self._settings)
        if host != ANY_HOST:
            # A socket bound to one address is reached there only; IPv8 would tell others the machine's LAN address.
            self._community.my_estimated_lan = self._community.my_estimated_wan = UDPv4Address(*bound)
        return bound

    async def close(self) -> None:
        """Stop receiving and free the port."""
        if self._community is not None:
            await self._community.unload()
            self._community = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, address: Address, message: int, payload: bytes) -> None:
        """Send one datagram, if the socket is open."""
        if self._community is not None:
            self._community.send_message(address, message, payload)

    def greet(self, address: Address) -> None:
        """Ask the node at an address to introduce itself and others."""
        if self._community is not None:
            self._community.greet(address)

    def greet_named(self) -> None:
        """Greet some of those that were named to us."""
        if self._community is not None:
            self._community.greet_named()

    def open_way(self, at: Address, place: Address, lan: Address) -> None:
        """Ask the member at an address to open its router for `place` (`lan`, if they share a local network)."""
        if self._community is not None:
            self._community.open_way(at, place, lan)

    def name(self, address: Address) -> None:
        """Somebody names an address: it is greeted in its turn."""
        if self._community is not None:
            self._community.name(address)
