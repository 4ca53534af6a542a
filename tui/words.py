"""How numbers, times and exchanges are put into words. Nothing here looks at a widget or at a clock."""

from datetime import UTC, datetime

from rich.text import Text

from overlay.node.wire import ExchangeModel, LegModel
from tui.state import State, called
from tui.theme import AMBER, DIM, GREEN, ORANGE, RED

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

STANDING_STYLE = {
    "proposed": AMBER,
    "provisional": ORANGE,
    "unproven": ORANGE,
    "final": GREEN,
    "refused": RED,
    "cancelled": DIM,
    "lapsed": DIM,
}


def text(words: object, style: str = "") -> Text:
    """A cell: never read as markup, on one line, cut with an ellipsis."""
    return Text(str(words), style=style, no_wrap=True, overflow="ellipsis", end="")


def figure(number: int, style: str = "") -> Text:
    """A cell with a number, aligned to the right, with thousands separators."""
    return Text(f"{number:,}", style=style, no_wrap=True, justify="right", end="")


def promise(title: str, unit: str) -> Text:
    """A cell with a promise and, dim, the unit that it is counted in."""
    return text(title).append(f"  {unit}", DIM)


def sats(amount: int) -> str:
    """An amount of bitcoin."""
    return f"{amount:,} sat"


def ago(time: int, now: int) -> str:
    """How long ago `time` was (both in milliseconds); the date when it is more than a week."""
    passed = now - time
    if passed < MINUTE:
        return "just now"
    if passed < HOUR:
        return f"{passed // MINUTE} min ago"
    if passed < DAY:
        return f"{passed // HOUR} h ago"
    return f"{passed // DAY} d ago" if passed < 7 * DAY else date(time)


def left(until: int, now: int) -> str:
    """How much time is left (both in milliseconds)."""
    rest = until - now
    if rest <= 0:
        return "time is up"
    if rest < HOUR:
        return f"{max(rest // MINUTE, 1)} min left"
    return f"{rest // HOUR} h left" if rest < 2 * DAY else f"{rest // DAY} days left"


def date(time: int) -> str:
    """The day in UTC, or a dash where there is none (0) or none that a calendar has."""
    if not 0 < time < 253_402_300_800_000:  # the end of the year 9999
        return "—"
    return datetime.fromtimestamp(time / SECOND, UTC).strftime("%d %b %Y")


def amount(leg: LegModel) -> str:
    """What one leg hands over: "2 loaf Bread of the week"."""
    return f"{leg.quantity:,} {leg.unit} {leg.promise}"


def other(exchange: ExchangeModel, me: str) -> str:
    """The key of the other party."""
    return exchange.counterparty if exchange.proposer == me else exchange.proposer


def counterpart(exchange: ExchangeModel, me: str) -> str:
    """The name of the other party."""
    if exchange.proposer == me:
        return called(exchange.counterparty_name, exchange.counterparty)
    return called(exchange.proposer_name, exchange.proposer)


def gives(exchange: ExchangeModel, me: str) -> str:
    """What this member gives; empty when nothing."""
    own = ", ".join(amount(leg) for leg in exchange.legs if leg.giver == me)
    return exchange.wants if exchange.wants and exchange.proposer != me else own


def gets(exchange: ExchangeModel, me: str) -> str:
    """What this member gets; empty when nothing."""
    others = ", ".join(amount(leg) for leg in exchange.legs if leg.giver != me)
    return exchange.wants if exchange.wants and exchange.proposer == me else others


def what(exchange: ExchangeModel, state: State) -> str:
    """An exchange in one line, in the eyes of this member: give, get, redeem (with another), fulfil (for another)."""
    given, got = gives(exchange, state.me), gets(exchange, state.me)
    redeems = all(leg.receiver == state.issuer(leg.voucher) for leg in exchange.legs)
    if given and got:
        return f"give {given} for {got}" if exchange.proposer == state.me else f"get {got} for {given}"
    if given:
        return f"{'redeem' if redeems else 'give'} {given}"
    if got:
        return f"{'fulfil' if redeems else 'get'} {got}"
    return exchange.deed or exchange.note or "nothing yet: its terms have not arrived"


def standing(exchange: ExchangeModel) -> Text:
    """Where an exchange stands, and for whose word one waits."""
    words = Text(exchange.standing, style=STANDING_STYLE[exchange.standing], no_wrap=True, overflow="ellipsis", end="")
    if exchange.to_answer:
        words.append(" · you", style=f"bold {AMBER}")
    elif exchange.waiting_for:
        words.append(f" · {exchange.waiting_for}", style=DIM)
    return words
