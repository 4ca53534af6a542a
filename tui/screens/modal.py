"""Windows over a screen: one frame for all, closed with Escape."""

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class Modal(ModalScreen[None]):
    """A frame in the middle of the screen."""

    # Below 32 lines the lines of a form stand close together.
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]  # noqa: RUF012 - the toolkit declares it so
    BINDINGS = [Binding("escape", "close", "Close")]  # noqa: RUF012 - the toolkit declares it so

    def action_close(self) -> None:
        """Close without doing anything."""
        self.dismiss()


class DetailScreen(Modal):
    """Something in full, to be read and scrolled. The title is ours."""

    AUTO_FOCUS = "#detail"
    BINDINGS = [Binding("enter", "close", "Close", show=False)]  # noqa: RUF012

    def __init__(self, title: str, content: Text) -> None:
        super().__init__()
        self._title, self._content = title, content

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="detail", classes="window") as window:
            window.border_title = Content(self._title)
            window.border_subtitle = Content("esc closes")
            yield Static(self._content, markup=False)


def facts(*lines: tuple[str, object], note: str = "") -> Text:
    """Label and value per line, the empty ones left out; `note` is a paragraph below."""
    words = Text()
    shown = [(label, value) for label, value in lines if str(value)]
    width = max((len(label) for label, _ in shown), default=0)
    for label, value in shown:
        words.append(label.ljust(width + 2), "dim")
        words.append_text(value) if isinstance(value, Text) else words.append(str(value))
        words.append("\n")
    if note:
        words.append(f"\n{note}")
    words.rstrip()
    return words
