"""Text from a peer reaches a terminal only as plain text (invariant 11)."""

import inspect as python_inspect

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from overlay.node import wire
from tests.tui import hostile
from tests.tui.hostile import is_plain
from tui.sanitize import (
    BLOCK_COLUMNS,
    BLOCK_LINES,
    LONG_LIMIT,
    MARKS_LIMIT,
    TEXT_LIMIT,
    plain,
    sanitize,
    sanitize_block,
)

SEQUENCES = st.sampled_from(
    ["\x1b[31m", "\x1b]0;t\x07", "\x1b]8;;http://x\x1b\\", "\x1bP+q\x9c", "\x9b2J", "\x1b", "\x1bc", "\u202e", "\u2066",
     "\u200b", "\u0301", "\ufe0f", "\u3164", "\n", "\x85", "\u2028", "[/]", "[red]", "\U000e0041", "\ud800"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.text(max_size=20), SEQUENCES), max_size=40).map("".join)


@given(TEXTS)
def test_whatever_comes_in_what_goes_out_is_plain(text: str) -> None:
    assert is_plain(sanitize(text))


@given(TEXTS)
def test_it_is_one_line_without_runs_of_blanks_and_within_the_limit(text: str) -> None:
    shown = sanitize(text)
    assert shown == " ".join(shown.split())
    assert len(shown) <= TEXT_LIMIT


@given(TEXTS, st.integers(min_value=1, max_value=400))
def test_to_sanitize_twice_changes_nothing_more(text: str, limit: int) -> None:
    assert sanitize(sanitize(text, limit), limit) == sanitize(text, limit)


@given(st.text(st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FF), max_size=TEXT_LIMIT))
def test_ordinary_text_comes_through_unchanged(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize(
    "text", ["Bäckerei Müller", "面包师傅", "אופה", "نانوا", "ช่างทำขนมปัง", "Bánh mì", "🥖 baker", "[/]", "a[b]"]
)
def test_names_of_all_the_world_come_through_unchanged(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (hostile.COLOURS, "red"),
        (hostile.TITLE, "after"),
        (hostile.C1, "red"),
        (hostile.OVERRIDE, "bakerrekam"),
        (hostile.ISOLATE, "baker"),
        (hostile.ZERO_WIDTH, "baker"),
        (hostile.LINES, "baker owes you"),
        (hostile.TAGS, "baker"),
        (hostile.FILLERS, ""),
        ("\x1b]52;c;ZXZpbA==\x1b\\name", "name"),
        ("\x1b]0;never ends", ""),
        ("\u0301\u0301baker", "baker"),
        ("a\u0301\u200b\u0301\u0301\u0301\u0301", "a\u0301\u0301\u0301"),
    ],
)
def test_what_is_removed_leaves_no_trace(text: str, shown: str) -> None:
    assert sanitize(text) == shown


def test_a_text_at_the_limit_is_whole_and_one_more_is_cut_with_an_ellipsis() -> None:
    assert sanitize("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT
    assert sanitize("x" * (TEXT_LIMIT + 1)) == "x" * (TEXT_LIMIT - 1) + "…"


def test_marks_are_stacked_up_to_the_limit() -> None:
    assert sanitize("b" + "\u0301" * (MARKS_LIMIT + 1)) == "b" + "\u0301" * MARKS_LIMIT


def test_a_qr_code_keeps_its_blocks_and_nothing_else() -> None:
    assert sanitize_block("█▀ ▄\xa0\n█\x1b[31m▄") == "█▀ ▄\xa0\n█     ▄"
    lines = sanitize_block("\n".join(["█" * (BLOCK_COLUMNS + 1)] * (BLOCK_LINES + 1))).split("\n")
    assert len(lines) <= BLOCK_LINES
    assert max(map(len, lines)) == BLOCK_COLUMNS


def test_the_longest_invitation_comes_through_whole() -> None:
    text = "i" * LONG_LIMIT
    assert plain(wire.InvitationModel(text, "█")).text == text


TELLS = [each for _, each in python_inspect.getmembers(wire, python_inspect.isclass) if issubclass(each, wire.Tell)]


@pytest.mark.parametrize("told", TELLS, ids=lambda told: told.__name__)
def test_no_text_of_any_answer_escapes(told: type[wire.Tell]) -> None:
    hostile_text = "\x1b[31m\u202e[@click=app.quit]\nname\u200b"
    cleaned = plain(_filled(told, hostile_text))
    texts = _texts(msgspec.to_builtins(cleaned))
    assert all(is_plain(text) or set(text) <= {" ", "\n"} for text in texts)
    assert not any("\u202e" in text or "\x1b" in text for text in texts)


def _filled(told: type[wire.Tell], text: str) -> wire.Tell:
    """An answer with this text wherever a text may stand."""
    return msgspec.convert(_value(inspect.type_info(told), text), told)


def _value(kind: inspect.Type, text: str) -> object:
    match kind:
        case inspect.StructType(fields=fields):
            return {field.encode_name: _value(field.type, text) for field in fields}
        case inspect.VarTupleType(item_type=item):
            return [_value(item, text)]
        case inspect.DictType(key_type=key, value_type=item):
            return {_value(key, text): _value(item, text)}
        case inspect.UnionType(types=types):
            return _value(types[0], text)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.StrType():
            return text
        case _:
            return {inspect.BoolType: True, inspect.NoneType: None, inspect.BytesType: b""}.get(type(kind), 1)


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | tuple():
            return [text for each in value for text in _texts(each)]
        case dict():
            return [text for pair in value.items() for each in pair for text in _texts(each)]
        case _:
            return []
