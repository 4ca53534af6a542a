"""Token buckets, and what each kind of traffic is granted: cheap refusals come before work that costs.

A bucket holds at most `burst` tokens and gains `per_second` of them; what finds it empty is dropped and counted.
Somebody with more addresses than `MAX_BUCKETS` gets fresh buckets, so every rate for strangers stands beside one for
all strangers together; members whose address is proven are never counted among strangers.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from overlay.clock import Clock

K = TypeVar("K", bound=Hashable)

# One bucket is a dict entry of about 200 bytes: 4,096 of each kind are 0.8 MB.
MAX_BUCKETS = 4_096


@dataclass(frozen=True, slots=True)
class Rate:
    """So many per second in the long run, and so many at once."""

    per_second: float
    burst: float


# Datagrams of one host from which no member is proven. A handshake takes 6, an introduction 2; a household of ten
# that starts at once sends 10 x 8 in the first second.
STRANGER_HOST = Rate(50, 400)
# Datagrams of all such hosts. One that is dropped further on costs up to 20 us: 5,000/s are a tenth of a core.
ALL_STRANGERS = Rate(5_000, 10_000)
# Datagrams with which strangers begin handshakes, two or three each. A handshake costs 3 ms of processor: 100/2.5
# a second are an eighth of a core. Two hundred are enough for a hall full of newcomers behind one router.
HOST_HANDSHAKES = Rate(20, 200)
ALL_HANDSHAKES = Rate(100, 400)
# Introductions. One costs a check and a signature, 0.2 ms: 200/s are a twenty-fifth of a core. Members ask each peer
# less than twice a second.
HOST_INTRODUCTIONS = Rate(10, 60)
ALL_INTRODUCTIONS = Rate(200, 400)
MEMBER_INTRODUCTIONS = Rate(5, 20)
# Requests to send a datagram through one's own router to somebody else; only members' proven addresses may ask.
PUNCTURES = Rate(5, 20)
# Greetings of one member that are answered with where others are, and not with a sign of life alone. To find the
# nearest among 2,000 that are online costs 2 ms: 5/s are a hundredth of a core.
MEMBER_HELLOS = Rate(5, 20)
# Members for whom one member may have others open the way. It seeks one of them now and then; what it asks for beyond
# that would use up what they grant us for all.
WAYS = Rate(1, 10)
# Blocks that come unasked. One costs a signature check and a transaction, 0.2 ms: 500/s are a tenth of a core. What is
# dropped comes with the next comparison of heads.
MEMBER_GOSSIP = Rate(50, 400)
ALL_GOSSIP = Rate(500, 2_000)
# Datagrams of gossip that we send: 2,000/s of at most 1,464 bytes are 3 MB/s.
OWN_GOSSIP = Rate(2_000, 4_000)
# Requests on streams. Most cost under 1 ms: 100/s are a tenth of a core for one member that does nothing else.
MEMBER_REQUESTS = Rate(100, 400)
# A stranger asks whether we are there, and to be let in. One costs a read of the database, 0.1 ms: 100/s are a
# hundredth of a core.
HOST_REQUESTS = Rate(20, 200)
ALL_STRANGER_REQUESTS = Rate(100, 400)
# Announcements on the local network, three at a start and then one in 20 s from each node: a machine may run ten, and a
# hall hold a hundred.
LAN_HOST = Rate(2, 30)
LAN_ANNOUNCEMENTS = Rate(20, 300)


class Buckets(Generic[K]):
    """One bucket per key, the least recently used making way."""

    def __init__(self, clock: Clock, rate: Rate, most: int = MAX_BUCKETS) -> None:
        self._clock, self._rate, self._most = clock, rate, most
        self._levels: dict[K, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: K, count: float = 1.0) -> bool:
        """Whether `key` may have `count` now; if so they are gone."""
        now = self._clock.monotonic()
        level, since = self._levels.pop(key, (self._rate.burst, now))
        level = min(self._rate.burst, level + max(0.0, now - since) * self._rate.per_second)
        is_granted = level >= count
        self._levels[key] = (level - count if is_granted else level, now)
        if len(self._levels) > self._most:
            del self._levels[next(iter(self._levels))]
        return is_granted


class Allowance(Generic[K]):
    """A rate per key and one for all keys together: whoever exceeds his own takes nothing of the others'."""

    def __init__(self, clock: Clock, each: Rate, together: Rate) -> None:
        self._each: Buckets[K] = Buckets(clock, each)
        self._together: Buckets[None] = Buckets(clock, together, 1)

    def take(self, key: K) -> bool:
        return self._each.take(key) and self._together.take(None)
