"""Small drawings of numbers, made of characters."""

from rich.text import Text

from tui.theme import AMBER, DIM, TEAL

FAINT = "#3a4250"


def score_bar(low: float, score: float, high: float, full: float, width: int = 12) -> Text:
    """A score with its interval on a line that ends at `full`: solid up to the low end, a dot at the score.

    Values are finite; those outside 0..full are drawn at the ends, and all at the start where `full` is not positive.
    """
    start, dot, end = (_place(value, full, width) for value in (low, score, high))
    dot = min(dot, width - 1)
    bar = Text(no_wrap=True, end="")
    for at in range(width):
        if at == dot:
            bar.append("●", TEAL)
        else:
            bar.append("━" if at < end else "─", TEAL if at < start else AMBER if at < end else FAINT)
    return bar


def _place(value: float, full: float, width: int) -> int:
    part = min(max(value / full, 0.0), 1.0) if full > 0 else 0.0
    return round(part * width)


def tally_bar(yes: int, no: int, needed: int) -> Text:
    """Votes on the way to a decision: "2/3 yes, 1 no"."""
    words = Text(f"{yes}/{needed} yes", no_wrap=True, end="")
    if no:
        words.append(f", {no} no", DIM)
    return words
