"""What all four screens share: the frame, and being painted from the state."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Footer

from tui.actions import Where, of
from tui.state import ALL, State
from tui.widgets.top_bar import Banner, TopBar

if TYPE_CHECKING:
    from tui.app import CounterfoilApp
    from tui.screens.form import Form


class NodeScreen(Screen[None]):
    """A screen that shows a part of the node's state. Painted whole when it appears, by list while it is shown."""

    WHERE: ClassVar[Where]
    # From 100 columns on, what belongs together stands side by side.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - the toolkit declares it so

    def __init__(self) -> None:
        super().__init__()
        self._possible: tuple[bool | None, ...] = ()

    def compose(self) -> ComposeResult:
        yield TopBar(self.WHERE)
        yield Banner()
        with Container(id="body"):
            yield from self.body()
        yield Footer(show_command_palette=False, compact=True)

    @abstractmethod
    def body(self) -> ComposeResult:
        """The widgets between top bar and footer."""

    @abstractmethod
    def paint_lists(self, changed: frozenset[str]) -> None:
        """Show the lists of the state that are named in `changed`."""

    @property
    def counterfoil(self) -> "CounterfoilApp":
        """The app."""
        return cast("CounterfoilApp", self.app)

    @property
    def state(self) -> State:
        """What is known of the node."""
        return self.counterfoil.state

    @property
    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self.counterfoil.now()

    def paint(self, changed: frozenset[str]) -> None:
        """Show what changed: frame and body."""
        self.query_one(TopBar).put(self.state)
        self.query_one(Banner).put(self.state)
        self.paint_lists(changed)
        self.refresh_keys()

    def refresh_keys(self) -> None:
        """Have the footer drawn again where an action has become possible, or is no longer."""
        possible = tuple(self.check_action(action.name.partition("(")[0], ()) for action in of(self.WHERE))
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()

    def on_screen_resume(self) -> None:
        self.paint(ALL | {"events"})

    def reveal(self, kind: str, key: str) -> None:
        """Select what waits for an answer: `kind` is "exchange", "vote" or "charter"."""

    def ask(self, form: "Form") -> None:
        """Open a form."""
        self.app.push_screen(form)

    def when(self, needed: str, empty: str) -> str:
        """The words for an empty list: `empty` once the list `needed` has arrived."""
        return empty if needed in self.state.loaded else "Loading…"
