"""Whose turn it is to coordinate a payment, and how long to wait after an attempt that came to nothing."""

from dataclasses import dataclass

from overlay.clock import Clock
from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.proposals import Payment
from overlay.keys import PublicKey

# The proposer's node begins at once; each other member's waits this much longer, by its place in the charter.
TURN_SECONDS = 4.0
# A payment that waits so long to be mined is made again, if the fees have risen: three Bitcoin blocks.
BUMP_SECONDS = 1_800.0
# After an attempt that came to nothing; each further wait is twice as long, up to the last.
FIRST_WAIT, LAST_WAIT = 1.0, 64.0


@dataclass(slots=True)
class _Wait:
    seconds: float
    until: float


class Turns:
    """One node's memory of when it saw what decided, and of what it tried; a restart begins anew."""

    def __init__(self, clock: Clock, me: PublicKey) -> None:
        self._clock, self._me = clock, me
        self._decided: dict[bytes, float] = {}
        self._sent: dict[bytes, float] = {}
        self._waits: dict[bytes, _Wait] = {}

    def is_of_others(self, group: Charter, asked: Payment) -> bool:
        """Whether another member's node has yet to try."""
        now = self._clock.monotonic()
        since = self._decided.setdefault(asked.id, now)
        order = sorted(group.members, key=lambda member: (member != asked.proposer, group.members.index(member)))
        return now - since < order.index(self._me) * TURN_SECONDS

    def is_waiting(self, asked: Payment) -> bool:
        """Whether the last attempt is too short ago for another."""
        wait = self._waits.get(asked.id)
        return wait is not None and self._clock.monotonic() < wait.until

    def wait(self, asked: Payment) -> None:
        """An attempt has come to nothing."""
        last = self._waits.get(asked.id)
        seconds = FIRST_WAIT if last is None else min(2 * last.seconds, LAST_WAIT)
        self._waits[asked.id] = _Wait(seconds, self._clock.monotonic() + seconds)

    def is_overdue(self, asked: Payment) -> bool:
        """Whether a payment that is on its way has been so for long."""
        now = self._clock.monotonic()
        return now - self._sent.setdefault(asked.id, now) >= BUMP_SECONDS
