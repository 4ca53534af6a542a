"""A picture of the viewer's trust neighbourhood, as SVG text or PNG bytes.

Names come from strangers. Whatever is not a plain visible character is left out (controls, bidirectional
overrides, zero-width and unassigned characters), and what remains is escaped, so a name can neither leave its
place in the markup nor change how the rest is read.
"""

import io
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from overlay.meritrank.reputation import Reputation

SIZE = 800
MAX_MEMBERS = 60
_NAME_LENGTH = 24
_INK, _PAPER, _EGO, _LINE = "#1f2933", "#ffffff", "#b7472a", "#c3ccd4"


@dataclass(frozen=True, slots=True)
class Dot:
    """A member in the picture: centre, radius, colour and cleaned name."""

    x: float
    y: float
    radius: float
    colour: str
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """Feedback between two members in the picture, from receiver to provider; `width` follows its share."""

    start: Dot
    end: Dot
    width: float


def plain(name: str, length: int = _NAME_LENGTH) -> str:
    """`name` without anything but visible characters and single spaces, cut to `length`."""
    visible = "".join(" " if char.isspace() else char for char in name[: 16 * length] if _is_plain(char))
    text = " ".join(visible.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _is_plain(char: str) -> bool:
    # C: controls, formats (bidi, zero width), surrogates, private use, unassigned. Z: spaces, line separators.
    # M: combining marks, which pile up without limit over their neighbours.
    kind = unicodedata.category(char)
    return kind[0] not in "CM" or char in "\t\n"


def layout(reputation: Reputation, name: Callable[[bytes], str], count: int = 20) -> tuple[list[Line], list[Dot]]:
    """Place the viewer and the `count` (at most 60) best members: the nearer the centre, the higher the score."""
    best = reputation.top(min(count, MAX_MEMBERS))
    centre = SIZE / 2
    dots = {reputation.ego: Dot(centre, centre, 16, _EGO, plain(name(reputation.ego)))}
    for place, (member, score) in enumerate(best):
        angle = math.pi * (3 - math.sqrt(5)) * place
        distance = SIZE * (0.15 + 0.28 * math.sqrt((place + 1) / len(best)))
        position = (centre + distance * math.cos(angle), centre + distance * math.sin(angle))
        dots[member] = Dot(*position, 5 + 18 * math.sqrt(score.value), _shade(score.value), plain(name(member)))
    return _lines(reputation, dots), list(dots.values())


def _shade(value: float) -> str:
    strength = min(1.0, math.sqrt(value))
    return f"#{int(150 - 110 * strength):02x}{int(175 - 70 * strength):02x}{int(190 - 30 * strength):02x}"


def _lines(reputation: Reputation, dots: dict[bytes, Dot]) -> list[Line]:
    lines = []
    for receiver, start in dots.items():
        node = reputation.graph.find(receiver)
        total = reputation.graph.total(node)
        for provider, weight in reputation.graph.row(node).items():
            if end := dots.get(reputation.graph.key(provider)):
                lines.append(Line(start, end, 0.5 + 4 * math.sqrt(weight / total)))
    return lines


def svg(reputation: Reputation, name: Callable[[bytes], str], count: int = 20) -> str:
    """The neighbourhood as an SVG document; `name` gives what to call a member and may return anything."""
    lines, dots = layout(reputation, name, count)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}">',
        f'<rect width="{SIZE}" height="{SIZE}" fill="{_PAPER}"/>',
        *map(_svg_line, lines),
        *map(_svg_dot, dots),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _svg_line(line: Line) -> str:
    ends = f'x1="{line.start.x:.1f}" y1="{line.start.y:.1f}" x2="{line.end.x:.1f}" y2="{line.end.y:.1f}"'
    return f'<line {ends} stroke="{_LINE}" stroke-width="{line.width:.2f}"/>'


def _svg_dot(dot: Dot) -> str:
    circle = f'<circle cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{dot.radius:.1f}" fill="{dot.colour}"/>'
    place = f'x="{dot.x:.1f}" y="{dot.y + dot.radius + 13:.1f}" text-anchor="middle"'
    font = f'font-family="sans-serif" font-size="12" fill="{_INK}"'
    return f"{circle}<text {place} {font}>{escape(dot.name)}</text>"


def png(reputation: Reputation, name: Callable[[bytes], str], count: int = 20) -> bytes:
    """The neighbourhood as a PNG image, drawn by Pillow with its own font (other scripts show as boxes)."""
    from PIL import Image, ImageDraw, ImageFont

    lines, dots = layout(reputation, name, count)
    image = Image.new("RGB", (SIZE, SIZE), _PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    for line in lines:
        draw.line((line.start.x, line.start.y, line.end.x, line.end.y), _LINE, max(1, round(line.width)))
    for dot in dots:
        draw.circle((dot.x, dot.y), dot.radius, dot.colour)
        draw.text((dot.x, dot.y + dot.radius + 3), dot.name, _INK, font, anchor="ma")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
