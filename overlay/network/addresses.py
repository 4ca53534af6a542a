"""Where members may be: what a handshake has proven, what our own user said, what strangers claim.

IPv8's signed packets carry neither nonce nor recipient, so whoever overheard one can send it again from elsewhere and
so claim that its author is there. A claim is therefore worth one try: it waits in a small place of its own, can push
out nothing that is proven or given, and is not believed again for a while after it failed.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from overlay.clock import Clock
from overlay.keys import PublicKey
from overlay.network.endpoint import Address

# Untried claims about one member. A claim stays until it was tried or is old, so liars cannot wash out an honest one;
# they can only fill the places first, until the next search has tried them all.
MAX_CLAIMS = 4
CLAIM_SECONDS = 60.0
# What the user said and what was proven before: home, work, the telephone, the one before.
MAX_GIVEN = 4
MAX_PAST = 2
# Claims that failed, of all members together, and how long each is not believed again: 1,024 x 200 bytes.
MAX_FAILED = 1_024
FAILED_SECONDS = 60.0
# Keys that belong to nobody we know: newcomers whose admission has not reached us, and liars. The oldest makes way.
MAX_STRANGERS = 64


@dataclass(slots=True)
class Places:
    """What is known of one key. `heard_at` is when the proven address last answered or asked."""

    proven: Address | None = None
    heard_at: float = 0.0
    lan: Address | None = None
    past: list[Address] = field(default_factory=list)
    given: list[Address] = field(default_factory=list)
    claims: dict[Address, float] = field(default_factory=dict)

    def all(self) -> list[Address]:
        """Every address worth a try, the most believable first, each once."""
        proven = [] if self.proven is None else [self.proven]
        return list(dict.fromkeys([*proven, *self.given, *self.past, *self.claims]))


class AddressBook:
    """The addresses of members, and of a bounded number of strangers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[PublicKey, Places] = {}
        self._strangers: dict[PublicKey, None] = {}
        self._at: dict[Address, PublicKey] = {}
        self._failed: dict[tuple[PublicKey, Address], float] = {}

    def __len__(self) -> int:
        return len(self._places)

    def of(self, peer: PublicKey) -> Places:
        """What is known of one key; nothing for an unknown one."""
        return self._places.get(peer) or Places()

    def at(self, address: Address) -> PublicKey | None:
        """Who is proven to be at an address."""
        return self._at.get(address)

    def proven(self) -> Iterator[tuple[PublicKey, Address]]:
        """Everyone with a proven address."""
        for peer, places in self._places.items():
            if places.proven is not None:
                yield peer, places.proven

    def known(self) -> list[PublicKey]:
        """Everyone with any address, those with a proven one first."""
        return sorted(self._places, key=lambda peer: self._places[peer].proven is None)

    def give(self, peer: PublicKey, address: Address) -> None:
        """Our own user, or our own memory, says that `peer` may be there."""
        given = self._open(peer, is_member=True).given
        if address not in given:
            given.insert(0, address)
            del given[MAX_GIVEN:]

    def claim(self, peer: PublicKey, address: Address, *, is_member: bool) -> bool:
        """Somebody says that `peer` is there. Whether that is news worth trying."""
        now, places = self._clock.monotonic(), self._open(peer, is_member)
        if address in places.all() or self._has_failed(peer, address, now):
            return False
        if len(places.claims) >= MAX_CLAIMS:
            oldest = next(iter(places.claims))
            if now - places.claims[oldest] < CLAIM_SECONDS:
                return False
            del places.claims[oldest]
        places.claims[address] = now
        return True

    def prove(self, peer: PublicKey, address: Address, *, is_member: bool) -> bool:
        """A handshake has shown that `peer` is there. Whether that is another place than before."""
        places = self._open(peer, is_member)
        places.heard_at = self._clock.monotonic()
        places.claims.pop(address, None)
        self._failed.pop((peer, address), None)
        if places.proven == address:
            return False
        self._unprove(places)
        if address in places.past:
            places.past.remove(address)
        self._move_out(address)
        places.proven, self._at[address] = address, peer
        return True

    def fail(self, peer: PublicKey, address: Address) -> None:
        """`peer` was not found there. What was given or proven before stays worth a try; a claim does not."""
        places = self.of(peer)
        if places.proven == address:
            self._unprove(places)
        if places.claims.pop(address, None) is not None:
            self._failed[peer, address] = self._clock.monotonic()
            while len(self._failed) > MAX_FAILED:
                del self._failed[next(iter(self._failed))]

    def doubt(self, peer: PublicKey) -> None:
        """`peer` did not answer where it was proven to be: knock before asking again."""
        self.of(peer).heard_at = float("-inf")

    def _open(self, peer: PublicKey, is_member: bool) -> Places:
        """The places of `peer`, made when new. Strangers beyond the limit are forgotten, the oldest first."""
        if is_member:
            self._strangers.pop(peer, None)
        elif peer not in self._places or peer in self._strangers:
            self._strangers.pop(peer, None)
            self._strangers[peer] = None
            while len(self._strangers) > MAX_STRANGERS:
                self._forget(next(iter(self._strangers)))
        return self._places.setdefault(peer, Places())

    def _forget(self, peer: PublicKey) -> None:
        del self._strangers[peer]
        places = self._places.pop(peer, None)
        if places is not None and places.proven is not None:
            self._at.pop(places.proven, None)

    def _unprove(self, places: Places) -> None:
        if places.proven is not None:
            self._at.pop(places.proven, None)
            places.past = [places.proven, *places.past][:MAX_PAST]
            places.proven = None

    def _move_out(self, address: Address) -> None:
        """Whoever was proven to be at an address that another has taken over is there no more."""
        before = self._at.get(address)
        if before is not None:
            self._unprove(self.of(before))

    def _has_failed(self, peer: PublicKey, address: Address, now: float) -> bool:
        failed = self._failed.get((peer, address))
        return failed is not None and now - failed < FAILED_SECONDS


def is_numeric(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_reachable(address: Address) -> bool:
    """Whether a datagram may be sent there at all: a numeric IPv4 address of one host, and a port."""
    host, port = address
    try:
        parsed = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return 1 <= port <= 65_535 and not (parsed.is_multicast or parsed.is_unspecified or parsed.is_reserved)
