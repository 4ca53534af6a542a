"""Graph files: one edge a line, `from,to,weight[,time]`, from = receiver, to = provider.

Labels are any bytes but commas and line ends; weights are whole numbers; time is read past. A first line whose
weight is a word is a header; blank lines and lines that begin with # say nothing. Files of plain numbers, as
large graphs are, take a path over whole arrays; any other file is read line by line, which also finds the line
and column of a fault.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlay.meritrank.arrays import Flags, Longs, Nodes
from overlay.meritrank.edges import MAX_ROW_TOTAL
from overlay.meritrank.errors import MalformedTable
from overlay.meritrank.graph import FeedbackGraph

_COMMA, _NEWLINE, _ZERO, _MINUS, _DOT = b",\n0-."
# Parsing works on this many bytes at a time: about 12 temporaries of 8 bytes per field stay below 200 MB.
CHUNK_BYTES = 16 * 1024 * 1024
# 18 digits fit 64 bits; longer labels are read as text.
_MAX_DIGITS = 18
_MAX_LABEL_BYTES = 1024
_COLUMNS = (3, 4)

_Bytes = NDArray[np.uint8]


class _NotPlain(Exception):
    """The file is not all plain numbers."""


@dataclass(frozen=True, slots=True)
class TrustTable:
    """Edges of a file: receivers[i] and providers[i] are places in `labels`, which ascend; weights may be negative."""

    labels: list[bytes]
    receivers: Nodes
    providers: Nodes
    weights: Longs

    def graph(self) -> FeedbackGraph:
        """The graph of the edges above zero; those of the table that are below zero are judgements, not edges."""
        kept = self.weights > 0
        return FeedbackGraph.from_edges(self.labels, self.receivers[kept], self.providers[kept], self.weights[kept])


def read_table(path: Path) -> TrustTable:
    """Read a graph file. Raises MalformedTable with file, line and column, and OSError when it cannot be read."""
    try:
        return _read_plain(path)
    except _NotPlain:
        return _read_lines(path)


# Plain numbers, in whole arrays


def _read_plain(path: Path) -> TrustTable:
    parts: list[tuple[Longs, Longs, Longs]] = []
    with path.open("rb") as file:
        columns = 0
        rest = file.readline()
        if _is_header(rest):
            rest = b""
        while block := file.read(CHUNK_BYTES):
            whole, newline, tail = (rest + block).rpartition(b"\n")
            columns = _add_plain(parts, whole + newline, columns)
            rest = tail
        _add_plain(parts, rest if rest.endswith(b"\n") or not rest else rest + b"\n", columns)
    if not parts:
        return TrustTable([], np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))
    sources, targets, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    if np.any(sources == targets) or np.any(np.abs(weights) > MAX_ROW_TOTAL):
        raise _NotPlain
    return _numbered(sources, targets, weights)


def _add_plain(parts: list[tuple[Longs, Longs, Longs]], text: bytes, columns: int) -> int:
    if not text:
        return columns
    columns = columns or text[: text.index(b"\n")].count(b",") + 1
    if columns not in _COLUMNS:
        raise _NotPlain
    parts.append(_parse_plain(np.frombuffer(text, np.uint8), columns))
    return columns


def _parse_plain(text: _Bytes, columns: int) -> tuple[Longs, Longs, Longs]:
    marks = np.flatnonzero((text == _COMMA) | (text == _NEWLINE))
    if len(marks) % columns:
        raise _NotPlain
    begins = np.concatenate([[0], marks[:-1] + 1]).reshape(-1, columns)
    ends = marks.reshape(-1, columns)
    if not (text[ends[:, -1]] == _NEWLINE).all() or not (text[ends[:, :-1]] == _COMMA).all():
        raise _NotPlain
    if columns == _COLUMNS[1]:
        _check_times(text, begins[:, 3], ends[:, 3])
    source, target = (_numbers(text, begins[:, column], ends[:, column]) for column in (0, 1))
    negative = text[begins[:, 2]] == _MINUS
    weight = _numbers(text, begins[:, 2] + negative, ends[:, 2])
    return source, target, np.where(negative, -weight, weight)


def _numbers(text: _Bytes, begins: Longs, ends: Longs) -> Longs:
    lengths = ends - begins
    if lengths.min() < 1 or lengths.max() > _MAX_DIGITS:
        raise _NotPlain
    if np.any((text[begins] == _ZERO) & (lengths > 1)):
        raise _NotPlain
    values = np.zeros(len(begins), np.int64)
    for place in range(int(lengths.max())):
        used: Flags | slice = lengths > place if place else slice(None)
        digits = text[ends[used] - 1 - place] - np.uint8(_ZERO)
        if np.any(digits > 9):
            raise _NotPlain
        values[used] += digits * np.int64(10**place)
    return values


def _check_times(text: _Bytes, begins: Longs, ends: Longs) -> None:
    lengths = ends - begins
    if lengths.min() < 1 or lengths.max() > 2 * _MAX_DIGITS:
        raise _NotPlain
    digits, dots = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    for place in range(int(lengths.max())):
        characters = np.where(lengths > place, text[np.minimum(begins + place, ends)], 0)
        digits += (characters >= _ZERO) & (characters <= _ZERO + 9)
        dots += characters == _DOT
    if np.any(digits + dots != lengths) or np.any(dots > 1) or np.any(digits < 1):
        raise _NotPlain


def _numbered(sources: Longs, targets: Longs, weights: Longs) -> TrustTable:
    """Number the labels in the order of their bytes ("10" before "2")."""
    used = _distinct(sources, targets)
    names = used.astype("S20")
    order = np.argsort(names, kind="stable")
    place = np.empty(len(used), np.int32)
    place[order] = np.arange(len(used), dtype=np.int32)
    receivers, providers = (place.take(_position(used, column)) for column in (sources, targets))
    return TrustTable(names[order].tolist(), receivers, providers, weights)


def _dense(used_up_to: int, count: int) -> bool:
    return used_up_to <= 16 * count + 1024


def _distinct(sources: Longs, targets: Longs) -> Longs:
    highest = int(max(sources.max(), targets.max()))
    if not _dense(highest, len(sources)):
        return np.unique(np.concatenate([sources, targets]))
    seen = np.zeros(highest + 1, np.bool_)
    seen[sources] = seen[targets] = True
    return np.flatnonzero(seen)


def _position(used: Longs, column: Longs) -> Longs:
    if not _dense(int(used[-1]), len(column)):
        return np.searchsorted(used, column)
    position = np.zeros(int(used[-1]) + 1, np.int64)
    position[used] = np.arange(len(used))
    return position.take(column)


# Any labels, line by line


def _is_header(line: bytes) -> bool:
    fields = line.strip().split(b",")
    return len(fields) in _COLUMNS and fields[2].strip().isalpha() and fields[2].strip().lower() not in _NOT_NUMBERS


_NOT_NUMBERS = (b"nan", b"inf", b"infinity")


def _read_lines(path: Path) -> TrustTable:
    numbers: dict[bytes, int] = {}
    edges: list[tuple[int, int, int]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text or text.startswith(b"#") or (number == 1 and _is_header(text)):
                continue
            source, target, weight = _edge(str(path), number, text)
            edges.append((numbers.setdefault(source, len(numbers)), numbers.setdefault(target, len(numbers)), weight))
    labels = sorted(numbers)
    place = np.empty(len(labels), np.int32)
    place[[numbers[label] for label in labels]] = np.arange(len(labels), dtype=np.int32)
    columns = np.array(edges, np.int64).reshape(-1, 3)
    return TrustTable(labels, place.take(columns[:, 0]), place.take(columns[:, 1]), columns[:, 2].copy())


def _edge(file: str, line: int, text: bytes) -> tuple[bytes, bytes, int]:
    fields = [field.strip() for field in text.split(b",")]
    if len(fields) not in _COLUMNS:
        raise MalformedTable(file, line, len(fields), "a line is from,to,weight or from,to,weight,time")
    for column, label in enumerate(fields[:2], 1):
        if not 1 <= len(label) <= _MAX_LABEL_BYTES:
            raise MalformedTable(file, line, column, f"a member's name has 1 to {_MAX_LABEL_BYTES} bytes")
    if fields[0] == fields[1]:
        raise MalformedTable(file, line, 2, "a member cannot vouch for itself")
    if len(fields) == _COLUMNS[1]:
        _check_time(file, line, fields[3])
    return fields[0], fields[1], _weight(file, line, fields[2])


def _weight(file: str, line: int, field: bytes) -> int:
    digits = field.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise MalformedTable(file, line, 3, f"the weight {field[:40]!r} is not a whole number")
    if int(digits) > MAX_ROW_TOTAL:
        raise MalformedTable(file, line, 3, f"the weight {int(field)} is greater than {MAX_ROW_TOTAL}")
    return int(field)


def _check_time(file: str, line: int, field: bytes) -> None:
    if not field.replace(b".", b"", 1).isdigit():
        raise MalformedTable(file, line, 4, f"the time {field[:40]!r} is not a number of seconds")
