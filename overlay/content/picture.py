"""Is it a picture? Judged from its headers and structure; the pixels are never decoded in the node."""

import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# 4 MiB: a photo of 12 megapixels at good JPEG quality.
PICTURE_LIMIT = 4 * 1024**2
# A viewer needs 4 bytes for a pixel: 40 million pixels are 160 MB for a moment, which a small phone still has.
PIXELS_LIMIT = 40_000_000
# WebP's own maximum; the widest that the other formats need too.
SIDE_LIMIT = 16_383
EXIF_ORIENTATION = 0x0112

_STARTS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
_EXTENSIONS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif"}
# Naming the one plugin keeps Pillow from importing all of its forty.
_PLUGINS = {
    "PNG": "PIL.PngImagePlugin",
    "JPEG": "PIL.JpegImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "GIF": "PIL.GifImagePlugin",
}


class BadPicture(ValueError):
    """The bytes are no picture that can be shared; the message is one sentence for people."""


def check_picture(data: bytes) -> str:
    """The extension (.png, .jpg, .webp or .gif) of the picture in `data`; raises BadPicture.

    Pillow is imported at the first call, so a node that publishes no picture does without.
    """
    if not data:
        raise BadPicture("The file is empty.")
    if len(data) > PICTURE_LIMIT:
        raise BadPicture(f"The picture has {len(data):,} bytes; at most {PICTURE_LIMIT:,} can be shared.")
    kind = kind_of(data)
    if not _ENDS[kind](data):
        raise BadPicture(f"The {kind} picture is cut off, or something was added after its end.")
    width, height = _size(data)
    if max(width, height) > SIDE_LIMIT or width * height > PIXELS_LIMIT:
        raise BadPicture(f"The picture is {width} x {height}; at most {PIXELS_LIMIT:,} pixels can be shared.")
    return _EXTENSIONS[kind]


def kind_of(data: bytes) -> str:
    """Pillow's name of the format that the first bytes tell; raises BadPicture."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    raise BadPicture("The file is no PNG, JPEG, WebP or GIF picture.")


def orientation(data: bytes) -> int:
    """How the picture wants to be turned: 1 (upright) to 8, as in Exif; raises BadPicture."""
    with _opened(data) as image:
        turned = image.getexif().get(EXIF_ORIENTATION, 1)
    return turned if turned in range(1, 9) else 1


def _size(data: bytes) -> tuple[int, int]:
    """Width and height, once Pillow has walked through headers and checksums."""
    with _opened(data) as image:
        size = image.size
        image.verify()
    return size


@contextmanager
def _opened(data: bytes) -> "Iterator[Image]":
    """A picture whose header is read; all that Pillow raises within becomes BadPicture."""
    kind = kind_of(data)
    importlib.import_module(_PLUGINS[kind])
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with closing(Image.open(io.BytesIO(data), formats=[kind])) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BadPicture(f"The picture has far more than {PIXELS_LIMIT:,} pixels.") from None
    except _PILLOW_ERRORS as error:
        raise BadPicture(f"The {kind} picture is damaged.") from error


# What Pillow's parsers let through on hostile input.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,
)


def _png_ends(data: bytes) -> bool:
    return data.endswith(b"\0\0\0\0IEND\xaeB`\x82")


def _jpeg_ends(data: bytes) -> bool:
    # Cameras add a second small picture or notes: an end must follow the last scan, more may follow that.
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda") > 0


def _gif_ends(data: bytes) -> bool:
    return data.rstrip(b"\0").endswith(b";")


def _webp_ends(data: bytes) -> bool:
    return int.from_bytes(data[4:8], "little") + 8 == len(data)


_ENDS: dict[str, Callable[[bytes], bool]] = {"PNG": _png_ends, "JPEG": _jpeg_ends, "GIF": _gif_ends, "WEBP": _webp_ends}
