"""Observers of a history: fresh ledgers that get all blocks and parts in some order, and what they make of them."""

import random
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from overlay.content.tallies import TalliesView
from overlay.dao.assembly.groups import GroupsView
from overlay.economy.faults import faults
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.economy.standing import current_holdings, standing, supply
from overlay.keys import Identity, PublicKey
from overlay.meritrank.feedback import FeedbackView
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from tests.town import HandClock, SeededRandomness

AGENTS = {"agent", "proposer", "counterparty", "author", "giver", "receiver", "holder", "issuer", "link_author"}
BLOCKS = {"block", "proposal", "agreement", "offer", "voucher", "source", "half"}


@dataclass(frozen=True)
class History:
    """Everything that was ever signed and disclosed."""

    blocks: Sequence[HalfBlock]
    parts: Sequence[Disclosure]

    @classmethod
    def of(cls, ledgers: Iterable[Ledger]) -> "History":
        found = {block.hash: block for ledger in ledgers for block in blocks.everything(ledger.db)}
        parts = {
            (part.block, part.index): part
            for ledger in ledgers
            for block in found
            for part in blocks.parts(ledger.db, block)
        }
        return cls([found[each] for each in sorted(found)], [parts[each] for each in sorted(parts)])


def observer(path: Path, clock: HandClock) -> Ledger:
    """A node that only looks on, with every view that a node has."""
    views = [MembersView(), HoldingsView(), FeedbackView(), TalliesView(), GroupsView()]
    identity = Identity.from_seed(b"o" * 64)
    return Ledger(path, identity, views, clock, SeededRandomness("observer"), "NORMAL")


async def show(ledger: Ledger, history: History, chance: random.Random) -> None:
    """Everything in a random order, some of it twice; what came before its block comes again at the end."""
    events: list[HalfBlock | Disclosure] = [*history.blocks, *history.parts]
    events += chance.choices(events, k=len(events) // 4)
    chance.shuffle(events)
    again = list(history.parts)
    chance.shuffle(again)
    events += again
    while events:
        some = [events.pop(0) for _ in range(min(len(events), chance.randint(1, 9)))]
        found = [each for each in some if isinstance(each, HalfBlock)]
        assert await ledger.ingest(found, [each for each in some if isinstance(each, Disclosure)]) == []


def tables(db: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """All tables of all views, sorted, with whole keys and hashes in place of the small numbers of one file."""
    agents = dict(db.execute("SELECT id, key FROM agent"))
    hashes = dict(db.execute("SELECT id, hash FROM half"))
    names = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '*_*' AND name NOT GLOB 'sqlite_*'"
    ).fetchall()
    found = {}
    for (name,) in names:
        cursor = db.execute(f"SELECT * FROM {name}")
        columns = [each[0] for each in cursor.description]
        numbers = [agents if c in AGENTS else hashes if c in BLOCKS else {} for c in columns]
        rows = [tuple(n.get(v, v) for n, v in zip(numbers, row, strict=True)) for row in cursor]
        found[name] = sorted(rows, key=repr)
    return found


def judgements(db: sqlite3.Connection, members: Sequence[PublicKey], now: int) -> dict[str, object]:
    """What a node would tell its member."""
    proposals = [BlockHash(row[0]) for row in db.execute("SELECT proposal FROM voucher_exchange ORDER BY proposal")]
    vouchers = [BlockHash(row[0]) for row in db.execute("SELECT id FROM voucher_mint ORDER BY id")]
    return {
        "standing": [standing(db, proposal, now) for proposal in proposals],
        "holdings": [current_holdings(db, member, now) for member in members],
        "supply": [supply(db, voucher, now) for voucher in vouchers],
        "faults": [faults(db, member) for member in members],
        "forks": blocks.forks(db),
    }
