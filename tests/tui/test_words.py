"""Numbers, times and exchanges in words."""

import pytest

from overlay.node.wire import ExchangeModel
from tests.tui import story
from tests.tui.story import DAY, HOUR, MINUTE, NOW, exchange, leg
from tui.state import State
from tui.widgets.bar import score_bar
from tui.words import ago, date, left, sats, standing, what


@pytest.mark.parametrize(
    ("passed", "words"),
    [(0, "just now"), (-HOUR, "just now"), (MINUTE - 1, "just now"), (MINUTE, "1 min ago"), (HOUR - 1, "59 min ago"),
     (HOUR, "1 h ago"), (DAY, "1 d ago"), (7 * DAY - 1, "6 d ago"), (7 * DAY, "08 Jan 2027")],
)  # fmt: skip
def test_how_long_ago(passed: int, words: str) -> None:
    assert ago(NOW - passed, NOW) == words


@pytest.mark.parametrize(
    ("rest", "words"),
    [(0, "time is up"), (-1, "time is up"), (1, "1 min left"), (HOUR, "1 h left"), (2 * DAY - 1, "47 h left"),
     (2 * DAY, "2 days left")],
)  # fmt: skip
def test_how_much_time_is_left(rest: int, words: str) -> None:
    assert left(NOW + rest, NOW) == words


@pytest.mark.parametrize(
    ("time", "words"), [(0, "—"), (-1, "—"), (2**63, "—"), (253_402_300_799_999, "31 Dec 9999"), (1, "01 Jan 1970")]
)
def test_dates_that_no_calendar_has_are_a_dash(time: int, words: str) -> None:
    assert date(time) == words


def test_sats_have_separators() -> None:
    assert sats(12_345_678) == "12,345,678 sat"


def told() -> State:
    return State(status=story.status(), vouchers=story.vouchers())


CAKE = leg("farmer", "baker", "Birthday cake", "cake", 1)
MILK = {to: leg("farmer", to, "Milk", "litre", 2) for to in ("baker", "teacher")}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (exchange("1", "baker", "farmer", (leg("baker", "farmer", "Milk", "litre", 2),)), "redeem 2 litre Milk"),
        (exchange("2", "farmer", "baker", (CAKE,)), "fulfil 1 cake Birthday cake"),
        (exchange("3", "baker", "teacher", (leg("baker", "teacher", "Milk", "litre", 2),)), "give 2 litre Milk"),
        (exchange("4", "farmer", "baker", (MILK["baker"],)), "get 2 litre Milk"),
        (exchange("5", "farmer", "baker", (MILK["baker"],), is_offer=True, wants="1 cake"),
         "get 2 litre Milk for 1 cake"),
        (exchange("6", "baker", "farmer", (leg("baker", "farmer", "Birthday cake", "cake", 1),), is_offer=True,
                  wants="2 litre Milk"), "give 1 cake Birthday cake for 2 litre Milk"),
        (exchange("7", "teacher", "baker", (), deed="taught"), "taught"),
        (exchange("8", "teacher", "baker", ()), "nothing yet: its terms have not arrived"),
    ],
)  # fmt: skip
def test_an_exchange_in_one_line(seen: ExchangeModel, words: str) -> None:
    assert what(seen, told()) == words


def test_a_standing_says_for_whom_one_waits() -> None:
    waiting = exchange("1", "farmer", "baker", (), standing="provisional", waiting_for="farmer")
    assert standing(waiting).plain == "provisional · farmer"
    assert standing(exchange("2", "farmer", "baker", (), to_answer=True, waiting_for="baker")).plain == "proposed · you"
    assert standing(exchange("3", "farmer", "baker", (), standing="final")).plain == "final"


@pytest.mark.parametrize(
    ("score", "bar"),
    [((0.0, 0.0, 0.0, 1.0), "●───"), ((0.5, 0.5, 0.5, 1.0), "━━●─"), ((1.0, 1.0, 1.0, 1.0), "━━━●"),
     ((0.0, 0.5, 1.0, 1.0), "━━●━"), ((9.0, 9.0, 9.0, 1.0), "━━━●"), ((-1.0, -1.0, -1.0, 1.0), "●───"),
     ((1.0, 1.0, 1.0, 0.0), "●───"), ((1e308, 1e308, 1e308, 1e-300), "━━━●")],
)  # fmt: skip
def test_a_score_is_a_dot_on_a_line(score: tuple[float, float, float, float], bar: str) -> None:
    assert score_bar(*score, width=4).plain == bar
