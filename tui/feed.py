"""The workers that listen and fetch. They post messages and touch nothing else; handlers own all state."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from textual.message import Message

from overlay.node.wire import Event, Tell
from tui.client import NodeClient
from tui.problem import NodeProblem
from tui.state import LISTS

# Seconds to wait before each further try to reconnect; the last stays.
BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# Events are taken up in batches this many seconds apart: ten repaints a second at most, and what a flood has more
# waits in the socket, where the node feels it.
GATHER = 0.1

Post = Callable[[Message], object]


class Connected(Message):
    """The event stream is open: all that was known may be old."""


class Heard(Message):
    """Events arrived."""

    def __init__(self, events: tuple[Event, ...]) -> None:
        super().__init__()
        self.events = events


class Lost(Message):
    """The event stream ended; the next try comes after `wait` seconds."""

    def __init__(self, sentence: str, wait: float) -> None:
        super().__init__()
        self.sentence, self.wait = sentence, wait


class Arrived(Message):
    """A list was fetched."""

    def __init__(self, name: str, answer: Tell) -> None:
        super().__init__()
        self.name, self.answer = name, answer


class Missing(Message):
    """A list could not be fetched."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__()
        self.name, self.sentence = name, sentence


class Fetched(Message):
    """One round of fetching is over."""


@dataclass(frozen=True)
class Pace:
    """How patiently the feed listens, in seconds."""

    back_off: Sequence[float] = BACK_OFF
    gather: float = GATHER


async def listen(client: NodeClient, post: Post, pace: Pace) -> None:
    """Post Connected, then Heard per batch; Lost, and a fresh try, whenever the stream ends. Runs until cancelled."""
    tries = 0
    while True:
        sentence = "The node closed the connection."
        try:
            async with aclosing(client.events()) as batches:
                async for events in batches:
                    tries = 0
                    post(Heard(events) if events else Connected())
                    await asyncio.sleep(pace.gather)
        except NodeProblem as problem:
            sentence = str(problem)
        wait = pace.back_off[min(tries, len(pace.back_off) - 1)]
        tries += 1
        post(Lost(sentence, wait))
        await asyncio.sleep(wait)


async def fetch(client: NodeClient, names: Iterable[str], post: Post) -> None:
    """Fetch these lists side by side; post Arrived or Missing for each, and Fetched at the end."""
    async with asyncio.TaskGroup() as tasks:
        for name in sorted(names):
            tasks.create_task(_fetch_one(client, name, post))
    post(Fetched())


async def _fetch_one(client: NodeClient, name: str, post: Post) -> None:
    path, answer = LISTS[name]
    try:
        post(Arrived(name, await client.read(path, answer)))
    except NodeProblem as problem:
        post(Missing(name, str(problem)))
