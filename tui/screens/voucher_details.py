"""A voucher and an exchange in full."""

from rich.text import Text

from overlay.node.wire import ExchangeModel, LegModel, Picture, Voucher
from tui.screens.modal import facts
from tui.state import State
from tui.words import STANDING_STYLE, amount, counterpart, date, left

MEANING = {
    "proposed": "It is proposed: nothing has moved yet.",
    "cancelled": "It was declined or taken back: nothing has moved.",
    "lapsed": "Nobody answered in time: nothing has moved.",
    "unproven": "It is agreed, but your node does not know yet where what is given comes from.",
    "provisional": "It is agreed. Its issuer has still to confirm that it was not spent before.",
    "final": "It is confirmed for good.",
    "refused": "It was refused: what was to be given had gone to somebody else before.",
}


def exchange_facts(exchange: ExchangeModel, state: State, now: int) -> Text:
    """All that is known of an exchange."""
    open_until = left(exchange.valid_until, now) if exchange.standing == "proposed" else ""
    return facts(
        ("With", counterpart(exchange, state.me)),
        *(("Hands over", _leg(leg, state)) for leg in exchange.legs),
        ("Wanted for it", exchange.wants),
        ("Deed", exchange.deed),
        ("Note", exchange.note),
        ("Standing", Text(exchange.standing, STANDING_STYLE[exchange.standing])),
        ("Waits for", "you" if exchange.to_answer else exchange.waiting_for),
        ("Reason", exchange.reason),
        ("Answer", open_until),
        ("Proposed by", state.name_of(exchange.proposer)),
        ("Proposed on", date(exchange.timestamp)),
        note=MEANING[exchange.standing],
    )


def _leg(leg: LegModel, state: State) -> str:
    return f"{amount(leg)}, from {state.name_of(leg.giver)} to {state.name_of(leg.receiver)}"


def voucher_facts(voucher: Voucher, state: State) -> Text:
    """All that is known of a promise."""
    held = next((each for each in state.holdings.holdings if each.voucher == voucher.id), None)
    return facts(
        ("Promise", Text(voucher.promise, "bold")),
        ("Promised by", state.name_of(voucher.issuer)),
        ("Terms", voucher.terms),
        ("Redeem until", date(voucher.expires) if voucher.expires else "no end"),
        ("Promised", _so_many(voucher.minted, voucher)),
        ("Redeemed", _so_many(voucher.redeemed, voucher)),
        ("Expired", _so_many(voucher.expired, voucher) if voucher.expired else ""),
        ("Outstanding", _so_many(voucher.outstanding, voucher)),
        (
            "You hold",
            f"{held.final:,} final, {held.provisional:,} provisional, {held.pending:,} in offers" if held else "",
        ),
        ("Picture", _picture(voucher.picture) if voucher.picture else ""),
    )


def _so_many(number: int, voucher: Voucher) -> str:
    return f"{number:,} {voucher.unit}"


def _picture(picture: Picture) -> str:
    return picture.path or f"{picture.size:,} bytes on their way, from {picture.peers} peers"
