"""What is a picture, and what only says so."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.content import BadPicture, check_picture
from overlay.content.picture import PICTURE_LIMIT, PIXELS_LIMIT, SIDE_LIMIT

KINDS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif"}


def png_claiming(width, height):
    """A tiny PNG whose header promises `width` x `height` pixels, checksums and all."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def refusal(data):
    with pytest.raises(BadPicture) as failure:
        check_picture(data)
    sentence = str(failure.value)
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    return sentence


@pytest.mark.parametrize("kind", KINDS)
def test_real_pictures_pass_and_give_their_extension(picture, kind):
    assert check_picture(picture(kind)) == KINDS[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.99])
def test_a_picture_that_is_cut_off_is_refused(picture, kind, part):
    whole = picture(kind)
    assert "cut off" in refusal(whole[: int(len(whole) * part)])


def test_a_damaged_checksum_is_refused(picture):
    whole = bytearray(picture("PNG"))
    whole[len(whole) // 2] ^= 1
    assert refusal(bytes(whole)) == "The PNG picture is damaged."


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<html><body onload=alert(1)></html>",
        b"%PDF-1.7",
        b"BM" + bytes(100),
        b"RIFF" + bytes(100),
        b"\x00",
    ],
)
def test_what_is_no_picture_is_refused_whatever_its_name(data):
    assert refusal(data) == "The file is no PNG, JPEG, WebP or GIF picture."


def test_an_empty_file_is_refused():
    assert refusal(b"") == "The file is empty."


def test_the_size_counts_to_the_byte(picture):
    # A comment block of a JPEG fills it up to the limit without changing the picture.
    whole = picture("JPEG")
    filled = _filled(whole, PICTURE_LIMIT)
    assert len(filled) == PICTURE_LIMIT
    assert check_picture(filled) == ".jpg"
    assert "can be shared" in refusal(_filled(whole, PICTURE_LIMIT + 1))


def _filled(jpeg, length):
    """The same picture with comment segments, each of at most 64 KiB, up to `length` bytes."""
    missing = length - len(jpeg)
    comments = b""
    while missing > 0:
        # Half of what is left, once that fits, so that no last segment is shorter than its own header.
        segment = min(60_000, missing if missing <= 60_000 else missing // 2)
        comments += b"\xff\xfe" + struct.pack(">H", segment - 2) + bytes(segment - 4)
        missing -= segment
    return jpeg[:2] + comments + jpeg[2:]


def test_a_bomb_of_twenty_thousand_by_twenty_thousand_pixels_is_refused():
    assert "pixels" in refusal(png_claiming(20_000, 20_000))


def test_pixels_count_to_the_last_one():
    width = 8_000
    assert check_picture(png_claiming(width, PIXELS_LIMIT // width)) == ".png"
    assert "pixels" in refusal(png_claiming(width, PIXELS_LIMIT // width + 1))


def test_sides_count_to_the_last_pixel():
    assert check_picture(png_claiming(SIDE_LIMIT, 1)) == ".png"
    refusal(png_claiming(SIDE_LIMIT + 1, 1))


def test_an_archive_behind_a_picture_is_refused(picture):
    refusal(picture("PNG") + b"PK\x03\x04" + bytes(50))


def passes_or_is_refused(data):
    """Nothing else can happen: no other error, no sentence that is none."""
    try:
        return check_picture(data) in KINDS.values()
    except BadPicture as refused:
        return str(refused).endswith(".")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=8))
def test_a_picture_with_any_damage_passes_or_is_refused(picture, kind, damage):
    data = bytearray(picture(kind))
    for position, flip in damage:
        data[position % len(data)] ^= flip
    assert passes_or_is_refused(bytes(data))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP"]), st.binary(max_size=200)
)
def test_any_bytes_behind_a_known_start_pass_or_are_refused(start, rest):
    assert passes_or_is_refused(start + rest)
