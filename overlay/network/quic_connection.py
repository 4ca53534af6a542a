"""A connection where both ends prove a member's key. With `quic_pacing`, all that reaches into aioquic.

What differs from the library's own connection, and why:
- The server asks for the client's certificate. The library knows how, but offers no setting for it. Should a later
  version lose the switch, no certificate arrives and `member()` refuses the peer: it fails closed.
- Only X25519 and Ed25519 are offered: half the handshake's bytes and processor time, and nothing to downgrade to.
- After the handshake no TLS message is accepted. Sessions are never resumed, so there is nothing left to say, and an
  unfinished TLS message may be 16 MiB long.
- Reset tokens survive a restart (`quic_reset`).

0-RTT and session tickets stay off: the library does neither unless it is given a ticket store.
It draws connection ids and TLS randoms from os.urandom and ephemeral keys from OpenSSL. Those change the bytes of a
datagram, never its length or its time, so a simulation's trace of who sent how much when is still reproducible.
"""

import ssl
from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionError, QuicReceiveContext
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicErrorCode, QuicProtocolVersion

from overlay.keys import Identity, PublicKey
from overlay.network.quic_certificate import InvalidCertificate, make_certificate, read_certificate, signing_key
from overlay.network.quic_limits import CONNECTION_ID_BYTES, QUIC_DATAGRAM_BYTES, StreamLimits
from overlay.network.quic_pacing import PacedConnection
from overlay.network.quic_reset import Resets, is_reset

# AES first: processors of members have instructions for it. Both are fine.
_CIPHERS = [tls.CipherSuite.AES_128_GCM_SHA256, tls.CipherSuite.CHACHA20_POLY1305_SHA256]


def configure(identity: Identity, protocol: str, limits: StreamLimits, *, is_client: bool) -> QuicConfiguration:
    """One end's settings; `protocol` is the only application protocol (ALPN) that it speaks."""
    key = signing_key(identity)
    configuration = QuicConfiguration(
        alpn_protocols=[protocol],
        congestion_control_algorithm="cubic",  # RFC 9438: finds its pace again sooner on lines that lose datagrams.
        connection_id_length=CONNECTION_ID_BYTES,
        idle_timeout=limits.idle_seconds,
        is_client=is_client,
        max_data=limits.connection_window,
        max_datagram_size=QUIC_DATAGRAM_BYTES,
        max_stream_data=limits.stream_window,
    )
    configuration.supported_versions = [QuicProtocolVersion.VERSION_1]
    configuration.cipher_suites = _CIPHERS
    configuration.certificate = make_certificate(identity.public_key, key)
    configuration.private_key = key
    # No certificate authority stands above members: `member()` compares the key instead.
    configuration.verify_mode = ssl.CERT_NONE
    return configuration


class MemberConnection(PacedConnection):
    """A QUIC connection between two members. `accepted` counts the packets that proved to be from the other end."""

    def __init__(
        self, configuration: QuicConfiguration, limits: StreamLimits, resets: Resets, **server_ids: Any
    ) -> None:
        super().__init__(configuration, limits, **server_ids)
        if not self._is_client:
            # The library's token is random and so would be lost in a restart. Clients have none for their first id.
            self._host_cids[0].stateless_reset_token = resets.token(self.host_cid)
        self.accepted = 0
        # Nobody migrates, so one spare connection id is plenty.
        self._local_active_connection_id_limit = 2

    # The other end's identity

    def member(self) -> PublicKey:
        """The 74-byte key that the other end proved to hold; call after the handshake. Raises InvalidCertificate."""
        certificate = self.tls._peer_certificate
        if certificate is None:
            raise InvalidCertificate("the peer showed no certificate")
        return read_certificate(certificate)

    def is_reset(self, datagram: bytes) -> bool:
        """Whether the peer says that it no longer knows this connection; the library does not listen for that."""
        return is_reset(datagram, self._peer_cid.stateless_reset_token)

    @property
    def ended(self) -> ConnectionTerminated | None:
        """Why the connection is over, None while it lives."""
        return self._close_event

    # Overridden parts of the library

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._request_client_certificate = not self._is_client
        self.tls._supported_groups = [tls.Group.X25519]
        self.tls._signature_algorithms = [tls.SignatureAlgorithm.ED25519]

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        self.accepted += 1
        return super()._payload_received(context, plain, crypto_frame_required)

    def _handle_crypto_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        if context.epoch == tls.Epoch.ONE_RTT:
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=frame_type,
                reason_phrase="No TLS message is expected after the handshake",
            )
        super()._handle_crypto_frame(context, frame_type, buf)
