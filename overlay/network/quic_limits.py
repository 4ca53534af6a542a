"""Limits of the request streams. Each is an anti-abuse parameter, with its arithmetic beside it."""

from dataclasses import dataclass

# The largest QUIC datagram. Nothing discovers the path's MTU for us, so it must fit the narrowest link that members
# commonly have: a WireGuard tunnel of 1,420 bytes, less IPv6 (40), UDP (8), and the prefix (22) and message type (1)
# that IPv8 puts in front. 1,420 - 40 - 8 - 23 = 1,349; with the 23 in front that is 1,372, below the 1,472 at which
# the IPv8 endpoint stops being safe on Ethernet.
IPV8_HEADER_BYTES = 23
QUIC_DATAGRAM_BYTES = 1420 - 40 - 8 - IPV8_HEADER_BYTES

# An incoming datagram cannot be larger than what UDP over Ethernet carries unfragmented, less the IPv8 header.
LARGEST_DATAGRAM_BYTES = 1472 - IPV8_HEADER_BYTES

# Eight random bytes: connection ids of 2^6 links collide once in 2^52 tries.
CONNECTION_ID_BYTES = 8

# RFC 9000 section 14.1: a server ignores a first datagram that is smaller, so nobody is answered with more than three
# times what he sent.
SMALLEST_INITIAL_BYTES = 1200

# What an unproven peer may send in all before its certificate is checked. A handshake is two datagrams from the client
# and two from the server; sixteen times that leaves room for retransmission on a bad line. It also bounds what the TLS
# layer can be made to buffer, which by its own 24-bit lengths would be 16 MiB.
HANDSHAKE_BYTES = 16 * 2 * QUIC_DATAGRAM_BYTES

# QUIC's variable-length integers end here, so no code and no size is larger.
LARGEST_VARINT = 2**62 - 1


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one node grants to its peers, all sizes in bytes, all times in seconds.

    The worst case that authenticated attackers can make a node hold is
    `connections` x `connection_window` (32 MiB, received and not yet read)
    + `served` x `outbox_bytes` (16 MiB, sent and not yet acknowledged)
    + `held_bytes` (16 MiB, whole requests and answers) = 64 MiB.
    """

    # A node talks with 20 to 30 peers; idle connections make way for new ones.
    connections: int = 32
    # Of those, kept free of newcomers, so that strangers cannot keep this node from asking its own questions.
    kept_for_own: int = 8
    # Members behind one household or office router share its address.
    connections_per_host: int = 8
    # Above this many unfinished handshakes, newcomers must first prove their address with a Retry (RFC 9000 8.1.2).
    half_open_before_retry: int = 4
    # The oldest unfinished handshake makes way for a newer one: an honest one takes milliseconds.
    half_open: int = 16

    # Requests that one peer may have open at once on one connection; later ones queue at the peer.
    streams_per_connection: int = 32
    # Requests being answered at once, all peers together; and those of one host, so that one cannot take all places.
    served: int = 128
    served_per_host: int = 64

    # A whole request or a whole answer held in memory. Larger things are streamed.
    request_bytes: int = 1 << 20
    answer_bytes: int = 8 << 20
    # Whole requests and answers held for peers: for one peer, and for all of them.
    held_bytes_per_peer: int = 8 << 20
    held_bytes: int = 16 << 20

    # How far a sender may run ahead of the reader: on one stream, and on all streams of a connection.
    # Four stuck readers leave no window for a fifth stream. 256 KiB per 50 ms round trip is 5 MB/s.
    stream_window: int = 256 << 10
    connection_window: int = 1 << 20
    # What waits in one stream to be sent or acknowledged before its writer pauses.
    outbox_bytes: int = 128 << 10

    handshake_seconds: float = 10.0
    # Silence after which the other end is taken for gone. While a request is open, pings at a third of it keep the
    # connection alive, so only a dead peer is silent for so long.
    idle_seconds: float = 30.0
    # A request or an answer on its way must move by `stall_bytes` in every `stall_seconds`, or it is given up. The
    # worst honest case: 32 streams share a line that loses one datagram in ten and so carries some 16 kB/s, 15 kB each.
    stall_seconds: float = 30.0
    stall_bytes: int = 4 << 10
