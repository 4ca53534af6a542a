"""Time and chance, injected: nothing below `overlay/node` reads a clock, draws a random number or sleeps by itself.

A whole network of real nodes then runs in one process on virtual time, and one seed gives one trace.
"""

import asyncio
import os
import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the code knows of time."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch. It may jump; it is shown to people and bounds promises."""

    def monotonic(self) -> float:
        """Seconds that only grow, for rates and timeouts."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Randomness(Protocol):
    """What the rest of the code knows of chance."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes that nobody can predict."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemRandomness:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)
