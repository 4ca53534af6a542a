"""Pictures without the notes of a camera: nothing private is left, and the pixels look the same."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from overlay.content import BadPicture, check_picture, clean_picture

SECRET = b"51.9995 N, 4.3625 E, by the baker"
KINDS = ["JPEG", "PNG", "WEBP", "GIF"]


def exif(orientation=1):
    notes = Image.Exif()
    notes[0x0112] = orientation
    notes[0x010E] = SECRET.decode()
    return notes.tobytes()


@pytest.fixture(scope="session")
def noted(picture):
    """A picture full of notes: Exif, comments, XMP."""

    def noted(kind, orientation=1):
        options = {"exif": exif(orientation)}
        if kind == "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_text("Comment", SECRET.decode())
            text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
            options["pnginfo"] = text
        elif kind == "JPEG":
            options |= {"comment": SECRET, "icc_profile": b"a colour profile", "progressive": True, "xmp": SECRET}
        else:
            options |= {"xmp": SECRET}
        return picture(kind, **options)

    return noted


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.size, image.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_a_camera_noted_is_gone_and_the_pixels_are_the_same(noted, kind):
    data = noted(kind)
    assert SECRET in data
    clean = clean_picture(data)
    assert SECRET not in clean
    assert b"xif" not in clean
    assert pixels(clean) == pixels(data)
    assert check_picture(clean) == check_picture(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_taken_sideways_stays_upright_for_the_viewer(noted, kind):
    clean = clean_picture(noted(kind, orientation=6))
    assert SECRET not in clean
    with Image.open(io.BytesIO(clean)) as image:
        assert dict(image.getexif()) == {0x0112: 6}


@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_picture_stays_as_it_is(picture, kind):
    clean = clean_picture(picture(kind))
    assert clean_picture(clean) == clean
    assert pixels(clean) == pixels(picture(kind))


def test_colours_stay_described(noted):
    with Image.open(io.BytesIO(clean_picture(noted("JPEG")))) as image:
        assert image.info["icc_profile"] == b"a colour profile"


def test_what_cameras_put_behind_a_photo_is_gone(picture):
    assert clean_picture(picture("JPEG") + SECRET + picture("JPEG")) == clean_picture(picture("JPEG"))


def passes_or_is_refused(data):
    """Nothing else can happen, within the same number of bytes."""
    try:
        return len(clean_picture(data)) <= len(data) + 64
    except BadPicture as refused:
        return str(refused).endswith(".")


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=6),
    st.integers(0, 400),
)
def test_a_damaged_picture_is_cleaned_or_refused(noted, kind, damage, missing):
    data = bytearray(noted(kind) if kind != "GIF" else noted("PNG"))
    for position, flip in damage:
        data[position % len(data)] ^= flip
    assert passes_or_is_refused(bytes(data[: len(data) - missing]))


def test_a_jpeg_whose_segments_do_not_join_is_refused(picture):
    data = bytearray(picture("JPEG"))
    data[4:6] = struct.pack(">H", 3)
    with pytest.raises(BadPicture):
        clean_picture(bytes(data))


def test_fill_bytes_before_a_marker_are_allowed(picture):
    data = picture("JPEG")
    assert clean_picture(data[:2] + b"\xff\xff" + data[2:]) == clean_picture(data)
