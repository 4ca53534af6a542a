"""Pictures show the neighbourhood, and no name leaves its place in them."""

import io
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overlay.meritrank import FeedbackGraph, Reputation
from overlay.meritrank.picture import MAX_MEMBERS, SIZE, layout, plain, png, svg

FARMER, BAKER, MECHANIC = b"farmer", b"baker", b"mechanic"
TEXT = "{http://www.w3.org/2000/svg}text"


def village() -> Reputation:
    graph = FeedbackGraph()
    graph.put(FARMER, BAKER, 9)
    graph.put(FARMER, MECHANIC, 1)
    graph.put(BAKER, MECHANIC, 2)
    graph.put(BAKER, FARMER, 8)
    graph.put(MECHANIC, FARMER, 2)
    return Reputation(graph, FARMER, b"seed", 200)


def decoded(member: bytes) -> str:
    return member.decode()


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter(TEXT)]


def test_the_viewer_and_the_best_members_are_shown_with_their_feedback() -> None:
    picture = svg(village(), decoded)
    assert texts(picture) == ["farmer", "baker", "mechanic"]
    assert picture.count("<line ") == 5
    assert texts(svg(village(), decoded, count=1)) == ["farmer", "baker"]


def test_a_viewer_without_feedback_stands_alone() -> None:
    assert texts(svg(Reputation(FeedbackGraph(), FARMER, b"seed", 5), decoded)) == ["farmer"]


def test_the_number_of_members_shown_is_limited() -> None:
    graph = FeedbackGraph()
    for number in range(MAX_MEMBERS + 20):
        graph.put(FARMER, b"%d" % number, 1)
    _, dots = layout(Reputation(graph, FARMER, b"seed"), decoded, count=10**9)
    assert len(dots) == MAX_MEMBERS + 1
    assert all(0 < dot.x < SIZE and 0 < dot.y < SIZE for dot in dots)


HOSTILE = [
    ("</text><script>alert(1)</script>", "</text><script>alert(1)…"),
    ('"><image href="x', '"><image href="x'),
    ("&amp;<!--]]>", "&amp;<!--]]>"),
    ("a\u202eb\u2066c\u200bd\u00ade", "abcde"),
    ("a\x00b\x1b[31mc\x07\x9b", "ab[31mc"),
    ("a\ud800b\ufffec\U000e0041d", "abcd"),
    ("a\u0301\u0302\u0303b", "ab"),
    ("a\n\n  b\tc\u2028d\u3000e", "a b c d e"),
    ("x" * 10_000, "x" * 23 + "…"),
    ("\u202e" * 1_000_000, ""),
]


@pytest.mark.parametrize(("name", "shown"), HOSTILE)
def test_hostile_names_are_shown_as_plain_text(name: str, shown: str) -> None:
    picture = svg(village(), lambda _: name)
    assert texts(picture) == [shown] * 3
    assert {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()} == {
        "svg",
        "rect",
        "line",
        "circle",
        "text",
    }
    assert plain(name) == shown


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_any_name_gives_well_formed_markup_without_invisible_characters(name: str) -> None:
    reputation = village()
    picture = svg(reputation, lambda _: name)
    assert texts(picture) == [plain(name)] * 3
    assert all(char.isprintable() or char == "\u3000" for char in plain(name))
    assert picture.encode()


def test_the_same_scores_give_the_same_picture() -> None:
    assert svg(village(), decoded) == svg(village(), decoded)


def test_the_png_is_an_image_of_the_same_size() -> None:
    image = Image.open(io.BytesIO(png(village(), lambda _: "näme <b>\u202e")))
    assert (image.format, image.size) == ("PNG", (SIZE, SIZE))
    assert len(image.getcolors(SIZE * SIZE) or []) > 3
