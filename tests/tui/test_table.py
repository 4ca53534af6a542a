"""The table draws only what changed, keeps the cursor on its row, and pages long lists."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.coordinate import Coordinate
from textual.pilot import Pilot

from overlay.node.wire import People
from tests.tui import story
from tests.tui.double import NodeDouble
from tests.tui.stage import opened
from tui.widgets.table import PAGE, Column, Row, Table
from tui.words import text


class Watched(Table):
    """Counts the cells that are written anew."""

    written = 0

    def update_cell_at(self, coordinate: Coordinate, value: Any, *, update_width: bool = False) -> None:
        self.written += 1
        super().update_cell_at(coordinate, value, update_width=update_width)


class Shelf(App[None]):
    """A table and nothing else."""

    def __init__(self, *, news: bool = False) -> None:
        super().__init__()
        self.table = Watched(
            (Column("Name"), Column("Wide", 10, from_width=60), Column("No", 5)), id="table", news=news
        )

    def compose(self) -> ComposeResult:
        yield self.table


def rows(*numbers: int, name: str = "row") -> list[Row]:
    return [(str(number), (text(f"{name} {number}"), text("wide"), text(number))) for number in numbers]


@asynccontextmanager
async def shelf(size: tuple[int, int] = (80, 24), *, news: bool = False) -> AsyncIterator[tuple[Watched, Pilot[None]]]:
    app = Shelf(news=news)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app.table, pilot


async def test_only_the_cells_that_changed_are_written() -> None:
    async with shelf() as (table, _):
        table.put(rows(1, 2, 3))
        table.put([*rows(1, 2), *rows(3, name="other")])
        assert table.written == 1
        assert table.get_cell_at(Coordinate(2, 0)).plain == "other 3"


async def test_the_cursor_stays_on_its_row_when_others_come_and_go() -> None:
    async with shelf() as (table, _):
        table.put(rows(1, 2, 3))
        table.select("2")
        table.put(rows(9, 8, 1, 2, 3))
        assert (table.selected, table.cursor_row) == ("2", 3)
        table.put(rows(9, 3))
        assert table.selected == "3"
        table.put([])
        assert table.selected == ""


async def test_with_news_a_cursor_on_the_first_row_stays_there() -> None:
    async with shelf(news=True) as (table, _):
        table.put(rows(1))
        table.put(rows(2, 1))
        assert table.selected == "2"
        table.select("1")
        table.put(rows(3, 2, 1))
        assert table.selected == "1"


@pytest.mark.parametrize(("count", "shown", "words"), [(PAGE, PAGE, ""), (PAGE + 1, PAGE, "1–100 of 101")])
async def test_a_list_is_paged_from_one_row_over_the_limit(count: int, shown: int, words: str) -> None:
    async with shelf() as (table, _):
        table.put(rows(*range(count)))
        assert (table.row_count, table.range_shown) == (shown, words)


async def test_going_past_the_end_turns_the_page_and_back() -> None:
    async with shelf() as (table, pilot):
        table.put(rows(*range(250)))
        table.select("99")
        await pilot.press("down")
        assert (table.selected, table.range_shown) == ("100", "101–200 of 250")
        await pilot.press("up")
        assert table.selected == "99"
        await pilot.press("end")
        assert (table.selected, table.range_shown) == ("249", "201–250 of 250")
        await pilot.press("down", "home")
        assert table.selected == "0"


async def test_a_page_that_is_gone_shows_the_last_there_is() -> None:
    async with shelf() as (table, _):
        table.put(rows(*range(250)))
        table.select("249")
        table.put(rows(*range(5)))
        assert (table.row_count, table.range_shown) == (5, "")


@pytest.mark.parametrize(("width", "columns"), [(80, 3), (40, 2)])
async def test_columns_without_room_are_left_out(width: int, columns: int) -> None:
    async with shelf((width, 10)) as (table, _):
        table.put(rows(1, 2))
        assert len(table.columns) == columns
        assert sum(each.get_render_width(table) for each in table.ordered_columns) <= width


async def test_a_row_survives_the_change_of_columns() -> None:
    async with shelf((80, 10)) as (table, pilot):
        table.put(rows(1, 2, 3))
        table.select("2")
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert (len(table.columns), table.selected, table.row_count) == (2, "2", 3)


async def test_ten_thousand_members_are_shown_a_page_at_a_time(node: NodeDouble) -> None:
    crowd = tuple(story.person(f"member {number}", score=number / 1e5, high=0.1) for number in range(10_000))
    node.answers["people/list"] = People(crowd)
    async with opened(node) as stage:
        await stage.press("4")
        await stage.until_shown("Members (10,000)", "1–100 of 10,000", "member 9999")
