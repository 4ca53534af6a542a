"""What the node tells its interfaces as it happens: bounded queues, one per listener."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from overlay.clock import Clock
from overlay.node.wire import Event

# A listener that falls this far behind is let go: it connects again and fetches everything, and so misses nothing.
MAX_WAITING = 256
MAX_LISTENERS = 32
RECENT = 50


class TooManyListeners(Exception):
    """More interfaces listen than a member has screens."""


class EventBus:
    """Publish from the event loop; listen with `subscribe`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self.recent: list[Event] = []

    def publish(self, topic: str, sentence: str, about: str = "") -> None:
        """Tell everyone who listens; `topic` is one of Event's topics."""
        event = Event(topic, sentence, about, self._clock.now())  # type: ignore[arg-type]
        self.recent = [*self.recent[-RECENT + 1 :], event]
        for waiting in list(self._queues):
            if waiting.full():
                self._queues.discard(waiting)
                waiting.get_nowait()
                waiting.put_nowait(None)
            else:
                waiting.put_nowait(event)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Event | None]]:
        """A queue that receives every event while the block runs; None ends it. Raises TooManyListeners."""
        if len(self._queues) >= MAX_LISTENERS:
            raise TooManyListeners(f"{MAX_LISTENERS} listeners are connected already")
        waiting: asyncio.Queue[Event | None] = asyncio.Queue(MAX_WAITING)
        self._queues.add(waiting)
        try:
            yield waiting
        finally:
            self._queues.discard(waiting)
