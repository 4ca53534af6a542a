"""A picture without what a camera adds: where, when, with what and by whom it was taken.

Works on segments and chunks; the pixels stay as they are, byte for byte. Only the orientation is kept, since without
it a phone's photo lies on its side. JPEG: ITU T.81 annex B and Exif 2.3; PNG: its third edition, section 11; WebP:
RFC 9649.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from overlay.content.picture import BadPicture, kind_of, orientation

# Segments of a JPEG that change how its pixels look: JFIF, a colour profile, Adobe's colour transform.
_JPEG_KEPT = ((0xE0, b""), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))
_JPEG_NOTES = range(0xE0, 0xF0)
_JPEG_COMMENT, _JPEG_SCAN, _JPEG_END = 0xFE, 0xDA, 0xD9
# In a scan FF 00 is data and FF D0..D7 are restarts; any other marker ends it.
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_PNG_NOTES = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
_WEBP_NOTES = {b"EXIF", b"XMP "}
_WEBP_EXIF_FLAG, _WEBP_XMP_FLAG = 0x08, 0x04


def clean_picture(data: bytes) -> bytes:
    """The same picture without notes; `data` has passed `check_picture`. Raises BadPicture where it does not add up."""
    kind = kind_of(data)
    try:
        return _CLEANERS[kind](data, _exif(orientation(data)))
    except (struct.error, IndexError) as error:
        raise BadPicture(f"The {kind} picture is damaged.") from error


def _exif(turned: int) -> bytes:
    """The smallest Exif body (TIFF, big-endian, one entry) that states an orientation; empty for upright."""
    if turned == 1:
        return b""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, turned, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def _clean_jpeg(data: bytes, exif: bytes) -> bytes:
    clean = io.BytesIO()
    clean.write(data[:2])
    if exif:
        clean.write(b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif)
    for marker, segment in _jpeg_segments(data):
        if not _jpeg_note(marker, segment):
            clean.write(segment)
    return clean.getvalue()


def _jpeg_note(marker: int, segment: bytes) -> bool:
    """Whether a segment says nothing about pixels."""
    if any(marker == kept and segment.startswith(start, 4) for kept, start in _JPEG_KEPT):
        return False
    return marker == _JPEG_COMMENT or marker in _JPEG_NOTES


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each segment up to the end of the first picture; a scan includes its data."""
    at = 2
    while data[at + 1] != _JPEG_END:
        mark, marker, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            raise BadPicture("The JPEG picture is damaged.")
        if marker == 0xFF:  # a fill byte before a marker
            at += 1
            continue
        end = at + 2 + length
        if marker == _JPEG_SCAN:
            found = _JPEG_SCAN_END.search(data, end)
            end = found.start() if found else len(data)
        yield marker, data[at:end]
        at = end
    yield _JPEG_END, data[at : at + 2]


def _clean_png(data: bytes, exif: bytes) -> bytes:
    clean = io.BytesIO()
    clean.write(data[:8])
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind not in _PNG_NOTES:
            clean.write(data[at : at + length + 12])
        if kind == b"IHDR" and exif:
            body = b"eXIf" + exif
            clean.write(struct.pack(">I", len(exif)) + body + struct.pack(">I", zlib.crc32(body)))
        at += length + 12
    return clean.getvalue()


def _clean_webp(data: bytes, exif: bytes) -> bytes:
    chunks = io.BytesIO()
    at = 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if kind == b"VP8X":
            flags = data[at + 8] & ~(_WEBP_EXIF_FLAG | _WEBP_XMP_FLAG) | (_WEBP_EXIF_FLAG if exif else 0)
            chunks.write(data[at : at + 8] + bytes([flags]) + data[at + 9 : end])
        elif kind not in _WEBP_NOTES:
            chunks.write(data[at:end])
        at = end
    if exif:
        chunks.write(b"EXIF" + struct.pack("<I", len(exif)) + exif)
    body = b"WEBP" + chunks.getvalue()
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _clean_gif(data: bytes, exif: bytes) -> bytes:
    # No camera makes GIFs; their comments are what people put there.
    return data


_CLEANERS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "JPEG": _clean_jpeg,
    "PNG": _clean_png,
    "WEBP": _clean_webp,
    "GIF": _clean_gif,
}
