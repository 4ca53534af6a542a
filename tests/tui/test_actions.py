"""One registry makes keys, footer, help and palette; each of its actions exists."""

import subprocess
import sys
from collections import Counter

import pytest
from textual.widgets import Input

from tests.tui import story
from tests.tui.double import NodeDouble
from tests.tui.stage import LARGE, opened
from tui.actions import ACTIONS, SCREENS, Action, of
from tui.app import CounterfoilApp
from tui.palette import title
from tui.screens.form import Form
from tui.screens.help import HelpScreen

PLACES = {"anywhere": CounterfoilApp, **CounterfoilApp.MODES}
IDS = [f"{action.where} {action.name}" for action in ACTIONS]


@pytest.mark.parametrize("action", ACTIONS, ids=IDS)
def test_every_action_has_its_method(action: Action) -> None:
    assert callable(getattr(PLACES[action.where], f"action_{action.name.partition('(')[0]}"))


def test_no_key_means_two_things_on_one_screen() -> None:
    for where in SCREENS:
        keys = Counter(action.key for action in [*of(where), *of("anywhere")])
        assert max(keys.values()) == 1, keys


@pytest.mark.parametrize("action", ACTIONS, ids=IDS)
def test_the_help_names_every_action(action: Action) -> None:
    assert action.help in HelpScreen()._content.plain


@pytest.mark.parametrize(("key", "where"), zip("1234", SCREENS, strict=True))
async def test_the_footer_fits_and_names_every_action_with_a_label(node: NodeDouble, key: str, where: str) -> None:
    async with opened(node) as stage:
        await stage.press(key)
        labels = [action.label for action in ACTIONS if action.where in (where, "anywhere") and action.label]
        hidden = ("Found", "Join") if where == "home" else ()
        await stage.until_shown(*(label for label in labels if label not in hidden))
        assert stage.text.splitlines()[-1].endswith("q Quit")


async def test_the_question_mark_shows_the_help(node: NodeDouble) -> None:
    async with opened(node, LARGE) as stage:
        await stage.press("question_mark")
        await stage.until_shown("Keys and words", "Anywhere", "Search all commands by name")
        await stage.press("escape")
        await stage.until_gone("Keys and words")


async def test_the_palette_finds_an_action_of_another_screen_and_does_it(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("ctrl+p")
        await stage.until(lambda: stage.app.screen.query(Input))
        await stage.press(*"mint")
        await stage.until_shown("Vouchers: Promise goods or services: mint a voucher")
        await stage.press("enter")
        await stage.until_screen(Form)
        assert stage.app.current_mode == "vouchers"


async def test_the_palette_offers_everything_at_first(node: NodeDouble) -> None:
    async with opened(node, LARGE) as stage:
        await stage.press("ctrl+p")
        await stage.until_shown(*(title(action) for action in ACTIONS[:10]))


async def test_what_cannot_be_done_now_does_nothing(node: NodeDouble) -> None:
    node.answers["exchange/list"] = story.Exchanges(())
    async with opened(node) as stage:
        await stage.press("2", "a", "d", "3", "y", "p")
        assert not isinstance(stage.app.screen, Form)
        for action in ACTIONS:
            if action.name in ("accept", "decline", "details", "open"):
                await stage.app.perform(action)
                assert not isinstance(stage.app.screen, Form)


async def test_q_leaves(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("q")
        await stage.until(lambda: not stage.app.is_running)


def test_the_interface_loads_nothing_of_the_node_but_its_wire_models() -> None:
    told = "import sys, tui.app; print(*sorted(m for m in sys.modules if m.startswith('overlay')))"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if not name.startswith("overlay.node.wire")] == ["overlay", "overlay.node"]
