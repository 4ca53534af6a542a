"""Invitations: read as they were written, and told in one sentence when they were not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.network.invitation import MAX_TEXT, SCHEME, BadInvitation, Invitation, _check, check_address, parse
from tests.network.village import person

KEY = person("farmer").public_key


def invitation(*addresses: tuple[str, int]) -> Invitation:
    return Invitation(b"c" * 20, KEY, addresses, b"o" * 16)


def text_of(raw: bytes) -> str:
    """A text whose check digits fit, whatever is in it."""
    import base64

    return SCHEME + base64.urlsafe_b64encode(raw + _check(raw)).decode().rstrip("=")


def test_an_invitation_is_read_as_it_was_written() -> None:
    made = invitation(("192.168.1.7", 7759), ("bridge.example", 1), ("127.0.0.1", 65_535))
    assert parse(made.to_text()) == made


def test_line_breaks_and_spaces_of_a_letter_do_not_matter() -> None:
    made = invitation(("192.168.1.7", 7759))
    text = made.to_text()
    assert parse("\n  ".join(text[at : at + 20] for at in range(0, len(text), 20)) + "\n") == made


def test_the_largest_invitation_fits() -> None:
    longest = ".".join(["a" * 15] * 4)
    made = invitation(*[(longest, 65_535)] * 4)
    assert len(longest) == 63
    assert len(made.to_text()) <= MAX_TEXT
    assert parse(made.to_text()) == made


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello", "begins with 'counterfoil:'"),
        ("counterfoil:" + "A" * 700, "at most 600 characters"),
        (" " * 1_000_000 + "counterfoil:", "begins with 'counterfoil:'"),
        ("counterfoil:AAAA*AAA", r"a character that does not belong"),
        ("counterfoil:AAAAAAAAAAAA", "incomplete or mistyped"),
        ("counterfoil:", "incomplete or mistyped"),
        (text_of(b"\xc0"), "made by something else"),
        (text_of(b"\x91" * 200), "made by something else"),
        (text_of(msgspec.msgpack.encode([b"c" * 20, b"k" * 74, [("10.0.0.1", 1)], b"o" * 16])), "made by something"),
        (invitation(("::1", 1)).to_text(), "is IPv6, which this version does not speak"),
        (invitation(("0.0.0.0", 1)).to_text(), "nobody can be reached at 0.0.0.0:1"),
        (invitation(("255.255.255.255", 1)).to_text(), "nobody can be reached"),
        (invitation(("bad host\x1b[2J", 1)).to_text(), "neither an IP address nor a host name"),
        (invitation(("-a.example", 1)).to_text(), "neither an IP address nor a host name"),
        (invitation(("10.0.0.1", 0)).to_text(), "made by something else"),
        (invitation(("10.0.0.1", 65_536)).to_text(), "made by something else"),
        (invitation().to_text(), "made by something else"),
        (invitation(*[("10.0.0.1", 1)] * 5).to_text(), "made by something else"),
        (invitation(("a" * 65, 1)).to_text(), "made by something else"),
    ],
)
def test_a_wrong_invitation_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadInvitation, match=sentence) as caught:
        parse(text)
    assert str(caught.value).isprintable()


@given(st.data())
def test_one_wrong_character_is_found(data: st.DataObject) -> None:
    text = invitation(("192.168.1.7", 7759)).to_text()
    at = data.draw(st.integers(len(SCHEME), len(text) - 2))
    letter = data.draw(st.characters(codec="ascii", exclude_characters=text[at], categories=["L", "N"]))
    with pytest.raises(BadInvitation):
        parse(text[:at] + letter + text[at + 1 :])


@given(st.text(max_size=700))
def test_any_text_is_an_invitation_or_one_error(text: str) -> None:
    with pytest.raises(BadInvitation):
        parse(text)


def test_an_address_is_checked_before_it_is_invited_to() -> None:
    check_address(("bridge.example", 7759))
    with pytest.raises(BadInvitation, match="name the address that others see"):
        check_address(("0.0.0.0", 7759))
