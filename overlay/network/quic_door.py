"""Who may begin a connection: cheap checks on a first datagram, before any state is made for it."""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

from aioquic._buffer import Buffer
from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    pull_quic_header,
)

from overlay.clock import Clock, Randomness
from overlay.network.quic_errors import Address
from overlay.network.quic_limits import CONNECTION_ID_BYTES, SMALLEST_INITIAL_BYTES, StreamLimits
from overlay.network.quic_link import Link
from overlay.network.quic_pump import Send

# RFC 9000 section 7.2: a client picks at least 8 unpredictable bytes, and RFC 9000 section 17.2 at most 20.
_SMALLEST_FIRST_ID = 8
_LARGEST_ID = 20

_MAC_BYTES = 16
_TIME_BYTES = 8
# A Retry is answered within a round trip; ten seconds is as long as a handshake may take.
_TOKEN_MILLISECONDS = 10_000


class Dropped(Exception):
    """The datagram is not for us; `reason` is the name under which it is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FirstIds:
    """Connection ids that the handshake must confirm (RFC 9000 section 7.3); `retry` when there was a Retry."""

    original: bytes
    retry: bytes | None


def parse_header(datagram: bytes) -> QuicHeader:
    """The header of the first packet in a datagram; raises Dropped. Only QUIC version 1 is spoken.

    There is no version negotiation: both ends are of this project, and an answer would serve reflection only.
    """
    try:
        header = pull_quic_header(Buffer(data=datagram), host_cid_length=CONNECTION_ID_BYTES)
    except ValueError as error:
        raise Dropped("not a packet") from error
    if header.version not in (None, QuicProtocolVersion.VERSION_1):
        raise Dropped("other version")
    return header


class Door:
    """Admits newcomers. Where many are about, a newcomer must first show that it receives what is sent to its address
    (a Retry, RFC 9000 section 8.1.2): that costs one round trip, and no memory here."""

    def __init__(self, send: Send, clock: Clock, random: Randomness, limits: StreamLimits) -> None:
        self._send = send
        self._clock = clock
        self._random = random
        self._limits = limits
        self._key = random.bytes(32)

    def admit(self, header: QuicHeader, address: Address, size: int, links: Collection[Link]) -> FirstIds:
        """Whether the sender of this first packet may make a connection; raises Dropped if not."""
        _check_first(header, size)
        from_host = sum(link.expected is None and link.address[0] == address[0] for link in links)
        if from_host >= self._limits.connections_per_host:
            raise Dropped("too many connections of one host")
        if header.token:
            return self._redeem(header, address)
        if sum(link.is_half_open for link in links) >= self._limits.half_open_before_retry:
            self._send_retry(header, address)
            raise Dropped("asked to prove its address")
        return FirstIds(header.destination_cid, None)

    def _send_retry(self, header: QuicHeader, address: Address) -> None:
        own_id = self._random.bytes(CONNECTION_ID_BYTES)
        issued = self._clock_bytes()
        original = header.destination_cid
        retry = encode_quic_retry(
            version=QuicProtocolVersion.VERSION_1,
            source_cid=own_id,
            destination_cid=header.source_cid,
            original_destination_cid=original,
            retry_token=self._mac(address, own_id, issued, original) + issued + original,
        )
        self._send(address, retry)

    def _redeem(self, header: QuicHeader, address: Address) -> FirstIds:
        mac, issued, original = _split_token(header.token)
        if not compare_digest(mac, self._mac(address, header.destination_cid, issued, original)):
            raise Dropped("bad token")
        age = int.from_bytes(self._clock_bytes()) - int.from_bytes(issued)
        if age > _TOKEN_MILLISECONDS:
            raise Dropped("old token")
        return FirstIds(original, header.destination_cid)

    def _mac(self, address: Address, own_id: bytes, issued: bytes, original: bytes) -> bytes:
        host = address[0].encode()
        parts = (host, str(address[1]).encode(), own_id, issued, original)
        text = b"".join(len(part).to_bytes(2) + part for part in parts)
        return blake2b(text, digest_size=_MAC_BYTES, key=self._key, person=b"stream retry").digest()

    def _clock_bytes(self) -> bytes:
        return int(self._clock.monotonic() * 1000).to_bytes(_TIME_BYTES)


def _check_first(header: QuicHeader, size: int) -> None:
    if header.packet_type != QuicPacketType.INITIAL:
        raise Dropped("unknown connection")
    if size < SMALLEST_INITIAL_BYTES:
        raise Dropped("first datagram too small")
    if len(header.destination_cid) < _SMALLEST_FIRST_ID:
        raise Dropped("connection id too short")


def _split_token(token: bytes) -> tuple[bytes, bytes, bytes]:
    original = token[_MAC_BYTES + _TIME_BYTES :]
    if not _SMALLEST_FIRST_ID <= len(original) <= _LARGEST_ID:
        raise Dropped("bad token")
    return token[:_MAC_BYTES], token[_MAC_BYTES : _MAC_BYTES + _TIME_BYTES], original
