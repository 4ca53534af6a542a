"""People: members, my trust in each, and proven cheats."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from overlay.node.wire import AskTrust, InvitationModel, Nothing, Person, Why
from tui.actions import bindings
from tui.commands import INVITE
from tui.problem import NodeProblem
from tui.screens.base import NodeScreen
from tui.screens.invitation import InvitationScreen
from tui.screens.modal import DetailScreen
from tui.screens.person_details import person_facts, why_words
from tui.state import State, called
from tui.theme import AMBER, DIM, GREEN, RED
from tui.widgets.bar import score_bar
from tui.widgets.panel import Panel
from tui.widgets.table import Column, Row, Table
from tui.words import text

ALONE = "You are alone here. Invite somebody with i."

# Where nobody is trusted more than this, bars stay short.
FULL_AT_LEAST = 0.05

PEOPLE = (
    Column("", 1),
    Column("Name"),
    Column("Trust", 12),
    Column("Score", 6, right=True),
    Column("Rank", 5, right=True),
    Column("Key", 10, from_width=56),
    Column("Note", 14),
)


class Explained(Message):
    """The node said why."""

    def __init__(self, why: Why) -> None:
        super().__init__()
        self.why = why


class Invited(Message):
    """The node made an invitation."""

    def __init__(self, invitation: InvitationModel) -> None:
        super().__init__()
        self.invitation = invitation


class Unanswered(Message):
    """The node did not answer."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class PeopleScreen(NodeScreen):
    """The fourth screen."""

    WHERE = "people"
    BINDINGS = bindings("people")
    AUTO_FOCUS = "#people-table"

    def body(self) -> ComposeResult:
        yield Panel("Members", Table(PEOPLE, id="people-table"), id="people")
        with VerticalScroll(id="person", classes="panel filled", can_focus=False):
            yield Static(markup=False, id="person-facts")

    def on_mount(self) -> None:
        self.query_one("#person").border_title = "About"

    def paint_lists(self, changed: frozenset[str]) -> None:
        if "people" in changed:
            self.query_one("#people", Panel).put(people_rows(self.state), self.when("people", ALONE))
        if changed & {"people", "cheats"}:
            self._paint_person()

    def _paint_person(self) -> None:
        words = person_facts(self.person, self.state) if self.person else Text("Nobody is selected.", DIM)
        self.query_one("#person-facts", Static).update(words)

    def on_data_table_row_highlighted(self) -> None:
        self._paint_person()
        self.refresh_keys()

    def on_data_table_row_selected(self) -> None:
        self.action_why()

    @property
    def person(self) -> Person | None:
        """The selected member."""
        key = self.query_one("#people-table", Table).selected
        return next((each for each in self.state.people.people if each.public_key == key), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One's own trust in oneself needs no reason."""
        if action == "why":
            return (self.person is not None and not self.person.me) or None
        return True

    def action_why(self) -> None:
        """Ask the node to explain the selected member's score."""
        if self.person is not None and not self.person.me:
            self.run_worker(self._explain(self.person.public_key), group="why", exclusive=True)

    def action_invite(self) -> None:
        """Ask the node for an invitation."""
        self.run_worker(self._invite(), group="invite", exclusive=True)

    async def _explain(self, member: str) -> None:
        try:
            self.post_message(Explained(await self.counterfoil.client.read("trust/why", Why, AskTrust(member))))
        except NodeProblem as problem:
            self.post_message(Unanswered(str(problem)))

    async def _invite(self) -> None:
        try:
            answer = await self.counterfoil.client.command(INVITE.path, Nothing(), InvitationModel)
            self.post_message(Invited(answer))
        except NodeProblem as problem:
            self.post_message(Unanswered(str(problem)))

    def on_explained(self, message: Explained) -> None:
        self.app.push_screen(DetailScreen("Why this score", why_words(message.why)))

    def on_invited(self, message: Invited) -> None:
        self.app.push_screen(InvitationScreen(message.invitation))

    def on_unanswered(self, message: Unanswered) -> None:
        self.app.notify(message.sentence, severity="error", markup=False)


def people_rows(state: State) -> list[Row]:
    """Members: oneself first, then by trust; those who are proven cheats last."""
    full = max((FULL_AT_LEAST, *(person.high for person in state.others)))
    ordered = sorted(
        state.people.people, key=lambda each: (not each.me, each.proven_cheat, -each.score, each.public_key)
    )
    return [(each.public_key, _person(each, full)) for each in ordered]


def _person(each: Person, full: float) -> tuple[Text, ...]:
    dot = Text("●" if each.online or each.me else "○", GREEN if each.online or each.me else DIM, end="")
    name = called(each.name, each.public_key)
    if each.me:
        blank = text("")
        return dot, text(name, f"bold {AMBER}"), blank, blank, blank, text(each.short, DIM), text("you", AMBER)
    return (
        dot,
        text(name, f"{RED}" if each.proven_cheat else ""),
        score_bar(each.low, each.score, each.high, full),
        Text(f"{each.score:.3f}", justify="right", end=""),
        Text(str(each.rank or "—"), justify="right", end=""),
        text(each.short, DIM),
        _note(each),
    )


def _note(each: Person) -> Text:
    if each.proven_cheat:
        return text("✗ PROVEN CHEAT", f"bold {RED}")
    return text("always-on node" if each.headless else "", DIM)
