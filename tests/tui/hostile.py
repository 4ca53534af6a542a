"""Texts that a malicious peer may put where a name belongs, and the check that none of it came through."""

import unicodedata

CRASHES = "[/]"
CLICKS = "[@click=app.quit]free bread[/]"
COLOURS = "\x1b[31mred\x1b[0m"
TITLE = "\x1b]0;owned\x07after"
C1 = "\x9b31mred"
OVERRIDE = "baker\u202erekam\u202c"
ISOLATE = "\u2066baker\u2069"
ZERO_WIDTH = "ba\u200bk\u200der\ufeff"
LINES = "baker\nowes\r\n\tyou"
ZALGO = "b" + "\u0301" * 500
LONG = "x" * 5_000
TAGS = "baker\U000e0041\U000e0042"
FILLERS = "\u3164\u2800\u115f"

NAMES = (
    *(CRASHES, CLICKS, COLOURS, TITLE, C1, OVERRIDE, ISOLATE, ZERO_WIDTH, LINES, ZALGO, LONG, TAGS, FILLERS),
    *("", "\\[", "[", "[red]", "a" + "\x00" + "b"),
)


def is_plain(text: str) -> bool:
    """Whether nothing in the text steers a terminal, changes direction, hides or breaks the line."""
    return not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for each in text)
