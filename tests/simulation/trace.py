"""What happened in a simulation, in order: a running hash of everything, and the last events in words."""

import hashlib
from collections import deque

from tests.simulation.virtual_time import VirtualLoop

# The last events that a failing seed prints.
KEPT = 60


class Trace:
    """Nothing that differs between two runs of one seed may be told to it: no paths, no real time, no ids."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop, self._digest = loop, hashlib.sha256()
        self.last: deque[str] = deque(maxlen=KEPT)
        self.count = 0

    def tell(self, who: str, what: str) -> None:
        line = f"{self._loop.time():11.6f} {who:<9} {what}"
        self._digest.update(line.encode() + b"\n")
        self.last.append(line)
        self.count += 1

    def digest(self) -> str:
        return self._digest.hexdigest()
