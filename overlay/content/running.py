"""Fetches on their way: each content once, however many callers wait for it."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from overlay.clock import Clock
from overlay.content.errors import ContentError, FetchTimeout
from overlay.content.fetching import Fetch
from overlay.content.waiting import within


class Running:
    """A fetch and how many callers wait for it; when the last one leaves, it stops and keeps what it has."""

    def __init__(self, fetch: Fetch, clock: Clock, work: Coroutine[Any, Any, Path]) -> None:
        self.fetch = fetch
        self.task = asyncio.ensure_future(work)
        self._clock = clock
        self._waiters = 0

    async def arrival(self, timeout: float) -> Path:
        """The complete file. Raises FetchTimeout, and whatever else ended the fetch."""
        self._waiters += 1
        try:
            in_time = await within(self._clock, self.task, timeout)
        finally:
            self._waiters -= 1
            if not self._waiters:
                await self.stop()
        infohash = self.fetch.stated[0]
        if not in_time:
            raise FetchTimeout(infohash, f"it did not arrive within {timeout:g} seconds; what did arrive is kept")
        if self.task.cancelled():
            raise ContentError(infohash, "the fetch was stopped; what did arrive is kept")
        return self.task.result()

    async def stop(self) -> None:
        """Cancel, and wait until what has arrived is kept."""
        self.task.cancel()
        await asyncio.wait({self.task})
