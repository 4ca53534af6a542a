"""The picker of pictures shows folders and pictures only, and whatever a file is called it is plain text."""

from pathlib import Path

import pytest

from tests.tui import hostile
from tests.tui.double import NodeDouble
from tests.tui.hostile import is_plain
from tests.tui.stage import LARGE, opened
from tui.screens.browse import BrowseScreen
from tui.screens.form import Form
from tui.widgets.fields import FileField


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with little in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    (tmp_path / "bread.png").touch()
    (tmp_path / "diary.txt").touch()
    (tmp_path / ".secret.png").touch()
    return tmp_path


async def test_only_folders_and_pictures_are_shown(node: NodeDouble, home: Path) -> None:
    async with opened(node, LARGE) as stage:
        await stage.press("2", "m", "tab", "tab", "tab", "tab", "tab", "tab", "enter")
        await stage.until_screen(BrowseScreen)
        await stage.until_shown("photos", "bread.png")
        assert "diary" not in stage.text
        assert "secret" not in stage.text


async def test_the_chosen_file_is_put_into_the_form(node: NodeDouble, home: Path) -> None:
    async with opened(node, LARGE) as stage:
        await stage.press("2", "m", "tab", "tab", "tab", "tab", "tab", "tab", "enter")
        await stage.until_shown("bread.png")
        await stage.press("down", "down", "enter")
        await stage.until_screen(Form)
        assert stage.app.screen.query_one(FileField).value() == home / "bread.png"


async def test_escape_leaves_the_form_as_it_was(node: NodeDouble, home: Path) -> None:
    async with opened(node, LARGE) as stage:
        await stage.press("2", "m", "tab", "tab", "tab", "tab", "tab", "tab", "enter")
        await stage.until_screen(BrowseScreen)
        await stage.press("escape")
        await stage.until_screen(Form)
        assert stage.app.screen.query_one(FileField).value() is None


async def test_hostile_file_names_are_plain_text(node: NodeDouble, home: Path) -> None:
    for name in (
        hostile.CRASHES.replace("/", "x"),
        hostile.COLOURS,
        hostile.OVERRIDE,
        "\n",
        "[red]",
        "[@click=app.quit]x",
    ):
        (home / f"{name}.png").touch()
    async with opened(node, LARGE) as stage:
        await stage.press("2", "m", "tab", "tab", "tab", "tab", "tab", "tab", "enter")
        await stage.until_shown("[red].png", "[@click=app.quit]x.png", "bakerrekam.png")
        assert is_plain(stage.text.replace("\n", ""))
