"""A titled frame around one table, with words for when it is empty."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tui.widgets.table import Row, Table


class Panel(Vertical):
    """Shows a table, or what to do next while it is empty. `title` and the words are ours, never a peer's."""

    def __init__(self, title: str, table: Table, *, id: str) -> None:  # noqa: A002 - the toolkit's own word
        super().__init__(id=id, classes="panel")
        self.table = table
        self._empty = Static("Loading…", markup=False, classes="empty")
        self._title = title
        self._entitle(0)

    def compose(self) -> ComposeResult:
        yield self._empty
        yield self.table

    def put(self, rows: Sequence[Row], empty: str) -> None:
        """Show the rows, or `empty` if there are none."""
        self._empty.update(empty)
        self.set_class(bool(rows), "filled")
        self._entitle(len(rows))
        self.table.put(rows)

    def on_table_turned(self) -> None:
        self.border_subtitle = Content(self.table.range_shown)

    def _entitle(self, count: int) -> None:
        self.border_title = Content(f"{self._title} ({count:,})" if count else self._title)
