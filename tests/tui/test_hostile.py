"""Names and texts of malicious peers are shown as plain text in every list, and crash or trigger nothing."""

import re
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import cast

import msgspec
import pytest
from rich.text import Text
from textual.screen import Screen
from textual.widgets import Static

from overlay.node.wire import Event, People, Problem, Tell, Why
from tests.tui import hostile, story
from tests.tui.double import NodeDouble
from tests.tui.hostile import is_plain
from tests.tui.stage import LARGE, SMALL, Stage, opened
from tui.sanitize import plain
from tui.screens import group_forms, voucher_forms
from tui.screens.base import NodeScreen
from tui.screens.form import Form
from tui.screens.group_details import charter_facts, matter_facts
from tui.screens.modal import DetailScreen
from tui.screens.person_details import person_facts, why_words
from tui.screens.voucher_details import exchange_facts, voucher_facts
from tui.widgets.table import Table


class Poison:
    """A supply of hostile names: the same one again and again, or all in turn.

    What it poisons has ids of its own, so that copies of one story can stand side by side; the member is in all.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self._next = cycle(names)

    def __call__(self, told: object) -> object:
        """The same answer with hostile names wherever a peer may write."""
        if isinstance(told, tuple):
            return tuple(self(each) for each in told)
        if isinstance(told, str):
            return self.id_of(told)
        if not isinstance(told, msgspec.Struct):
            return told
        changed = {name: self._poisoned(getattr(told, name)) for name in PEERS_WRITE if hasattr(told, name)}
        nested = {name: self(getattr(told, name)) for name in told.__struct_fields__ if name not in changed}
        return msgspec.structs.replace(told, **(nested | changed))

    def id_of(self, id_: str) -> str:
        """What stands here for an id or a key of the story; any other text stays."""
        if id_ == ME or not re.fullmatch("[0-9a-f]{64}|[0-9a-f]{148}", id_):
            return id_
        return id_[:-64] + story.some_id(id_ + "".join(self.names))

    def _poisoned(self, told: str | tuple[str, ...]) -> object:
        several = tuple(next(self._next) for _ in told or "x")
        return several if isinstance(told, tuple) else several[0]


ME = story.key_of("baker")
# The fields of the wire that hold what a peer wrote, one text or several.
PEERS_WRITE = (
    *("name", "about", "purpose", "member", "promise", "unit", "terms", "issuer_name", "wants", "note"),
    *("deed", "reason", "waiting_for", "proposer_name", "counterparty_name", "group_name", "title", "payee_name"),
    *("voter_name", "signing", "sentence"),
    *("text", "author_name", "worker_name", "through", "missing", "changes", "verdict", "obstacle", "rule", "number"),
)
# Markup that would crash wherever it is read as such, what is far too long, and all in turn.
POISONS = (Poison(hostile.CRASHES + hostile.CLICKS), Poison(hostile.LONG), Poison(*hostile.NAMES))


def side_by_side(copies: Sequence[Tell]) -> Tell:
    """One answer with what all of them list, each key and id once; where they list nothing, the first."""
    (field, *others), kind = copies[0].__struct_fields__, type(copies[0])
    if others:
        return copies[0]
    listed = [each for copy in copies for each in getattr(copy, field)]
    return kind(tuple({getattr(each, each.__struct_fields__[0]): each for each in listed}.values()))


async def look(stage: Stage, *keys: str) -> str:
    await stage.press(*keys)
    text = stage.text
    assert is_plain(text.replace("\n", " "))
    return text


async def reveal(stage: Stage, kind: str, key: str) -> None:
    """Have something selected, and see that it is."""
    screen = cast(NodeScreen, stage.app.screen)
    screen.reveal(kind, key)
    await stage.until(lambda: cast(Table, screen.focused).selected == key)


async def opens(stage: Stage, kind: type[Screen[object]], *keys: str) -> None:
    """These keys open a window, in which all is plain."""
    await stage.press(*keys)
    await stage.until_screen(kind)
    await look(stage)


async def instead(stage: Stage, words: Iterable[Text]) -> None:
    """What windows would say of others is plain in this one, line by line: a window for each would take minutes."""
    shown, said = stage.app.screen.query_one("#detail Static", Static), list(words)
    shown.update(Text("\n").join(said))
    await look(stage)
    lines = shown.render_lines(shown.size.region)
    assert len(lines) >= len(said)
    assert all(is_plain(line.text) for line in lines)


async def look_at_home_and_people(stage: Stage, node: NodeDouble, answers: dict[str, list[Tell]]) -> None:
    for status, poison in zip(answers["status/show"], POISONS, strict=True):
        node.answers["status/show"] = status
        node.tell(*(cast(Event, poison(story.event("status"))) for _ in poison.names))
        await stage.until(lambda status=status: stage.app.state.status == plain(status))
        await look(stage, "1")
    await look(stage, "4")
    await look(stage, "down")
    await opens(stage, DetailScreen, "w")
    await instead(stage, (person_facts(each, stage.app.state) for each in stage.app.state.people.people))
    await instead(stage, (why_words(plain(cast(Why, why))) for why in answers["trust/why"]))
    await stage.press("escape")


async def look_at_vouchers(stage: Stage) -> None:
    state = stage.app.state
    await look(stage, "2")
    for key in "gor":
        await opens(stage, Form, key)
        await look(stage, "escape")
    await reveal(stage, "exchange", next(each.id for each in state.exchanges.exchanges if each.to_answer))
    await opens(stage, DetailScreen, "enter")
    exchanges = state.exchanges.exchanges
    await instead(stage, (exchange_facts(each, state, story.NOW) for each in exchanges))
    await instead(stage, (voucher_forms.terms(each, state) for each in exchanges))
    await instead(stage, (voucher_facts(each, state) for each in state.vouchers.vouchers))
    await look(stage, "escape")
    await opens(stage, Form, "d")
    await look(stage, "escape")


async def look_at_groups(stage: Stage) -> None:
    state = stage.app.state
    await look(stage, "3")
    for poison in POISONS:
        await reveal(stage, "vote", poison.id_of(story.some_id("The teacher joins")))
        await look(stage)
    await opens(stage, DetailScreen, "enter")
    await instead(stage, (matter_facts(each, state, story.NOW) for each in state.matters))
    await instead(stage, (group_forms.subject(each) for each in state.matters))
    await instead(stage, (charter_facts(each) for each in state.groups.groups))
    await look(stage, "escape")
    await opens(stage, Form, "y")
    await look(stage, "escape")


async def test_hostile_names_are_plain_text_on_every_screen(node: NodeDouble) -> None:
    answers = {path: [cast(Tell, poison(told)) for poison in POISONS] for path, told in node.answers.items()}
    node.answers = {path: side_by_side(copies) for path, copies in answers.items()}
    async with opened(node) as stage:
        await look_at_home_and_people(stage, node, answers)
        await look_at_vouchers(stage)
        await look_at_groups(stage)
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
