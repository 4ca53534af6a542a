"""Home: who I am, what waits for my answer, what happened."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tui.actions import Where, bindings
from tui.commands import FOUND_COMMONS, JOIN_COMMONS
from tui.screens.base import NodeScreen
from tui.screens.form import Form
from tui.screens.modal import facts
from tui.screens.votes import gist
from tui.state import State
from tui.theme import AMBER, DIM, GREEN, ORANGE, RED
from tui.widgets.fields import TextField
from tui.widgets.panel import Panel
from tui.widgets.table import Column, Row, Table
from tui.words import ago, counterpart, left, text, what

NOT_JOINED = "Found a commons with f, or join one with j and an invitation that a member gave you."
NOTHING_WAITS = "Nothing waits for you. Offer a swap or redeem a promise under 2 Vouchers."
NOTHING_HAPPENED = "Nothing has happened since you opened this. What members do will appear here."


class HomeScreen(NodeScreen):
    """The first screen."""

    WHERE = "home"
    BINDINGS = bindings("home")
    AUTO_FOCUS = "#waiting-table"

    def body(self) -> ComposeResult:
        with Vertical(id="who", classes="panel filled"):
            yield Static(markup=False, id="me")
        yield Panel(
            "Waits for you",
            Table((Column("What", 10), Column("From", 16), Column("About"), Column("Time", 12)), id="waiting-table"),
            id="waiting",
        )
        latest = Table((Column("When", 10), Column("What happened")), id="latest-table", news=True)
        yield Panel("Latest", latest, id="latest")

    def on_mount(self) -> None:
        self.query_one("#who").border_title = "You"

    def paint_lists(self, changed: frozenset[str]) -> None:
        if "status" in changed:
            self.query_one("#me", Static).update(_me(self.state))
        if changed & {"status", "exchanges", "proposals", "motions", "groups", "vouchers", "people"}:
            empty = self.when("exchanges", NOTHING_WAITS) if self.state.joined else self.when("status", NOT_JOINED)
            self.query_one("#waiting", Panel).put(waiting_rows(self.state, self.now), empty)
        if "events" in changed:
            self.query_one("#latest", Panel).put(latest_rows(self.state, self.now), NOTHING_HAPPENED)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Founding and joining are for those who are in no commons yet."""
        status = self.state.status
        if action in ("found", "join"):
            return status is not None and status.commons is None
        return True

    async def on_data_table_row_selected(self) -> None:
        await self.action_open()

    async def action_open(self) -> None:
        """Go where the selected matter can be answered, and select it there."""
        kind, _, key = self.query_one("#waiting-table", Table).selected.partition(" ")
        places: dict[str, Where] = {"exchange": "vouchers", "vote": "group", "charter": "group"}
        if kind in places:
            await self.app.switch_mode(places[kind])
            if isinstance(self.app.screen, NodeScreen):
                self.app.screen.reveal(kind, key)

    def action_found(self) -> None:
        """Open the form that founds a commons."""
        request = FOUND_COMMONS.request
        fields = (
            TextField(request, "commons", "Its name", "Riverside Commons"),
            TextField(request, "purpose", "Its purpose", "what its members want together"),
            TextField(request, "name", "Your name", "how members will call you"),
            TextField(request, "about", "About you", "what you do; may stay empty"),
        )
        self.ask(
            Form(
                self.counterfoil.client,
                FOUND_COMMONS,
                "Found a commons",
                fields,
                submit="Found",
                done="Your commons is founded. Invite its members under 4 People.",
            )
        )

    def action_join(self) -> None:
        """Open the form that joins a commons."""
        request = JOIN_COMMONS.request
        fields = (
            TextField(request, "invitation", "Invitation", "the text that a member gave you"),
            TextField(request, "name", "Your name", "how members will call you"),
            TextField(request, "about", "About you", "what you do; may stay empty"),
        )
        self.ask(
            Form(
                self.counterfoil.client, JOIN_COMMONS, "Join a commons", fields, submit="Join", done="You have joined."
            )
        )


def _me(state: State) -> Text:
    status = state.status
    if status is None:
        return Text("Loading…", DIM)
    if status.commons is None:
        words = Text().append("You are in no commons yet.\n\n", AMBER)
        return words.append("A commons is a circle of people who promise each other goods and work.")
    signing = Text("signs nothing now", RED) if status.signing else Text("ready to sign for you", GREEN)
    words = facts(
        ("Name", Text(status.name, f"bold {AMBER}")),
        ("Commons", status.commons.name),
        ("Purpose", status.commons.purpose),
        ("Members", f"{status.members:,}, {status.online:,} of them online"),
        ("Your node", signing.append(f"  at {status.address}", DIM)),
    )
    for notice in status.notices if status.notices != (status.signing,) else ():
        words.append(f"\n▲ {notice}", ORANGE)
    return words


def waiting_rows(state: State, now: int) -> list[Row]:
    """What needs this member's answer: exchanges, votes, charters."""
    rows: list[Row] = [
        (
            f"exchange {each.id}",
            (
                text("Exchange", AMBER),
                text(counterpart(each, state.me)),
                text(what(each, state)),
                text(left(each.valid_until, now), DIM),
            ),
        )
        for each in state.to_answer()
    ]
    rows += [
        (
            f"vote {each.id}",
            (
                text("Vote", AMBER),
                text(each.group_name),
                text(f"{each.title}: {gist(each)}"),
                text(left(each.deadline, now), DIM),
            ),
        )
        for each in state.to_vote()
    ]
    rows += [
        (f"charter {each.id}", (text("Charter", AMBER), text(each.name), text(each.purpose), text("")))
        for each in state.to_sign()
    ]
    return rows


def latest_rows(state: State, now: int) -> list[Row]:
    """What was heard, the newest first."""
    return [
        (str(state.heard_in_all - at), (text(ago(event.time, now), DIM), text(event.sentence)))
        for at, event in enumerate(state.events)
    ]
