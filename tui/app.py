"""The terminal interface of one member, on the REST interface of one node."""

import time
from collections.abc import Callable

from textual.app import App

from tui.actions import Action, Where, bindings
from tui.client import NodeClient
from tui.feed import Arrived, Heard, Lost, Missing, Pace, fetch, listen
from tui.palette import Actions
from tui.screens.base import NodeScreen
from tui.screens.group import GroupScreen
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.people import PeopleScreen
from tui.screens.vouchers import VouchersScreen
from tui.state import ALL, State
from tui.theme import COUNTERFOIL

# Without a commons there is nothing but the status to ask for.
STATUS = frozenset({"status"})
# "5 min ago" is never wrong by more than this many seconds.
CLOCK_TICK = 30


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


class CounterfoilApp(App[None]):
    """Owns the state: workers post what they heard and fetched, the handlers here take it in and have it painted."""

    TITLE = "Counterfoil"
    CSS_PATH = "style.tcss"
    BINDINGS = bindings("anywhere")
    COMMANDS = {Actions}  # noqa: RUF012 - the toolkit declares it so
    MODES = {  # noqa: RUF012
        "home": HomeScreen,
        "vouchers": VouchersScreen,
        "group": GroupScreen,
        "people": PeopleScreen,
    }
    DEFAULT_MODE = "home"

    def __init__(self, url: str, token: str, *, pace: Pace | None = None, now: Callable[[], int] = _wall_clock) -> None:
        super().__init__()
        self.state = State()
        self.now = now
        self.client: NodeClient
        self._address = (url, token)
        self._pace = pace or Pace()
        self._stale: frozenset[str] = frozenset()
        self._fetching = False

    def on_mount(self) -> None:
        self.register_theme(COUNTERFOIL)
        self.theme = COUNTERFOIL.name
        self.client = NodeClient(*self._address)
        self.run_worker(listen(self.client, self.post_message, self._pace), group="listen")
        self.set_interval(CLOCK_TICK, lambda: self._paint(ALL | {"events"}))

    async def on_unmount(self) -> None:
        await self.client.close()

    def on_connected(self) -> None:
        self.state.lost = ""
        self._want(ALL if self.state.joined else STATUS)
        self._paint(frozenset())

    def on_heard(self, message: Heard) -> None:
        stale = self.state.heard(message.events)
        self._want(stale if self.state.joined else STATUS)
        self._paint(frozenset({"events"}))

    def on_lost(self, message: Lost) -> None:
        self.state.lost = f"{message.sentence} Trying again in {message.wait:g} s."
        self._paint(frozenset())

    def on_arrived(self, message: Arrived) -> None:
        joined = self.state.joined
        self.state.put(message.name, message.answer)
        if self.state.joined and not joined:
            self._want(ALL - STATUS)
        self._paint(frozenset({message.name}))

    def on_missing(self, message: Missing) -> None:
        self.state.troubles[message.name] = message.sentence
        self._paint(frozenset())

    def on_fetched(self) -> None:
        self._fetching = False
        self._want(frozenset())

    def _want(self, names: frozenset[str]) -> None:
        """Have these lists fetched; while a round is under way they wait for the next, however often they are named."""
        self._stale |= names
        if self._stale and not self._fetching:
            self._fetching = True
            self.run_worker(fetch(self.client, self._stale, self.post_message), group="fetch")
            self._stale = frozenset()

    def _paint(self, changed: frozenset[str]) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, NodeScreen) and screen.is_mounted:
                screen.paint(changed)

    async def action_go(self, where: Where) -> None:
        """Show one of the four screens."""
        await self.switch_mode(where)

    def action_fetch_all(self) -> None:
        """Fetch every list again."""
        self._want(ALL if self.state.joined else STATUS)

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen())

    async def perform(self, action: Action) -> None:
        """Do what the palette found: on its own screen."""
        if action.where == "anywhere":
            await self.run_action(action.name)
            return
        await self.switch_mode(action.where)
        await self.screen.run_action(action.name)


def run(url: str, token: str) -> None:
    """Run the interface in this terminal until the member leaves it.

    `url` is the node's REST interface without a path ("http://127.0.0.1:8085"), `token` its bearer token.
    """
    CounterfoilApp(url, token).run()
