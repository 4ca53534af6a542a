"""Holdings, promises and exchanges as rows of tables."""

from rich.text import Text

from overlay.node.wire import HoldingModel
from tui.state import State, called
from tui.theme import DIM, ORANGE
from tui.widgets.table import Row
from tui.words import ago, counterpart, date, figure, promise, standing, text, what

# How an offer stands when it has been taken up: as the exchange that came of it.
TAKEN_UP = ("unproven", "provisional", "final", "refused")


def _quiet(number: int, style: str = "") -> Text:
    """A figure, dim where it is nothing."""
    return figure(number, style if number else DIM)


def held_rows(state: State) -> list[Row]:
    """Promises of others in this member's hands."""
    return [(each.voucher, _held(each)) for each in state.held]


def _held(each: HoldingModel) -> tuple[Text, ...]:
    return (
        promise(each.promise, each.unit),
        text(called(each.issuer_name, each.issuer)),
        _quiet(each.final),
        _quiet(each.provisional, ORANGE),
        _quiet(each.pending),
    )


def promised_rows(state: State) -> list[Row]:
    """What this member owes."""
    return [
        (
            each.id,
            (
                promise(each.promise, each.unit),
                _quiet(each.outstanding),
                _quiet(each.redeemed),
                text(date(each.expires), DIM),
            ),
        )
        for each in state.promised
    ]


def exchange_rows(state: State, now: int) -> list[Row]:
    """Exchanges: first those that need an answer, then the newest. An offer taken up is shown as what came of it."""
    shown = [each for each in state.exchanges.exchanges if not (each.is_offer and each.standing in TAKEN_UP)]
    ordered = sorted(shown, key=lambda each: (not each.to_answer, -each.timestamp, each.id))
    return [
        (
            each.id,
            (
                text(counterpart(each, state.me)),
                text(what(each, state)),
                standing(each),
                text(ago(each.timestamp, now), DIM),
            ),
        )
        for each in ordered
    ]
