"""The forms that promise, give, redeem, swap and answer."""

from rich.text import Text

from overlay.node.wire import ExchangeModel, HoldingModel, Person, Voucher
from tui.client import NodeClient
from tui.commands import ACCEPT, DECLINE, GIVE, MINT, OFFER_SWAP
from tui.screens.form import Form
from tui.screens.modal import facts
from tui.state import State, called, short
from tui.widgets.fields import ChoiceField, Field, FileField, NumberField, Option, TermField, TextField, TickField
from tui.words import counterpart, gets, gives, other

HOUR, DAY = 60, 1_440


def mint(client: NodeClient) -> Form:
    """Promise goods or services."""
    fields = (
        TextField(MINT.request, "promise", "You promise", "Bread of the week"),
        NumberField(MINT.request, "quantity", "How many", "10"),
        TextField(MINT.request, "unit", "Of what unit", "loaf, hour, ride"),
        TextField(MINT.request, "terms", "Terms", "collect on Fridays; may stay empty"),
        NumberField(MINT.request, "expires_in", "Days it stands", "0 for ever", value=0),
        FileField(MINT.request, "picture", "Picture", "path of a picture; may stay empty"),
    )
    return Form(client, MINT, "Make a promise", fields, submit="Promise", done="Promised. Now you can give or swap it.")


def give(client: NodeClient, state: State, voucher: Voucher | None) -> Form:
    """Give a voucher to a member."""
    fields = (
        ChoiceField(GIVE.request, "to", "To", members(state)),
        ChoiceField(GIVE.request, "voucher", "What", holdings(state.holdings.holdings), voucher.id if voucher else ""),
        NumberField(GIVE.request, "quantity", "How many", "1"),
        TextField(GIVE.request, "deed", "For what deed", "what they did for you; may stay empty"),
        NumberField(GIVE.request, "worth", "Its worth", "adds to the trust in them", value=0),
        TextField(GIVE.request, "note", "Note", "only the two of you can read it"),
        TermField(GIVE.request, "minutes", "Stands for", DAY),
    )
    return Form(client, GIVE, "Give a voucher", fields, submit="Give", done="Proposed. It is given when they accept.")


def redeem(client: NodeClient, state: State, voucher: Voucher | None) -> Form:
    """Hand a promise back to its issuer, who fulfils it."""
    fields = (
        RedeemField(state, voucher),
        NumberField(GIVE.request, "quantity", "How many", "1"),
        NumberField(GIVE.request, "worth", "Its worth", "adds to the trust in them", value=1),
        TextField(GIVE.request, "note", "Note", "when and where, for instance"),
        TermField(GIVE.request, "minutes", "Stands for", DAY),
    )
    return Form(client, GIVE, "Redeem a promise", fields, submit="Redeem", done="Proposed to the issuer.")


def swap(client: NodeClient, state: State, voucher: Voucher | None) -> Form:
    """Offer some of one voucher for some of another."""
    wanted = [
        (f"{each.promise} ({each.unit}), by {state.name_of(each.issuer)}", each.id)
        for each in state.vouchers.vouchers
        if each.issuer != state.me
    ]
    mine = holdings(state.holdings.holdings)
    fields: tuple[Field, ...] = (
        ChoiceField(OFFER_SWAP.request, "to", "With", members(state)),
        ChoiceField(OFFER_SWAP.request, "give", "You give", mine, voucher.id if voucher else ""),
        NumberField(OFFER_SWAP.request, "give_quantity", "How many", "1"),
        ChoiceField(OFFER_SWAP.request, "want", "You want", wanted),
        NumberField(OFFER_SWAP.request, "want_quantity", "How many", "1"),
        TermField(OFFER_SWAP.request, "minutes", "Stands for", DAY),
    )
    return Form(
        client, OFFER_SWAP, "Offer a swap", fields, submit="Offer", done="Offered. It is agreed when they accept."
    )


def accept(client: NodeClient, state: State, exchange: ExchangeModel) -> Form:
    """Accept what was proposed."""
    hint = "take it even if its issuer has not confirmed it"
    return Form(
        client,
        ACCEPT,
        "Accept this exchange?",
        (TickField(ACCEPT.request, "provisional", "Provisional", hint),),
        fixed={"id": exchange.id},
        intro=terms(exchange, state),
        submit="Accept",
        done="Accepted.",
    )


def decline(client: NodeClient, state: State, exchange: ExchangeModel) -> Form:
    """Decline what was proposed, or take it back."""
    mine = exchange.proposer == state.me
    return Form(
        client,
        DECLINE,
        "Take this back?" if mine else "Decline this exchange?",
        (TextField(DECLINE.request, "reason", "Reason", "may stay empty"),),
        fixed={"id": exchange.id},
        intro=terms(exchange, state),
        submit="Take back" if mine else "Decline",
        done="Taken back." if mine else "Declined.",
    )


def terms(exchange: ExchangeModel, state: State) -> Text:
    """What moves which way."""
    return facts(
        ("With", f"{counterpart(exchange, state.me)}  (key {short(other(exchange, state.me))})"),
        ("You get", Text(gets(exchange, state.me) or "nothing", "bold")),
        ("You give", Text(gives(exchange, state.me) or "nothing", "bold")),
        ("Deed", exchange.deed),
        ("Note", exchange.note),
    )


def members(state: State) -> list[Option]:
    """The other members, by name."""
    people = sorted(state.others, key=lambda each: (each.proven_cheat, each.name.casefold(), each.public_key))
    return [(_member(each), each.public_key) for each in people]


def _member(each: Person) -> str:
    mark = "●" if each.online else "○"
    warning = "  ✗ PROVEN CHEAT" if each.proven_cheat else ""
    return f"{mark} {called(each.name, each.public_key)}  {each.short}{warning}"


def holdings(held: tuple[HoldingModel, ...]) -> list[Option]:
    """Vouchers in hand, own promises among them."""
    return [
        (f"{each.promise} ({each.final:,} {each.unit}), by {called(each.issuer_name, each.issuer)}", each.voucher)
        for each in held
    ]


class RedeemField(ChoiceField):
    """A promise of another member; its issuer goes with it."""

    def __init__(self, state: State, voucher: Voucher | None) -> None:
        super().__init__(GIVE.request, "voucher", "What", holdings(state.held), voucher.id if voucher else "")
        self._issuers = {each.voucher: each.issuer for each in state.held}

    def entries(self) -> dict[str, object]:
        voucher = str(self.value())
        return {"voucher": voucher, "to": self._issuers[voucher]}
