"""Names and texts of malicious peers are shown as plain text in every list, and crash or trigger nothing."""

from itertools import cycle
from typing import cast

import msgspec
import pytest

from overlay.node.wire import Event, People, Problem, Tell
from tests.tui import hostile, story
from tests.tui.double import NodeDouble
from tests.tui.hostile import is_plain
from tests.tui.stage import LARGE, SMALL, Stage, opened
from tui.screens.form import Form
from tui.screens.modal import DetailScreen


class Poison:
    """A supply of hostile names: the same one again and again, or all in turn."""

    def __init__(self, *names: str) -> None:
        self._names = cycle(names)

    def __call__(self, told: object) -> object:
        """The same answer with hostile names wherever a peer may write."""
        if isinstance(told, tuple):
            return tuple(self(each) for each in told)
        if not isinstance(told, msgspec.Struct):
            return told
        changed = {name: next(self._names) for name in PEERS_WRITE if isinstance(getattr(told, name, None), str)}
        nested = {name: self(getattr(told, name)) for name in told.__struct_fields__ if name not in changed}
        return msgspec.structs.replace(told, **(nested | changed))


# The fields of the wire that hold what a peer wrote.
PEERS_WRITE = (
    *(
        "name",
        "about",
        "purpose",
        "member",
        "promise",
        "unit",
        "terms",
        "issuer_name",
        "wants",
        "note",
    ),
    *("deed", "reason", "waiting_for", "proposer_name", "counterparty_name", "group_name", "title", "payee_name"),
    *("voter_name", "signing", "sentence"),
)
POISONS = {
    "markup that would crash or act": (hostile.CRASHES, hostile.CLICKS),
    "far too long": (hostile.LONG,),
    "all in turn": hostile.NAMES,
}


async def look(stage: Stage, *keys: str) -> str:
    await stage.press(*keys)
    assert is_plain(stage.text.replace("\n", " "))
    return stage.text


@pytest.mark.parametrize("names", POISONS.values(), ids=POISONS.keys())
async def test_hostile_names_are_plain_text_on_every_screen(node: NodeDouble, names: tuple[str, ...]) -> None:
    poison = Poison(*names)
    node.answers = {path: cast(Tell, poison(told)) for path, told in node.answers.items()}
    async with opened(node) as stage:
        node.tell(*(cast(Event, poison(story.event("people"))) for _ in names))
        await stage.until(lambda: stage.app.state.events)
        await look(stage, "1")
        await look(stage, "2")
        await look(stage, "enter")
        await stage.until_screen(DetailScreen)
        for key in "dgor":
            await look(stage, "escape", key)
            await stage.until_screen(Form)
        await look(stage, "escape", "shift+tab", "enter")
        await look(stage, "escape", "3")
        await look(stage, "enter")
        await look(stage, "escape", "y")
        await look(stage, "escape", "4", "down")
        await look(stage, "w")
        await stage.until_screen(DetailScreen)
        assert stage.app.is_running


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
async def test_markup_is_shown_as_it_was_written(node: NodeDouble, size: tuple[int, int]) -> None:
    node.answers["people/list"] = People(
        (*story.people().people, story.person("x", name=hostile.CRASHES), story.person("y", name="[@click=q]x[/]"))
    )
    async with opened(node, size) as stage:
        text = await look(stage, "4")
        assert "[/]" in text
        assert "[@click=q]x" in text


async def test_a_click_on_a_name_that_looks_like_an_action_does_nothing(node: NodeDouble) -> None:
    node.answers["people/list"] = People((story.person("x", name=hostile.CLICKS),))
    async with opened(node) as stage:
        await stage.press("4")
        await stage.pilot.click("#people-table", offset=(12, 1))
        await stage.pilot.click("#person-facts", offset=(12, 0))
        assert stage.app.is_running
        assert stage.app.current_mode == "people"


async def test_members_without_a_name_that_can_be_shown_go_by_their_key(node: NodeDouble) -> None:
    nameless = story.person("ghost", name=hostile.FILLERS)
    node.answers["people/list"] = People((nameless,))
    async with opened(node) as stage:
        await stage.press("4")
        await stage.until_shown(f"Name   {nameless.short}"[:6], nameless.short)


async def test_sentences_of_the_node_are_shown_as_they_were_written(node: NodeDouble) -> None:
    node.answers["status/show"] = story.status(signing="[red]stop[/red] [/]", notices=("[b]mind[/b]",))
    node.problems["people/list"] = (500, Problem("[i]broken[/i]", "internal"))
    async with opened(node) as stage:
        await stage.until_shown("[red]stop[/red] [/]", "[b]mind[/b]", "[i]broken[/i]")
