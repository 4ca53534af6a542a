"""Vouchers: what I hold, what I promised, and the exchanges that move them."""

from textual.app import ComposeResult
from textual.widgets import DataTable

from overlay.node.wire import ExchangeModel, Voucher
from tui.actions import bindings
from tui.screens import voucher_forms as forms
from tui.screens.base import NodeScreen
from tui.screens.modal import DetailScreen
from tui.screens.voucher_details import exchange_facts, voucher_facts
from tui.screens.voucher_rows import exchange_rows, held_rows, promised_rows
from tui.widgets.panel import Panel
from tui.widgets.table import Column, Table

NOTHING_HELD = "You hold no promise of another member yet. Ask for one with a swap: press o."
NOTHING_PROMISED = "You have promised nothing yet. Promise goods or work that you can give: press m."
NO_EXCHANGES = "No exchanges yet. Give a voucher with g, or offer a swap with o."

HELD = (
    Column("Promise"),
    Column("Promised by", 14),
    Column("Final", 8, right=True),
    Column("Provisional", 11, right=True),
    Column("In offers", 9, right=True, from_width=66),
)
PROMISED = (
    Column("Promise"),
    Column("Outstanding", 11, right=True),
    Column("Redeemed", 9, right=True),
    Column("Until", 11),
)
EXCHANGES = (
    Column("With", 12),
    Column("What"),
    Column("Standing · waits for", 24),
    Column("When", 11, from_width=96),
)


class VouchersScreen(NodeScreen):
    """The second screen."""

    WHERE = "vouchers"
    BINDINGS = bindings("vouchers")
    AUTO_FOCUS = "#exchanges-table"

    def body(self) -> ComposeResult:
        yield Panel("You hold", Table(HELD, id="held-table"), id="held")
        yield Panel("You promised", Table(PROMISED, id="promised-table"), id="promised")
        yield Panel("Exchanges", Table(EXCHANGES, id="exchanges-table"), id="exchanges")

    def paint_lists(self, changed: frozenset[str]) -> None:
        if changed & {"holdings", "status"}:
            self.query_one("#held", Panel).put(held_rows(self.state), self.when("holdings", NOTHING_HELD))
        if changed & {"vouchers", "status"}:
            self.query_one("#promised", Panel).put(promised_rows(self.state), self.when("vouchers", NOTHING_PROMISED))
        if changed & {"exchanges", "vouchers", "status"}:
            rows = exchange_rows(self.state, self.now)
            self.query_one("#exchanges", Panel).put(rows, self.when("exchanges", NO_EXCHANGES))

    def reveal(self, kind: str, key: str) -> None:
        """Select an exchange."""
        table = self.query_one("#exchanges-table", Table)
        table.select(key)
        table.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can't be done now is shown dim."""
        match action:
            case "redeem":
                return bool(self.state.held) or None
            case "give" | "swap":
                return bool(self.state.others and self.state.holdings.holdings) or None
            case "accept":
                return (self.exchange is not None and self.exchange.to_answer) or None
            case "decline":
                return (self.exchange is not None and self.exchange.standing == "proposed") or None
            case _:
                return True

    @property
    def exchange(self) -> ExchangeModel | None:
        """The selected exchange."""
        key = self.query_one("#exchanges-table", Table).selected
        return next((each for each in self.state.exchanges.exchanges if each.id == key), None)

    @property
    def voucher(self) -> Voucher | None:
        """The voucher that is selected in the list that has the focus."""
        focused = self.focused
        key = focused.selected if isinstance(focused, Table) else ""
        return next((each for each in self.state.vouchers.vouchers if each.id == key), None)

    def on_data_table_row_highlighted(self) -> None:
        self.refresh_keys()

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        self.action_details()

    def action_details(self) -> None:
        """Show what is selected in full."""
        if self.focused is self.query_one("#exchanges-table"):
            if self.exchange is not None:
                self.app.push_screen(DetailScreen("Exchange", exchange_facts(self.exchange, self.state, self.now)))
        elif self.voucher is not None:
            self.app.push_screen(DetailScreen("Promise", voucher_facts(self.voucher, self.state)))

    def action_mint(self) -> None:
        """Promise something."""
        self.ask(forms.mint(self.counterfoil.client))

    def action_give(self) -> None:
        """Give a voucher."""
        self.ask(forms.give(self.counterfoil.client, self.state, self.voucher))

    def action_redeem(self) -> None:
        """Redeem a promise."""
        self.ask(forms.redeem(self.counterfoil.client, self.state, self.voucher))

    def action_swap(self) -> None:
        """Offer a swap."""
        self.ask(forms.swap(self.counterfoil.client, self.state, self.voucher))

    def action_accept(self) -> None:
        """Accept the selected exchange."""
        if self.exchange is not None:
            self.ask(forms.accept(self.counterfoil.client, self.state, self.exchange))

    def action_decline(self) -> None:
        """Decline the selected exchange."""
        if self.exchange is not None:
            self.ask(forms.decline(self.counterfoil.client, self.state, self.exchange))
