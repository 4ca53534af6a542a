"""One gate for every text that came from a node: what passes is plain text on one line, whatever a peer wrote.

A nickname or note can carry escape sequences that drive a terminal, direction overrides that swap what is read, or
characters that nobody sees. `sanitize` removes them; `plain` applies it to every text in an answer, so that nothing
behind the client ever holds a raw one. Markup is a second matter: widgets render with `markup=False` or with `Text`.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import TypeVar, cast

import msgspec

from overlay.node.wire import Tell

T = TypeVar("T", bound=Tell)

# The longest text a member may write is a line of 280 characters; ids, addresses and sentences are shorter.
TEXT_LIMIT = 300
# An invitation has at most 1,000 characters and must come through whole, or nobody could join with it.
LONG_LIMIT = 1_000
# A QR code has at most 177 modules a side: with its margin 185 columns, two rows of modules in a line.
BLOCK_COLUMNS, BLOCK_LINES = 185, 185
# Vietnamese stacks two marks on a letter, Hebrew and Thai up to three; more is made to overflow its line.
MARKS_LIMIT = 3

_ESCAPES = re.compile(
    r"(?:\x1b\]|\x9d|\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC and other strings
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[ -/]*[0-~]?"  # every other sequence
)
# Not of category C, yet shown as nothing (or as a blank that is no space): fillers, joiners, variation selectors.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_BREAKS = frozenset("\t\n\r\v\f\x85")
_QR_CHARACTERS = frozenset(" █▀▄\xa0")


def sanitize(text: str, limit: int = TEXT_LIMIT) -> str:
    """The text on one line without anything that steers a terminal, changes direction or hides; at most `limit` long.

    Idempotent. What is longer ends in an ellipsis. Runs of white space become one space.
    """
    if not (text.isascii() and text.isprintable()):
        text = _without_unseen(_ESCAPES.sub("", text[: 4 * limit]))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _without_unseen(text: str) -> str:
    kept: list[str] = []
    marks = MARKS_LIMIT  # a mark with no letter before it would land on our own text
    for character in text:
        category = unicodedata.category(character)
        if category in ("Zl", "Zp") or character in _BREAKS:
            character = category = " "
        if category[0] == "C" or _is_unseen(character):
            continue
        marks = marks + 1 if category in ("Mn", "Me") else MARKS_LIMIT if character.isspace() else 0
        if marks <= MARKS_LIMIT:
            kept.append(character)
    return "".join(kept)


def _is_unseen(character: str) -> bool:
    return character in _UNSEEN or any(ord(character) in selectors for selectors in _SELECTORS)


def sanitize_block(text: str) -> str:
    """A QR code drawn with block characters: anything else in it becomes a space, and its size is bounded."""
    lines = text[: BLOCK_COLUMNS * BLOCK_LINES * 2].split("\n")[:BLOCK_LINES]
    return "\n".join("".join(c if c in _QR_CHARACTERS else " " for c in line[:BLOCK_COLUMNS]) for line in lines)


# Fields that are not one short line.
_OTHERWISE: dict[str, Callable[[str], str]] = {
    "qr": sanitize_block,
    "text": lambda text: sanitize(text, LONG_LIMIT),
}


def plain(told: T) -> T:
    """The same answer with every text in it sanitized, at any depth."""
    return cast(T, _walk(told, sanitize))


def _walk(value: object, clean: Callable[[str], str]) -> object:
    match value:
        case str():
            return clean(value)
        case tuple():
            return tuple(_walk(each, clean) for each in value)
        case dict():
            return {clean(key): _walk(each, clean) for key, each in value.items()}
        case msgspec.Struct():
            names = value.__struct_fields__
            return type(value)(*(_walk(getattr(value, name), _OTHERWISE.get(name, sanitize)) for name in names))
        case _:
            return value
