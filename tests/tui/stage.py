"""Opens the interface on a double, waits for what should happen, and reads what is on the screen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual._compositor import LayoutUpdate
from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.double import TOKEN, NodeDouble
from tests.tui.story import NOW
from tui.app import CounterfoilApp
from tui.feed import Pace
from tui.state import ALL

SMALL, LARGE = (80, 24), (120, 40)
QUICK = Pace(back_off=(0.01,), gather=0.0)
# So long nothing that a test waits for can take; it fails then.
PATIENCE = 60


class Stage:
    """One open interface."""

    def __init__(self, app: CounterfoilApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until `happened` says so."""
        async with asyncio.timeout(PATIENCE):
            while not happened():
                await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys and let them take effect."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until_shown(self, *words: str) -> None:
        """Wait until all these words are on the screen."""
        await self.until(lambda: all(each in self.text for each in words))

    async def until_gone(self, words: str) -> None:
        """Wait until these words are not on the screen."""
        await self.until(lambda: words not in self.text)

    async def until_screen(self, kind: type[Screen[object]]) -> None:
        """Wait until a screen of this kind is on top."""
        await self.until(lambda: isinstance(self.app.screen, kind))

    @property
    def text(self) -> str:
        """What a person reads, line by line: the very cells that would go to the terminal.

        Taken where the toolkit takes its screenshots from. A screenshot is twenty times as slow to make and to read,
        and tests look at the screen again and again.
        """
        drawn = self.app.screen._compositor.render_update(full=True, screen_stack=self.app._background_screens)
        assert isinstance(drawn, LayoutUpdate)
        lines = ("".join(strip.text for strip in line) for line in drawn.strips)
        return "\n".join(line.replace("\xa0", " ").rstrip() for line in lines)


@asynccontextmanager
async def opened(
    node: NodeDouble, size: tuple[int, int] = SMALL, pace: Pace = QUICK, now: Callable[[], int] = lambda: NOW
) -> AsyncIterator[Stage]:
    """The interface on this double; ready when it has fetched all lists."""
    app = CounterfoilApp(node.url, TOKEN, pace=pace, now=now)
    async with app.run_test(size=size, notifications=True) as pilot:
        stage = Stage(app, pilot)
        await stage.until(lambda: node.listeners and app.state.loaded | set(app.state.troubles) >= expected(app))
        await stage.pilot.pause()
        yield stage


def expected(app: CounterfoilApp) -> frozenset[str]:
    """The lists that are to be fetched: without a commons the status alone."""
    return ALL if app.state.joined else frozenset({"status"})
