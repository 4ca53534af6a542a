"""A peer that does not keep to the protocol: a connection of the same library, driven by hand, with forged parts."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aioquic._buffer import Buffer
from aioquic.buffer import encode_uint_var
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicNetworkPath
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import Epoch
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from overlay.keys import Identity, PublicKey
from overlay.network.quic_certificate import signing_key
from overlay.network.quic_connection import MemberConnection, configure
from overlay.network.quic_errors import Address
from overlay.network.quic_limits import CONNECTION_ID_BYTES, StreamLimits
from overlay.network.quic_reset import Resets
from tests.network.streams_world import COMMONS, Internet, LoopClock, Member, SeededRandom, address, identity, until

PROTOCOL = f"counterfoil/1/{COMMONS.hex()}"


class RogueConnection(MemberConnection):
    """Puts `frames`, whatever they are, each into a packet of its own."""

    def __init__(self, configuration: QuicConfiguration, **server_ids: bytes) -> None:
        clock, random = LoopClock(), SeededRandom(0)
        resets = Resets(identity("rogue"), COMMONS, clock, random)
        super().__init__(configuration, StreamLimits(), resets, **server_ids)
        self.frames: list[bytes] = []

    def _write_application(self, builder: QuicPacketBuilder, path: QuicNetworkPath, now: float) -> None:
        while self.frames and self._handshake_complete:
            frame = Buffer(data=self.frames.pop(0))
            builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[Epoch.ONE_RTT])
            body = builder.start_frame(frame.pull_uint_var(), capacity=1)
            body.push_bytes(frame.data_slice(frame.tell(), frame.capacity))
        super()._write_application(builder, path, now)


@dataclass
class Rogue:
    """A rogue at an address: it answers and asks by hand."""

    internet: Internet
    number: int
    connection: QuicConnection
    heard: list[events.QuicEvent] = field(default_factory=list)
    received: list[tuple[Address, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.where = address(self.number)
        self._timer: asyncio.TimerHandle | None = None
        self._send = self.internet.sender(self.where)
        self.internet.receivers[self.where] = self.receive

    def connect(self, target: Address) -> None:
        self.connection.connect(target, now=asyncio.get_running_loop().time())
        self.flush()

    def receive(self, source: Address, datagram: bytes) -> None:
        self.received.append((source, datagram))
        self.connection.receive_datagram(datagram, source, now=asyncio.get_running_loop().time())
        self.flush()

    def flush(self) -> None:
        now = asyncio.get_running_loop().time()
        while (event := self.connection.next_event()) is not None:
            self.heard.append(event)
        for datagram, target in self.connection.datagrams_to_send(now=now):
            self._send(target, datagram)
        if self._timer is not None:
            self._timer.cancel()
        due = self.connection.get_timer()
        if due is not None and not self.is_over:
            self._timer = asyncio.get_running_loop().call_later(max(0.001, due - now), self._tick)

    def _tick(self) -> None:
        self.connection.handle_timer(now=asyncio.get_running_loop().time())
        self.flush()

    @property
    def is_over(self) -> bool:
        return self.connection._close_event is not None

    @property
    def is_through(self) -> bool:
        """Whether the handshake is confirmed by the other end."""
        return self.connection._handshake_confirmed


def rogue_configuration(who: Identity, *, is_client: bool = True) -> QuicConfiguration:
    return configure(who, PROTOCOL, StreamLimits(), is_client=is_client)


def rogue_client(internet: Internet, number: int = 9, who: Identity | None = None) -> tuple[Rogue, RogueConnection]:
    connection = RogueConnection(rogue_configuration(who or identity("rogue")))
    return Rogue(internet, number, connection), connection


class RogueServer:
    """Waits for a first datagram, then answers it with a connection of the given kind."""

    def __init__(
        self, internet: Internet, number: int, who: Identity, kind: type[RogueConnection] = RogueConnection
    ) -> None:
        self._internet = internet
        self._number = number
        self._who = who
        self._kind = kind
        self.rogue: Rogue | None = None
        internet.receivers[address(number)] = self._first

    def _first(self, source: Address, datagram: bytes) -> None:
        header = pull_quic_header(Buffer(data=datagram), host_cid_length=CONNECTION_ID_BYTES)
        configuration = rogue_configuration(self._who, is_client=False)
        connection = self._kind(configuration, original_destination_connection_id=header.destination_cid)
        self.rogue = Rogue(self._internet, self._number, connection)
        self.rogue.receive(source, datagram)


def forged_certificate(public_half: bytes, signer: Identity, names: list[x509.NameAttribute[str]]) -> x509.Certificate:
    """A certificate that states any Ed25519 half and any subject, signed by somebody."""
    name = x509.Name(names)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=Ed25519PublicKey.from_public_bytes(public_half),
        serial_number=7,
        not_valid_before=datetime(2000, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2001, 1, 1, tzinfo=UTC),
    )
    key: Ed25519PrivateKey = signing_key(signer)
    return builder.sign(key, None)


def common_name(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


def claimed(key: PublicKey, signer: Identity) -> x509.Certificate:
    """A certificate that states another member's whole key."""
    return forged_certificate(key[42:], signer, [common_name(key[10:42].hex())])


def stream_frame(stream_id: int, data: bytes, *, end: bool = False, offset: int = 0) -> bytes:
    """A STREAM frame (RFC 9000 section 19.8) with offset and length."""
    kind = 0x0E | int(end)
    return bytes([kind]) + b"".join(map(encode_uint_var, (stream_id, offset, len(data)))) + data


async def let_in(internet: Internet, target: Member) -> tuple[Rogue, RogueConnection]:
    rogue, connection = rogue_client(internet)
    rogue.connect(target.where)
    await until(lambda: rogue.is_through)
    return rogue, connection
