"""A table that is shown again and again: rows have keys, only changed cells are drawn anew, long lists are paged."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

# 10,000 rows take DataTable 1.8 s; a page of 100 takes 20 ms and is more than anyone reads at once.
PAGE = 100

Row = tuple[str, tuple[Text, ...]]


@dataclass(frozen=True)
class Column:
    """`width` in cells, 0 for the one column that takes what is left; shown where the table is `from_width` wide."""

    label: str
    width: int = 0
    right: bool = False
    from_width: int = 0


class Table(DataTable[Text]):
    """A paged table with a row cursor. Going down from the last row of a page turns it.

    With `news` a cursor on the first row stays on the first row, whatever comes in above it.
    """

    BINDINGS = [  # noqa: RUF012 - the toolkit declares it so
        Binding("enter", "select_cursor", "Open"),
        Binding("home", "first_row", "First row", show=False),
        Binding("end", "last_row", "Last row", show=False),
    ]

    class Turned(Message):
        """Another page, or another number of rows, is shown."""

        def __init__(self, table: "Table") -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> "Table":
            return self.table

    def __init__(self, columns: Sequence[Column], *, id: str, news: bool = False) -> None:  # noqa: A002 - the toolkit's word
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._all_columns = columns
        self._shown: list[int] = []
        self._all_rows: Sequence[Row] = ()
        self._page = 0
        self._news = news

    def put(self, rows: Sequence[Row]) -> None:
        """Show these rows. The cursor stays on the row with its key, or else at its place."""
        self._all_rows = rows
        self._page = min(self._page, max(0, (len(rows) - 1) // PAGE))
        self._draw()

    @property
    def selected(self) -> str:
        """The key of the row under the cursor; empty when there is none."""
        if not self.is_valid_row_index(self.cursor_row):
            return ""
        return self.ordered_rows[self.cursor_row].key.value or ""

    @property
    def range_shown(self) -> str:
        """Which rows are on the page, in words; empty when all are."""
        first, total = self._page * PAGE, len(self._all_rows)
        return f"{first + 1:,}–{min(first + PAGE, total):,} of {total:,}" if total > PAGE else ""

    def select(self, key: str) -> None:
        """Turn to the row with this key and put the cursor on it; nothing happens when there is none."""
        for index, (each, _) in enumerate(self._all_rows):
            if each == key:
                self._turn(index // PAGE, index % PAGE)

    def action_cursor_down(self) -> None:
        last_page = (len(self._all_rows) - 1) // PAGE
        if self.cursor_row >= self.row_count - 1 and self._page < last_page:
            self._turn(self._page + 1, 0)
        else:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        if self.cursor_row == 0 and self._page > 0:
            self._turn(self._page - 1, PAGE - 1)
        else:
            super().action_cursor_up()

    def action_first_row(self) -> None:
        """Go to the very first row."""
        self._turn(0, 0)

    def action_last_row(self) -> None:
        """Go to the very last row."""
        last = max(len(self._all_rows) - 1, 0)
        self._turn(last // PAGE, last % PAGE)

    def on_mount(self) -> None:
        self._show_columns(list(range(len(self._all_columns))))

    def on_resize(self, _: events.Resize) -> None:
        self._fit()

    def _turn(self, page: int, row: int) -> None:
        if page != self._page:
            self._page = page
            self._draw()
        self.move_cursor(row=row)

    def _draw(self) -> None:
        rows = self._all_rows[self._page * PAGE : (self._page + 1) * PAGE]
        if [key for key, _ in rows] == [row.key.value for row in self.ordered_rows]:
            self._update(rows)
        else:
            self._rebuild(rows)
        self.post_message(self.Turned(self))

    def _update(self, rows: Sequence[Row]) -> None:
        for at, (_, cells) in enumerate(rows):
            for column, index in enumerate(self._shown):
                if self.get_cell_at(Coordinate(at, column)) != cells[index]:
                    self.update_cell_at(Coordinate(at, column), cells[index])

    def _rebuild(self, rows: Sequence[Row]) -> None:
        key, place = self.selected, self.cursor_row
        self.clear()
        for each, cells in rows:
            self.add_row(*(cells[index] for index in self._shown), key=each)
        places = [at for at, (each, _) in enumerate(rows) if each == key and not (self._news and place == 0)]
        self.move_cursor(row=places[0] if places else min(place, len(rows) - 1))

    def _fit(self) -> None:
        """Choose the columns that there is room for, and give the rest of the width to the open one."""
        room = self.size.width - self.styles.scrollbar_size_vertical
        shown = [at for at, column in enumerate(self._all_columns) if room >= column.from_width]
        if shown != self._shown:
            self._show_columns(shown)
        taken = sum(self._all_columns[at].width + 2 * self.cell_padding for at in shown)
        for at, column in zip(shown, self.ordered_columns, strict=True):
            column.width = self._all_columns[at].width or max(room - taken, 4)
        self._clear_caches()
        self._require_update_dimensions = True
        self.refresh()

    def _show_columns(self, shown: list[int]) -> None:
        key = self.selected
        self.clear(columns=True)
        self._shown = shown
        for at in shown:
            column = self._all_columns[at]
            label = Text(column.label, justify="right" if column.right else "left")
            self.add_column(label, width=column.width or 4, key=column.label)
        self._draw()
        self.select(key)
