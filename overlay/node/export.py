"""The books as files, for a spreadsheet or for reckoning: CSV, or Parquet where pyarrow is installed.

What is in them stands in `book_tables`.
"""

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from overlay.files import replacing
from overlay.node.book_tables import TABLES, Asked, Cell, Row, Table
from overlay.node.books import reading
from overlay.node.folder import DataFolder, is_inside
from overlay.node.wire import Exported, ExportLedger
from overlay.trustchain.sealing import Seal

# Rows that are written at once: some megabytes, whatever the size of the ledger.
ROWS_AT_ONCE = 4_096
# A spreadsheet takes a cell that begins with one of these for a formula, and the texts are other members'.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Writer = Callable[[IO[bytes], Mapping[str, type], Iterator[list[Row]]], int]


class ExportFailed(Exception):
    """The tables cannot be written; one sentence says why."""


def export(folder: DataFolder, ask: ExportLedger, now: int) -> Exported:
    """Write all tables into a folder, each at once or not at all. Raises ExportFailed, StorageError, InvalidKey."""
    to, write = Path(ask.to), _csv if ask.format == "csv" else _parquet()
    if not to.is_absolute():
        raise ExportFailed("name the folder to write to from the machine's root: the node may run anywhere")
    if is_inside(folder.path, to):
        raise ExportFailed(f"{to}: this is inside the data folder, where only the node writes")
    asked, files = Asked(folder.public_key, now, ask.with_private), dict[str, int]()
    try:
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        with reading(folder.ledger, Seal(folder.identity)) as db:
            for name, table in TABLES.items():
                target = to / f"{name}.{ask.format}"
                files[target.name] = _write(target, table, table.rows(db, asked), write)
    except OSError as error:
        raise ExportFailed(f"{to}: the tables cannot be written: {error.strerror}") from error
    return Exported(f"Wrote {len(files)} tables to {to}.", files)


def _write(target: Path, table: Table, rows: Iterator[Row], write: Writer) -> int:
    with replacing(target) as file:
        return write(file, table.columns, _batches(rows))


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(rows, ROWS_AT_ONCE)):
        yield batch


def _csv(file: IO[bytes], columns: Mapping[str, type], batches: Iterator[list[Row]]) -> int:
    written, lines = 0, csv.writer(_Text(file))
    lines.writerow(columns)
    for batch in batches:
        lines.writerows([_plain(cell) for cell in row] for row in batch)
        written += len(batch)
    return written


class _Text:
    """What the csv module writes to: UTF-8, line by line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


def _plain(cell: Cell) -> str | int:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what looks like one."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _parquet() -> Writer:
    """Raises ExportFailed where pyarrow is not installed."""
    try:
        import pyarrow as pa  # here, because most members do without it: 40 MB
        from pyarrow import parquet
    except ImportError as error:
        raise ExportFailed(
            "Parquet needs pyarrow, which is not installed: install counterfoil[parquet], or export --format csv"
        ) from error
    types = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}

    def write(file: IO[bytes], columns: Mapping[str, type], batches: Iterator[list[Row]]) -> int:
        schema, written = pa.schema([(name, types[kind]) for name, kind in columns.items()]), 0
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in batches:
                named = [list(column) for column in zip(*batch, strict=True)]
                writer.write_table(pa.table(named, schema=schema))
                written += len(batch)
        return written

    return write
