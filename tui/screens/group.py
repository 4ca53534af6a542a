"""Group: charters and who signed them, proposals and votes, treasuries."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from overlay.node.wire import Group
from tui.actions import bindings
from tui.screens import group_forms as forms
from tui.screens.base import NodeScreen
from tui.screens.group_details import charter_facts, matter_facts
from tui.screens.group_rows import group_rows, proposal_rows
from tui.screens.modal import DetailScreen
from tui.state import Matter, may_sign
from tui.theme import DIM
from tui.widgets.panel import Panel
from tui.widgets.table import Column, Table

NO_GROUPS = "You are in no group yet. Found one with f: its members decide together what its treasury pays."
NO_PROPOSALS = "No proposals yet. Propose a payment with p, or a text with t."
NOT_YET = {
    "charter": "Payments come when every member has signed the charter. If your signature is missing, press s.",
    "keys": "Payments come when the members' devices have made their shared key. Leave your node running.",
    "ready": NO_PROPOSALS,
}

GROUPS = (Column("Group"), Column("Stage", 8), Column("Signed", 6, right=True), Column("Treasury", 16, right=True))
PROPOSALS = (
    Column("Proposal"),
    Column("Amount", 15, right=True),
    Column("Votes", 14),
    Column("State", 9),
    Column("You", 8),
    Column("Time", 12, from_width=92),
)


class GroupScreen(NodeScreen):
    """The third screen. The proposals shown are those of the selected group."""

    WHERE = "group"
    BINDINGS = bindings("group")
    AUTO_FOCUS = "#proposals-table"

    def body(self) -> ComposeResult:
        with Horizontal(id="charters"):
            yield Panel("Groups", Table(GROUPS, id="groups-table"), id="groups")
            with VerticalScroll(id="charter", classes="panel filled", can_focus=False):
                yield Static(markup=False, id="charter-facts")
        with Horizontal(id="decisions"):
            yield Panel("Proposals", Table(PROPOSALS, id="proposals-table"), id="proposals")
            with VerticalScroll(id="proposal", classes="panel filled", can_focus=False):
                yield Static(markup=False, id="proposal-facts")

    def on_mount(self) -> None:
        self.query_one("#charter").border_title = "Charter and treasury"
        self.query_one("#proposal").border_title = "Proposal"

    def paint_lists(self, changed: frozenset[str]) -> None:
        if "groups" in changed:
            self.query_one("#groups", Panel).put(group_rows(self.state), self.when("groups", NO_GROUPS))
            self._paint_charter()
        if changed & {"proposals", "motions", "groups"}:
            self._paint_proposals()

    def _paint_charter(self) -> None:
        words = charter_facts(self.group) if self.group else Text("No group is selected.", DIM)
        self.query_one("#charter-facts", Static).update(words)

    def _paint_proposals(self) -> None:
        mine = [each for each in self.state.matters if self.group and each.group == self.group.id]
        empty = self.when("proposals", NOT_YET[self.group.stage] if self.group else NO_GROUPS)
        self.query_one("#proposals", Panel).put(proposal_rows(mine, self.state, self.now), empty)
        self._paint_votes()

    def _paint_votes(self) -> None:
        words = matter_facts(self.proposal, self.state, self.now) if self.proposal else Text("No proposal.", DIM)
        self.query_one("#proposal-facts", Static).update(words)

    def on_data_table_row_highlighted(self) -> None:
        self._paint_charter()
        self._paint_proposals()
        self.refresh_keys()

    def on_data_table_row_selected(self) -> None:
        self.action_details()

    @property
    def group(self) -> Group | None:
        """The selected group."""
        key = self.query_one("#groups-table", Table).selected
        return next((each for each in self.state.groups.groups if each.id == key), None)

    @property
    def proposal(self) -> Matter | None:
        """The selected proposal."""
        key = self.query_one("#proposals-table", Table).selected
        return self.state.matter(key)

    def reveal(self, kind: str, key: str) -> None:
        """Select a charter, or a proposal under its group."""
        if kind == "vote":
            matter = self.state.matter(key)
            if matter is not None:
                self.query_one("#groups-table", Table).select(matter.group)
            self._paint_charter()
            self._paint_proposals()
        table = self.query_one("#proposals-table" if kind == "vote" else "#groups-table", Table)
        table.select(key)
        table.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can't be done now is shown dim."""
        match action:
            case "sign":
                return (self.group is not None and may_sign(self.group)) or None
            case "copy":
                return (self.group is not None and bool(self.group.address)) or None
            case "pay":
                return (self.group is not None and self.group.i_am_member and self.group.stage == "ready") or None
            case "text":
                return (self.group is not None and self.group.i_am_member) or None
            case "comment":
                return (self.proposal is not None and self.group is not None and self.group.i_am_member) or None
            case "vote":
                return (self.proposal is not None and self.state.may_vote(self.proposal)) or None
            case _:
                return True

    def action_details(self) -> None:
        """Show the selected proposal with its votes, or the selected charter."""
        if self.focused is self.query_one("#groups-table"):
            if self.group is not None:
                self.app.push_screen(DetailScreen("Charter and treasury", charter_facts(self.group)))
        elif self.proposal is not None:
            self.app.push_screen(DetailScreen("Proposal", matter_facts(self.proposal, self.state, self.now)))

    def action_copy(self) -> None:
        """Put the treasury's address on the terminal's clipboard."""
        if self.group is not None and self.group.address:
            self.app.copy_to_clipboard(self.group.address)
            self.app.notify("The treasury's address is on your clipboard.", markup=False)

    def action_found(self) -> None:
        """Write a charter."""
        self.ask(forms.found(self.counterfoil.client, self.state))

    def action_sign(self) -> None:
        """Sign the charter of the selected group."""
        if self.group is not None:
            self.ask(forms.sign(self.counterfoil.client, self.group))

    def action_pay(self) -> None:
        """Propose a payment."""
        if self.group is not None:
            self.ask(forms.pay(self.counterfoil.client, self.state, self.group))

    def action_text(self) -> None:
        """Propose a text."""
        if self.group is not None:
            self.ask(forms.text(self.counterfoil.client, self.group))

    def action_comment(self) -> None:
        """Say something about the selected proposal."""
        if self.proposal is not None:
            self.ask(forms.comment(self.counterfoil.client, self.proposal))

    def action_vote(self, choice: str) -> None:
        """Vote on the selected proposal."""
        if self.proposal is not None:
            self.ask(forms.vote(self.counterfoil.client, self.proposal, choice))
