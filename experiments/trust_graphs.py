"""Graphs for the reputation experiments: read from a file, or made up with heavy tails like those of trust networks."""

import argparse
from pathlib import Path

import numpy as np

from overlay.meritrank.errors import MalformedTable
from overlay.meritrank.table import TrustTable, read_table

# Bitcoin-OTC has 5,881 members and 35,592 edges: six edges a member.
EDGES_PER_MEMBER = 6
# The n-th busiest of N members has about (n/N)^(1/TAIL - 1) of the activity.
TAIL = 2.5
_LINES_AT_ONCE = 500_000


def generated(edges: int, seed: int = 1) -> TrustTable:
    """`edges` distinct edges between edges/6 members; activity on both ends has a heavy tail, weights are 1..10."""
    random = np.random.Generator(np.random.PCG64(seed))
    members = max(12, edges // EDGES_PER_MEMBER)
    if edges > members * (members - 1) // 4:
        raise SystemExit(f"{edges} edges are too dense a graph for {members} members")
    pairs = np.empty(0, np.int64)
    while len(pairs) < edges:
        drawn = (members * random.random((2, int(1.3 * (edges - len(pairs))) + 16)) ** TAIL).astype(np.int64)
        drawn = drawn[:, drawn[0] != drawn[1]]
        pairs = np.unique(np.concatenate([pairs, drawn[0] * members + drawn[1]]))
    pairs = random.permutation(pairs)[:edges]
    names = np.sort(np.arange(members).astype("S20"))
    shuffled = random.permutation(members).astype(np.int32)
    weights = random.integers(1, 11, edges)
    return TrustTable(names.tolist(), shuffled[pairs // members], shuffled[pairs % members], weights)


def write(table: TrustTable, path: Path) -> None:
    """Write `from,to,weight` lines."""
    with path.open("wb") as file:
        for begin in range(0, len(table.weights), _LINES_AT_ONCE):
            part = slice(begin, begin + _LINES_AT_ONCE)
            columns = (column[part].tolist() for column in (table.receivers, table.providers, table.weights))
            lines = (b"%b,%b,%d\n" % (table.labels[a], table.labels[b], w) for a, b, w in zip(*columns, strict=True))
            file.write(b"".join(lines))


def read(path: Path) -> TrustTable:
    """Read a graph file or end the program with one sentence that says what is wrong and where."""
    try:
        return read_table(path)
    except (MalformedTable, OSError) as error:
        raise SystemExit(str(error)) from error


def viewer(table: TrustTable, name: str | None = None) -> bytes:
    """The member called `name`, or else the one with the most edges out, and of those the first by name."""
    if name is not None and name.encode() not in table.labels:
        raise SystemExit(f"the graph has no member {name!r}")
    if not np.any(table.weights > 0):
        raise SystemExit("the graph has no edges")
    degrees = np.bincount(table.receivers[table.weights > 0], minlength=len(table.labels))
    return name.encode() if name is not None else table.labels[int(np.argmax(degrees))]


def count(text: str) -> int:
    """A number of edges as people write it: 1000, 1k, 10M."""
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    if not digits.isdigit() or not int(digits):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of edges such as 100k or 10M")
    return int(digits) * factor


def given_or_generated(graph: Path | None, edges: int, seed: int = 1) -> TrustTable:
    """The table of a file, or a generated one."""
    return read(graph) if graph else generated(edges, seed)
