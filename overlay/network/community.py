"""The IPv8 community of one commons: finds peers, carries datagrams, knows nothing of what is in them.

Introductions (who is where) are IPv8's own messages. Everything of ours rides in two unsigned message types: a QUIC
datagram, and a half-block, which carries its own signature. IPv8 keeps no state here: its signed packets can be
replayed from elsewhere, and its tables grow with whatever strangers say. What it reports is handed on as a claim, and
it introduces only members whose address a QUIC handshake has proven, to members only.
"""

import logging
import struct
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ipv8.community import Community, CommunitySettings
from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address, UDPv4LANAddress
from ipv8.messaging.payload import (
    IntroductionRequestPayload,
    IntroductionResponsePayload,
    NewIntroductionRequestPayload,
    NewIntroductionResponsePayload,
    NewPuncturePayload,
    NewPunctureRequestPayload,
    PuncturePayload,
    PunctureRequestPayload,
)
from ipv8.messaging.payload_headers import GlobalTimeDistributionPayload
from ipv8.peer import Peer
from ipv8.peerdiscovery.network import Network as Introductions

from overlay.clock import Clock
from overlay.keys import PublicKey
from overlay.network.addresses import is_reachable
from overlay.network.endpoint import Address
from overlay.network.rates import (
    ALL_INTRODUCTIONS,
    HOST_INTRODUCTIONS,
    MEMBER_INTRODUCTIONS,
    PUNCTURES,
    Allowance,
    Buckets,
)

log = logging.getLogger(__name__)

Receiver = Callable[[Address, bytes], None]
PREFIX_BYTES = 22
QUIC_MESSAGE = 1
BLOCK_MESSAGE = 2
# A signed packet has the message number, two bytes of length and the key before everything else.
KEY_START, KEY_END = PREFIX_BYTES + 3, PREFIX_BYTES + 3 + 74
# Addresses that were named to us and wait for a greeting: twice as many as a step takes in ten seconds.
MAX_NAMED = 320
GREETINGS_PER_STEP = 8
# Greetings of ours whose answers are still awaited.
MAX_GREETED = 512
GREETING_SECONDS = 30.0

_REQUESTS = (IntroductionRequestPayload.msg_id, NewIntroductionRequestPayload.msg_id)
_RESPONSES = (IntroductionResponsePayload.msg_id, NewIntroductionResponsePayload.msg_id)
_PUNCTURE_REQUESTS = (PunctureRequestPayload.msg_id, NewPunctureRequestPayload.msg_id)
_PUNCTURES = (PuncturePayload.msg_id, NewPuncturePayload.msg_id)
# What IPv8 and its serialiser raise for bytes that are no packet of theirs.
_DISCOVERY_FAULTS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, OSError, struct.error)


class Guide(Protocol):
    """What the community asks of whoever keeps the addresses."""

    def is_member(self, peer: PublicKey) -> bool:
        """Whether a key belongs to the commons, as far as is known."""

    def is_proven(self, address: Address) -> bool:
        """Whether a member is proven to be at an address."""

    def is_loopback(self) -> bool:
        """Whether this node listens to its own machine only."""

    def has_enough(self) -> bool:
        """Whether so many members are online that addresses named to us need no greeting."""

    def claimed(self, peer: PublicKey, address: Address, lan: Address | None) -> None:
        """A packet that `peer` once signed came from an address; `lan` is what it says of its local network."""

    def introducible(self, asker: PublicKey) -> tuple[PublicKey, Address, Address | None] | None:
        """A member to introduce to a member that asks: key, proven address, local address."""


class NoTables(Introductions):
    """IPv8's tables of peers, kept empty: its handlers then judge each packet by itself."""

    def __init__(self, on_named: Callable[[Address], None]) -> None:
        super().__init__()
        self._on_named = on_named

    def discover_address(
        self, peer: Peer, address: Address, service: bytes | None = None, new_style: bool = False
    ) -> None:
        """Somebody whom we asked names an address."""
        self._on_named(address)

    def discover_services(self, peer: Peer, services: object) -> None:
        """There is one service here, and no table of who offers it."""

    def add_verified_peer(self, peer: Peer) -> None:
        """A signature in a packet that can be replayed verifies nobody."""


class CommonsSettings(CommunitySettings):
    """What a community of ours is made with."""

    commons: bytes
    on_quic: Receiver
    on_block: Receiver
    drops: Counter[str]
    clock: Clock
    guide: Guide
    is_everywhere: bool  # the socket is bound to all of the machine's addresses


class CommonsCommunity(Community):
    """Routes the two message types to their receivers; lets IPv8 handle introductions, within limits."""

    settings_class = CommonsSettings

    def __init__(self, settings: CommonsSettings) -> None:
        self.community_id = settings.commons
        self._is_everywhere = settings.is_everywhere
        super().__init__(settings)
        self.my_estimated_wan: Address
        self._drops, self._clock, self._guide = settings.drops, settings.clock, settings.guide
        self._receivers = {QUIC_MESSAGE: settings.on_quic, BLOCK_MESSAGE: settings.on_block}
        self._asker = PublicKey(b"")
        self._named: dict[Address, None] = {}
        self._greeted: dict[Address, float] = {}
        self._of_strangers: Allowance[str] = Allowance(self._clock, HOST_INTRODUCTIONS, ALL_INTRODUCTIONS)
        self._of_members: Buckets[Address] = Buckets(self._clock, MEMBER_INTRODUCTIONS)
        self._punctures: Buckets[Address] = Buckets(self._clock, PUNCTURES)

    async def discover_lan_addresses(self) -> None:
        """IPv8 looks for the machine's addresses in a thread; a socket that is bound to one has no use for others."""
        if self._is_everywhere:
            await super().discover_lan_addresses()

    # What arrives

    def on_packet(self, packet: tuple[Address, bytes], warn_unknown: bool = False) -> None:
        """Take in a datagram of this commons. Never raises; what is dropped is counted by its reason."""
        address, data = packet
        if len(data) <= PREFIX_BYTES:
            self._drops["shorter than a message"] += 1
            return
        receiver = self._receivers.get(data[PREFIX_BYTES])
        if receiver is not None:
            receiver((address[0], address[1]), data[PREFIX_BYTES + 1 :])
        else:
            reason = self._discover(address, data)
            if reason is not None:
                self._drops[reason] += 1

    def _discover(self, address: Address, data: bytes) -> str | None:
        """Handle a message of IPv8's own; returns why it was dropped."""
        message, place = data[PREFIX_BYTES], (address[0], address[1])
        if message in _PUNCTURES:
            return None  # it has opened the way through the router, and says nothing more
        if message not in _REQUESTS + _RESPONSES + _PUNCTURE_REQUESTS:
            return "unknown message"
        reason = self._too_much(message, place)
        if reason is not None:
            return reason
        wan, self._asker = self.my_estimated_wan, PublicKey(data[KEY_START:KEY_END])
        try:
            self.decode_map[message](UDPv4Address(*place), data)
        except _DISCOVERY_FAULTS as fault:
            log.debug("an introduction from %s cannot be read: %s", place, fault)
            return "introduction that cannot be read"
        finally:
            if not self._guide.is_proven(place):
                self.my_estimated_wan = wan  # nobody but members may tell us where we are
        return None

    def _too_much(self, message: int, place: Address) -> str | None:
        """Cheap checks before a signature is looked at."""
        is_proven = self._guide.is_proven(place)
        if message in _RESPONSES and place not in self._greeted:
            return "introduction that nobody asked for"
        if message in _PUNCTURE_REQUESTS:
            return None if is_proven and self._punctures.take(place) else "puncture request of a stranger, or too many"
        granted = self._of_members.take(place) if is_proven else self._of_strangers.take(place[0])
        return None if granted else "too many introductions"

    def introduction_request_callback(
        self, peer: Peer, dist: GlobalTimeDistributionPayload, payload: IntroductionRequestPayload
    ) -> None:
        """IPv8 has answered an introduction request."""
        lan = payload.source_lan_address
        self._heard(peer, (lan[0], lan[1]) if lan else None)

    def introduction_response_callback(
        self, peer: Peer, dist: GlobalTimeDistributionPayload, payload: IntroductionResponsePayload
    ) -> None:
        """Somebody whom we greeted has answered."""
        self._heard(peer, None)

    def _heard(self, peer: Peer, lan: Address | None) -> None:
        source = peer.addresses.get(UDPv4Address)
        if source is not None:
            key = PublicKey(peer.public_key.key_to_bin())
            self._guide.claimed(key, (source[0], source[1]), lan if lan and is_reachable(lan) else None)

    def get_peer_for_introduction(self, exclude: Peer | None = None, new_style: bool = False) -> Peer | None:
        """A proven member for a member that asks; nobody for strangers."""
        found = self._guide.introducible(self._asker)
        if found is None:
            return None
        key, address, lan = found
        peer = Peer(key, UDPv4Address(*address))
        if lan is not None:
            peer.add_address(UDPv4LANAddress(*lan))
        return peer

    # What leaves

    def greet(self, address: Address) -> None:
        """Ask the node at an address to introduce itself and, if we are members, others."""
        self._greeted.pop(address, None)
        self._greeted[address] = self._clock.monotonic()
        while len(self._greeted) > MAX_GREETED or self._is_late(next(iter(self._greeted))):
            del self._greeted[next(iter(self._greeted))]
        self.walk_to(UDPv4Address(*address))

    def greet_named(self) -> None:
        """Greet some of those that were named to us, each once."""
        for address in list(self._named)[:GREETINGS_PER_STEP]:
            del self._named[address]
            self.greet(address)

    def open_way(self, at: Address, place: Address, lan: Address) -> None:
        """Ask the member at one address to send a datagram to another: its router lets that one in from then on."""
        packet = self.create_puncture_request(UDPv4Address(*lan), UDPv4Address(*place), 0)
        self.endpoint.send(UDPv4Address(*at), packet)

    def send_message(self, address: Address, message: int, payload: bytes) -> None:
        """Send one datagram; it may be lost."""
        self.endpoint.send(address, self.get_prefix() + bytes([message]) + payload)

    def name(self, address: Address) -> None:
        """Somebody names an address: it waits for its greeting, unless it is no place or too many wait."""
        place = (address[0], address[1])
        is_foreign = place[0].startswith("127.") and not self._guide.is_loopback()
        if not is_reachable(place) or is_foreign or place == self.endpoint.get_address():
            self._drops["introduction to no place"] += 1
        elif len(self._named) >= MAX_NAMED:
            self._drops["introduction beyond what can be greeted"] += 1
        elif not self._guide.is_proven(place) and not self._guide.has_enough():
            self._named[place] = None

    def _is_late(self, address: Address) -> bool:
        return self._clock.monotonic() - self._greeted[address] > GREETING_SECONDS


__all__ = ["BLOCK_MESSAGE", "QUIC_MESSAGE", "CommonsCommunity", "CommonsSettings", "Guide", "NoTables", "Receiver"]
