"""The power fails while a ledger writes: is anything lost that it had called stored?

    python -m experiments.power_loss [--points N] [--seed N] [--json]

The real ledger trades (a mint and a proposal to give it in one transaction, several transactions at once) on SQLite's
own file layer with a recorder in it (`recording_vfs`): every write, cut and synchronisation, and every moment at which
the ledger called something stored. Then the power fails at a random point of such a record. Of what was not
synchronised by then, each sector of 512 bytes of each write is on the disk or not: all, none, or any of them, by
chance; later ones may be there without earlier ones. (Bytes of a sector beside those written stay as they were, which
is SQLite's assumption, too.) The ledger is opened on what is left, as after any start:

    lost_full    points at which a block was missing that had been called stored, with synchronous=FULL (the default)
    lost_normal  the same with NORMAL, which does not wait for the disk: more than 0, or this experiment could not fail
    corrupt      points at which the file was damaged, a chain had a gap or a fork, or half a transaction was there

A tenth as many points again are drawn for NORMAL. With --json the last line is one JSON object. Exit status 1 says
that something was lost with FULL, or corrupt, or that NORMAL lost nothing.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from experiments.recording_vfs import Delete, Event, NoSuchLibrary, Recorder, Sync, Told, Truncate, Write
from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.trustchain import blocks
from overlay.trustchain.block import MAX_SEQUENCE, HalfBlock
from overlay.trustchain.ledger import Changes, Transaction, meaning
from overlay.trustchain.statements import Mint, ProposeExchange
from overlay.trustchain.store import StorageError, Synchronous
from tests.town import HOUR, HandClock, Townsperson

POINTS = 10_000
# So many points are drawn from one record of so many transactions; SQLite checkpoints about every 80 of them.
POINTS_PER_RECORD, TRANSACTIONS = 500, 240
AT_ONCE = 4
SECTOR_BYTES = 512
# Where the files of a run are: in memory if the machine allows, for a simulated power cut needs no real disk.
MEMORY = Path("/dev/shm")


@dataclass(slots=True)
class Platter:
    """One file: what is surely on the disk, and what was asked for since it was synchronised last."""

    safe: bytearray = field(default_factory=bytearray)
    waiting: list[Write | Truncate] = field(default_factory=list)

    def sync(self) -> None:
        for each in self.waiting:
            _carry_out(self.safe, each)
        self.waiting.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        """What the disk holds when the power comes back."""
        left, share = bytearray(self.safe), chance.choice((0.0, 0.5, 0.9, 1.0))
        for each in self.waiting:
            for piece in _sectors(each):
                if chance.random() < share:
                    _carry_out(left, piece)
        return bytes(left)


def _sectors(asked: Write | Truncate) -> list[Write | Truncate]:
    if isinstance(asked, Truncate):
        return [asked]
    first, end = asked.offset, asked.offset + len(asked.data)
    cuts = [first, *range(first - first % SECTOR_BYTES + SECTOR_BYTES, end, SECTOR_BYTES), end]
    return [Write(asked.file, at, asked.data[at - first : to - first]) for at, to in itertools.pairwise(cuts)]


def _carry_out(content: bytearray, asked: Write | Truncate) -> None:
    if isinstance(asked, Truncate):
        del content[asked.size :]
        return
    content.extend(bytes(max(0, asked.offset - len(content))))
    content[asked.offset : asked.offset + len(asked.data)] = asked.data


class Disk:
    """All files of one ledger, as far as a record has been gone through. `told` is what was called stored.

    That a file was made or deleted is sure when the folder is synchronised: SQLite does that together with the first
    synchronisation of a new log or journal.
    """

    def __init__(self) -> None:
        self.files: dict[str, Platter] = {}
        self.told: list[bytes] = []
        self._listed: set[str] = set()
        self._deleted: dict[str, Platter] = {}

    def go_on(self, event: Event) -> None:
        if isinstance(event, Told):
            self.told.append(event.what)
            return
        if isinstance(event, Delete):
            self._deleted[event.file] = self.files.pop(event.file)
            return
        platter = self.files.setdefault(event.file, Platter())
        if isinstance(event, Sync):
            platter.sync()
            if event.file not in self._listed and event.file.endswith(("-wal", "-journal")):
                self._listed = set(self.files)
                self._deleted.clear()
        else:
            platter.waiting.append(event)

    def cut(self, folder: Path, chance: random.Random) -> None:
        """Lay down what is left."""
        for old in folder.iterdir():
            old.unlink()
        for name, platter in (self._deleted | self.files).items():
            is_sure = name in self._listed and name in self.files
            if not is_sure and chance.random() < 0.5:
                continue
            (folder / name).write_bytes(platter.after_a_cut(chance))


def record(folder: Path, synchronous: Synchronous) -> list[Event]:
    """What a ledger asks of the disk while its member trades."""
    recorder = Recorder()
    with recorder.recording():
        farmer = Townsperson("farmer", folder, HandClock(), synchronous=synchronous)
        asyncio.run(_trade(farmer, Townsperson("baker", folder, HandClock()), recorder.events))
        events = list(recorder.events)  # what closing writes is no part of it
        farmer.ledger.close()
    return [each for each in events if isinstance(each, Told) or each.file.startswith("farmer.db")]


async def _trade(farmer: Townsperson, baker: Townsperson, events: list[Event]) -> None:
    key = baker.key
    baker.ledger.close()

    def tell(changes: Changes) -> None:
        events.extend(Told(block.hash) for block in changes.blocks)

    def give(tx: Transaction) -> HalfBlock:
        voucher = tx.append(Mint("bread", "loaf", 10, "", 0, None)).hash
        until = tx.now + HOUR
        return exchange.propose(tx, farmer.random, key, [Amount(voucher, 3)], until, "mended a roof")

    farmer.ledger.listeners.append(tell)
    for _ in range(TRANSACTIONS // AT_ONCE):
        await asyncio.gather(*(farmer.do(give) for _ in range(AT_ONCE)))


def examine(folder: Path, told: list[bytes]) -> tuple[bool, bool]:
    """Open the ledger on what is left: whether something told is missing, whether something is damaged."""
    try:
        farmer = Townsperson("farmer", folder, HandClock())
    except StorageError as error:
        print(f"corrupt: {error}", file=sys.stderr)
        return bool(told), True
    db = farmer.ledger.db
    chain = blocks.chain(db, farmer.key, 1, MAX_SEQUENCE, MAX_SEQUENCE)
    stored = {block.hash for block in chain}
    is_damaged = db.execute("PRAGMA integrity_check").fetchone() != ("ok",) or not _is_whole(farmer, chain)
    farmer.ledger.close()
    return not stored.issuperset(told), is_damaged


def _is_whole(farmer: Townsperson, chain: list[HalfBlock]) -> bool:
    """A chain without gaps, each mint with its proposal, and each proposal with its body, its row and its debt."""
    db = farmer.ledger.db
    numbers = [block.sequence_number for block in chain]
    follows = all(block.previous_hash == before.hash for before, block in itertools.pairwise(chain))
    proposals = [block for block in chain if isinstance(meaning(block), ProposeExchange)]
    (rows,) = db.execute("SELECT count(*) FROM voucher_proposal").fetchone()
    (owed,) = db.execute("SELECT count(*) FROM outbox WHERE parts > 0").fetchone()
    (parts,) = db.execute("SELECT count(*) FROM part").fetchone()
    is_told = rows == owed == len(proposals) and parts == sum(len(blocks.parts(db, each.hash)) for each in proposals)
    has_bodies = all(len(blocks.parts(db, each.hash)) == 2 for each in proposals[-AT_ONCE:])
    return numbers == list(range(1, len(chain) + 1)) and follows and 2 * rows == len(chain) and is_told and has_bodies


def fail(synchronous: Synchronous, points: int, chance: random.Random) -> Counter[str]:
    """Let the power fail at so many points; counts what was `lost` and `corrupt`."""
    found: Counter[str] = Counter()
    while found["points"] < points:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as made:
            events = record(Path(made), synchronous)
            asked = min(POINTS_PER_RECORD, points - found["points"])
            _go_through(events, sorted(chance.choices(range(1, len(events) + 1), k=asked)), Path(made), chance, found)
    return found


def _go_through(
    events: list[Event], points: list[int], folder: Path, chance: random.Random, found: Counter[str]
) -> None:
    disk, done = Disk(), 0
    for point in points:
        for event in events[done:point]:
            disk.go_on(event)
        done = point
        disk.cut(folder, chance)
        is_lost, is_corrupt = examine(folder, disk.told)
        found.update(points=1, lost=is_lost, corrupt=is_corrupt, told=len(disk.told))
        found["unsynced_writes"] += sum(len(each.waiting) for each in disk.files.values())


def main() -> int:
    """Parse the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    began, chance = time.monotonic(), random.Random(asked.seed)
    try:
        full = fail("FULL", asked.points, chance)
        normal = fail("NORMAL", max(1, asked.points // 10), chance)
    except NoSuchLibrary as missing:
        print(missing, file=sys.stderr)
        return 2
    figures = {
        "points": full["points"],
        "lost_full": full["lost"],
        "points_normal": normal["points"],
        "lost_normal": normal["lost"],
        "corrupt": full["corrupt"] + normal["corrupt"],
        "unsynced_writes": full["unsynced_writes"] + normal["unsynced_writes"],
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(figures) if asked.json else "\n".join(f"{name:>16}  {value:,}" for name, value in figures.items()))
    return 1 if full["lost"] or figures["corrupt"] or not normal["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
