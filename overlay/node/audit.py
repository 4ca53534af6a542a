"""Reading everything again: whether a ledger's file still holds what was signed and shown, and what follows from it.

What is wrong with the *file* is damage: a row that was altered after it was stored, bookkeeping that does not fit its
blocks, a part that does not fit its block, a view that is not what folding gives. What a *member* did is a fault, shown
by its own signatures; such a file is sound.
"""

import asyncio
import contextlib
import itertools
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.faults import faults
from overlay.keys import PublicKey, short
from overlay.node.books import digests, reading
from overlay.node.folder import DataFolder
from overlay.node.ledger import open_ledger
from overlay.node.wire import Finding, LedgerVerdict
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.block import HalfBlock, MalformedBlock, unpack
from overlay.trustchain.commitment import BadDisclosure
from overlay.trustchain.ledger import commitment
from overlay.trustchain.sealing import Seal, Unreadable
from overlay.trustchain.validation import check
from overlay.trustchain.view import is_current

# What a person reads; a file with more wrong in it is thrown away, not repaired.
MAX_FINDINGS = 1_000
# Libsodium releases the interpreter's lock while it checks a signature; two threads are what a small machine has.
THREADS, CHUNK = 2, 512
_ROWS = (
    f"SELECT h.id, h.hash, {block_tables.COLUMNS} FROM half h LEFT JOIN agent author ON author.id = h.agent"  # noqa: S608
    " LEFT JOIN agent link ON link.id = h.link_agent WHERE h.agent IS NOT NULL ORDER BY h.id"
)


@dataclass(slots=True)
class _Report:
    damages: int = 0
    faults: int = 0
    findings: list[Finding] = field(default_factory=list)

    def damage(self, sentence: str, *found: bytes) -> None:
        self.damages += 1
        self._add(Finding("damage", "", sentence, tuple(each.hex() for each in found)))

    def fault(self, culprit: PublicKey, sentence: str, *found: bytes) -> None:
        self.faults += 1
        self._add(Finding("fault", culprit.hex(), sentence, tuple(each.hex() for each in found)))

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


def verify(folder: DataFolder) -> LedgerVerdict:
    """Everything that can be checked of a folder's ledger, running or not, as it is at this moment. Raises
    StorageError where the file cannot even be read, InvalidKey."""
    report, seal = _Report(), Seal(folder.identity)
    with reading(folder.ledger, seal) as db:
        _check_file(db, report)
        count, known = _check_blocks(db, report), digests(db)
        if report.damages == 0:  # what follows from damaged statements would only repeat the damage
            _check_bookkeeping(db, report)
            _check_parts(db, report)
            _check_members(db, report)
        if report.damages == 0:
            _check_views(db, folder, known, report)
        chains, gaps, parts = _counts(db)
    sound = report.damages == 0
    return LedgerVerdict(
        sound=sound,
        sentence=_sentence(report, count, parts),
        blocks=count,
        parts=parts,
        chains=chains,
        gaps=gaps,
        damages=report.damages,
        faults=report.faults,
        findings=tuple(report.findings),
        digests=known,
    )


def _sentence(report: _Report, count: int, parts: int) -> str:
    if report.damages:
        return f"This ledger is damaged in {report.damages:,} places: {report.findings[0].sentence}."
    proven = f" Members are proven to have done {report.faults:,} things wrong." if report.faults else ""
    return f"All {count:,} statements and {parts:,} disclosed parts are as they were signed.{proven}"


def _check_file(db: sqlite3.Connection, report: _Report) -> None:
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        report.damage(f"SQLite finds the file itself damaged: {found}")


def _check_blocks(db: sqlite3.Connection, report: _Report) -> int:
    """Form, hash and signature of each; returns how many there are."""
    count, rows = 0, db.execute(_ROWS)
    with ThreadPoolExecutor(THREADS, "verify") as threads:
        while batch := rows.fetchmany(THREADS * CHUNK):
            chunks = [batch[at : at + CHUNK] for at in range(0, len(batch), CHUNK)]
            for sentence, hash_ in itertools.chain.from_iterable(threads.map(_wrong_rows, chunks)):
                report.damage(sentence, hash_)
            count += len(batch)
    return count


def _wrong_rows(rows: list[tuple[object, ...]]) -> list[tuple[str, bytes]]:
    return [wrong for row in rows if (wrong := _wrong_row(*row)) is not None]


def _wrong_row(number: object, hash_: object, *columns: object) -> tuple[str, bytes] | None:
    """What is wrong with one row, and the hash under which it stands."""
    stored = bytes(hash_) if isinstance(hash_, bytes) else b""
    try:
        block = unpack(block_tables.read(columns).pack())
    except (MalformedBlock, TypeError, ValueError, OverflowError, struct.error) as error:
        return f"row {number} holds no statement: {error}", stored
    if block.hash != stored:
        return f"{_named(block)} has another hash than the one that it is kept under: it was altered", stored
    verdict = check(block)
    return (f"{verdict}: it was altered after it was stored", stored) if verdict else None


def _named(block: HalfBlock) -> str:
    return f"statement {block.sequence_number} of {short(block.public_key)}"


def _counts(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Chains, those of them that have gaps, and parts."""
    query = "SELECT count(*), ifnull(sum(contiguous < highest), 0), (SELECT count(*) FROM part) FROM agent"
    chains, gaps, parts = db.execute(f"{query} WHERE highest > 0").fetchone()
    return chains, gaps, parts


def _check_bookkeeping(db: sqlite3.Connection, report: _Report) -> None:
    """How far each chain is known, and where it forks, as counted anew."""
    for agent, key, contiguous, highest in db.execute("SELECT id, key, contiguous, highest FROM agent").fetchall():
        without_gap, last = _extent(db, agent)
        if (contiguous, highest) != (without_gap, last):
            report.damage(f"the chain of {short(key)} reaches {without_gap} and {last}, not {contiguous} and {highest}")
    kept = set(db.execute("SELECT agent, sequence FROM forked").fetchall())
    query = "SELECT agent, sequence FROM half WHERE agent IS NOT NULL GROUP BY agent, sequence HAVING count(*) > 1"
    for agent, sequence in sorted(kept ^ set(db.execute(query).fetchall())):
        report.damage(f"the fork proof at statement {sequence} of {short(blocks.key_of(db, agent))} is kept wrongly")


def _extent(db: sqlite3.Connection, agent: int) -> tuple[int, int]:
    """The last number without a gap before it, and the highest."""
    contiguous = last = 0
    query = "SELECT DISTINCT sequence FROM half WHERE agent = ? ORDER BY sequence"
    for (last,) in db.execute(query, (agent,)):
        if last == contiguous + 1:
            contiguous = last
    return contiguous, last


def _check_parts(db: sqlite3.Connection, report: _Report) -> None:
    """Each part opens, and fits the commitment of its block."""
    rows = db.execute("SELECT DISTINCT block FROM part ORDER BY block").fetchall()
    for (number,) in rows:
        block = blocks.by_id(db, number)
        if block is None:
            report.damage("a part is kept of a statement that is not here")
            continue
        for sentence in _wrong_parts(db, number, block):
            report.damage(sentence, block.hash)


def _wrong_parts(db: sqlite3.Connection, number: int, block: HalfBlock) -> Iterator[str]:
    root = commitment(block)
    try:
        for part in blocks.parts_of(db, number, block.hash):
            if part.root() != root:
                yield f"part {part.index} of {_named(block)} is not what was committed to"
    except (Unreadable, BadDisclosure, TypeError) as error:  # a column may hold anything now
        yield f"the parts of {_named(block)} cannot be read: {error}"


def _check_members(db: sqlite3.Connection, report: _Report) -> None:
    """What each member is proven to have done."""
    for (key,) in db.execute("SELECT key FROM agent WHERE highest > 0 ORDER BY key").fetchall():
        for fault in faults(db, key):
            report.fault(fault.culprit, fault.sentence, *fault.blocks)


def _check_views(db: sqlite3.Connection, folder: DataFolder, known: dict[str, str], report: _Report) -> None:
    """Fold everything anew in a copy beside the ledger, and compare."""
    with tempfile.TemporaryDirectory(prefix="verify", dir=folder.path) as place:
        path = Path(place) / folder.ledger.name
        with contextlib.closing(sqlite3.connect(path)) as copy:
            db.backup(copy)
        ledger = open_ledger(folder, SystemClock(), SystemRandomness(), path)
        try:
            current = [view.name for view in ledger.views if is_current(db, view)]
            asyncio.run(ledger.rebuild())
            fresh = digests(ledger.db)
        finally:
            ledger.close()
    for view in current:  # others are of another version of this program, and folded anew when a node starts
        if known[view] != fresh[view]:
            report.damage(f"the view '{view}' is not what its statements say: `ledger rebuild` folds it anew")
