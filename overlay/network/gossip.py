"""New blocks sent unasked: to a few members at once, and from members whose address is proven only."""

from collections.abc import Callable, Iterable

from overlay.clock import Clock
from overlay.network.endpoint import Address
from overlay.network.rates import ALL_GOSSIP, MEMBER_GOSSIP, OWN_GOSSIP, Allowance, Buckets
from overlay.network.whereabouts import Whereabouts
from overlay.trustchain.block import BlockHash, HalfBlock, MalformedBlock, unpack

# A new block goes straight to this many peers; the others get it by comparing heads.
FANOUT = 16
# Blocks that are remembered so as not to be looked at twice: 2,048 x 100 bytes.
MAX_REMEMBERED = 2_048


class Gossip:
    """`send` sends one datagram; `on_block` takes members' blocks, whose signatures nobody has checked yet."""

    def __init__(
        self,
        clock: Clock,
        whereabouts: Whereabouts,
        send: Callable[[Address, bytes], None],
        on_block: Callable[[HalfBlock], None],
        count_drop: Callable[[str], None],
    ) -> None:
        self._whereabouts, self._send, self._on_block = whereabouts, send, on_block
        self._count_drop = count_drop
        self._remembered: dict[BlockHash, None] = {}
        self._incoming: Allowance[Address] = Allowance(clock, MEMBER_GOSSIP, ALL_GOSSIP)
        self._outgoing: Buckets[None] = Buckets(clock, OWN_GOSSIP, 1)

    def tell(self, found: Iterable[HalfBlock]) -> None:
        """Send blocks to some members, each in one datagram; what is lost comes with the next heads."""
        receivers = [address for _, address in self._whereabouts.some_online(FANOUT)]
        for block in found if receivers else ():
            raw = block.pack()
            for address in receivers:
                if self._outgoing.take(None):
                    self._send(address, raw)
                else:
                    self._count_drop("gossip of our own that was too much")

    def receive(self, address: Address, datagram: bytes) -> None:
        """Take in a datagram from anyone. Never raises; what is dropped is counted by its reason."""
        reason = self._hear(address, datagram)
        if reason is not None:
            self._count_drop(reason)

    def _hear(self, address: Address, datagram: bytes) -> str | None:
        """Hand on one block; why it is dropped, None when it is not. Cheap checks come first."""
        if not self._whereabouts.is_proven(address):
            return "gossip from nobody proven"
        if not self._incoming.take(address):
            return "too much gossip"
        try:
            block = unpack(datagram)
        except MalformedBlock:
            return "gossip that is no block"
        if block.hash in self._remembered:
            return "gossip heard before"
        if not self._whereabouts.is_member(block.public_key):
            return "gossip of a stranger's block"
        self._remembered[block.hash] = None
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._on_block(block)
        return None
