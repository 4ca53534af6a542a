"""All connections of one node: which datagram belongs to which, who may come in, who makes way."""

from collections import Counter
from functools import partial

from aioquic.quic.packet import QuicHeader

from overlay.clock import Clock, Randomness
from overlay.keys import Identity, PublicKey
from overlay.network.quic_connection import MemberConnection, configure
from overlay.network.quic_door import Door, Dropped, parse_header
from overlay.network.quic_errors import Address, Failure, NoConnectionLeft, PeerUnreachable, StreamsClosed
from overlay.network.quic_limits import CONNECTION_ID_BYTES, LARGEST_DATAGRAM_BYTES, StreamLimits
from overlay.network.quic_link import LONG_HEADER, Link
from overlay.network.quic_pump import Send
from overlay.network.quic_reset import Resets
from overlay.network.quic_serving import Desk
from overlay.network.quic_stream import Stream

# A connection that was heard so recently is alive, even if its peer is proven to be elsewhere too.
HEARD_SECONDS = 2.0

_STILLBORN = partial(PeerUnreachable, reason="its first datagram is not a handshake")
_MOVED = partial(PeerUnreachable, reason="the member is at another address now")
_EVICTED = partial(PeerUnreachable, reason="the connection made way for another")


class Links:
    """The connections, found by connection id (datagrams), and by member and address (requests)."""

    def __init__(
        self,
        identity: Identity,
        commons: bytes,
        *,
        send: Send,
        clock: Clock,
        random: Randomness,
        desk: Desk,
        limits: StreamLimits,
    ) -> None:
        self.drops: Counter[str] = Counter()
        protocol = f"counterfoil/1/{commons.hex()}"
        self._as_client = configure(identity, protocol, limits, is_client=True)
        self._as_server = configure(identity, protocol, limits, is_client=False)
        self._resets = Resets(identity, commons, clock, random)
        self._door = Door(send, clock, random, limits)
        self._send = send
        self._clock = clock
        self._desk = desk
        self._limits = limits
        self._links: dict[Link, None] = {}  # A set that keeps its order: the oldest first.
        self._by_id: dict[bytes, Link] = {}
        self._by_peer: dict[tuple[PublicKey, Address], Link] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._links)

    # Datagrams in

    def receive(self, address: Address, datagram: bytes) -> None:
        """Take in a datagram from anyone. Never raises; what is dropped is counted by its reason."""
        try:
            link = self._find(address, datagram)
        except Dropped as dropped:
            self.drops[dropped.reason] += 1
            return
        reason = link.receive(datagram)
        if link.is_stillborn:
            link.drop(_STILLBORN)
        if reason is not None:
            self.drops[reason] += 1

    def _find(self, address: Address, datagram: bytes) -> Link:
        if self._is_closed or len(datagram) > LARGEST_DATAGRAM_BYTES:
            raise Dropped("closed" if self._is_closed else "too large")
        if datagram and not datagram[0] & LONG_HEADER:
            link = self._by_id.get(datagram[1 : 1 + CONNECTION_ID_BYTES]) or self._find_reset(address, datagram)
            if link is None:
                self._disown(address, datagram)
                raise Dropped("unknown connection")
        else:
            header = parse_header(datagram)
            link = self._by_id.get(header.destination_cid) or self._let_in(header, address, datagram)
        if link.address != address:
            raise Dropped("other address")
        return link

    def _find_reset(self, address: Address, datagram: bytes) -> Link | None:
        """The connection that its peer no longer knows; a reset names it by the token only."""
        here = (link for link in self._links if link.address == address)
        return next((link for link in here if link.connection.is_reset(datagram)), None)

    def _disown(self, address: Address, datagram: bytes) -> None:
        """Tell the sender that the connection is gone, from before a restart perhaps."""
        reset = self._resets.answer(datagram)
        if reset is not None:
            self._send(address, reset)

    def _let_in(self, header: QuicHeader, address: Address, datagram: bytes) -> Link:
        ids = self._door.admit(header, address, len(datagram), self._links)
        self._make_room(self._limits.connections - self._limits.kept_for_own)
        connection = MemberConnection(
            self._as_server,
            self._limits,
            self._resets,
            original_destination_connection_id=ids.original,
            retry_source_connection_id=ids.retry,
        )
        link = self._add(connection, address, expected=None)
        self._by_id[header.destination_cid] = link
        return link

    # Connections out

    async def to(self, peer: PublicKey, address: Address) -> Link:
        """A proven connection to `peer` at `address`, an existing one if there is one.

        Raises PeerUnreachable, WrongPeer, NoConnectionLeft, StreamsClosed.
        """
        if self._is_closed:
            raise StreamsClosed(peer, address)
        link = self._by_peer.get((peer, address)) or self._dial(peer, address)
        await link.handshake()
        if link.failure is not None:
            raise link.failure(peer, address)
        return link

    def retire(self, link: Link) -> None:
        """The peer seems gone: the connection serves no new requests. Those it has may still be answered."""
        for place in [key for key, value in self._by_peer.items() if value is link]:
            del self._by_peer[place]

    def moved(self, peer: PublicKey, address: Address) -> None:
        """`peer` is proven to be at `address`: what it does not answer elsewhere fails at once, not when time is up.

        A connection elsewhere that was heard just before stays: a member may have two ways to us.
        """
        silent_since = self._clock.monotonic() - HEARD_SECONDS
        elsewhere = [link for link in self._links if link.address != address]
        for link in elsewhere:
            is_unproven = link.peer is None and link.expected == peer
            if is_unproven or (link.peer == peer and link.heard_at < silent_since):
                link.end(_MOVED)

    def knows(self, peer: PublicKey, address: Address) -> bool:
        """Whether there is a proven connection for requests to `peer` at `address`."""
        link = self._by_peer.get((peer, address))
        return link is not None and link.peer is not None

    def _dial(self, peer: PublicKey, address: Address) -> Link:
        try:
            self._make_room(self._limits.connections)
        except Dropped as dropped:
            raise NoConnectionLeft(peer, address) from dropped
        link = self._add(MemberConnection(self._as_client, self._limits, self._resets), address, expected=peer)
        self._by_peer[peer, address] = link
        link.connect()
        return link

    # Room

    def _make_room(self, most: int) -> None:
        half_open = [link for link in self._links if link.is_half_open]
        if len(half_open) >= self._limits.half_open:
            half_open[0].drop(_EVICTED)
        if len(self._links) >= most:
            idle = [link for link in self._links if link.is_idle]
            if not idle:
                raise Dropped("all connections are in use")
            min(idle, key=lambda link: link.heard_at).end(_EVICTED)

    def _add(self, connection: MemberConnection, address: Address, expected: PublicKey | None) -> Link:
        link = Link(
            connection,
            address,
            owner=self,
            send=self._send,
            clock=self._clock,
            limits=self._limits,
            expected=expected,
        )
        self._links[link] = None
        self._by_id[connection.host_cid] = link
        return link

    def close(self, failure: Failure) -> None:
        """End all connections, and let none begin."""
        self._is_closed = True
        for link in list(self._links):
            # Nothing more is owed, nor may more be sent, to an address that has proven nothing.
            link.drop(failure) if link.is_half_open else link.end(failure)

    # What links tell their owner

    def link_proven(self, link: Link) -> None:
        """The newest proven connection is the one to use: a peer that restarted comes with a new one."""
        assert link.peer is not None, "a link is proven when its peer is known"
        self._by_peer[link.peer, link.address] = link

    def link_ended(self, link: Link) -> None:
        self._links.pop(link, None)
        for connection_id in [key for key, value in self._by_id.items() if value is link]:
            del self._by_id[connection_id]
        self.retire(link)

    def link_named(self, link: Link, connection_id: bytes, *, is_valid: bool) -> None:
        if is_valid:
            self._by_id[connection_id] = link
        else:
            self._by_id.pop(connection_id, None)

    def request_grew(self, link: Link, stream: Stream) -> None:
        self._desk.request_grew(link, stream)
