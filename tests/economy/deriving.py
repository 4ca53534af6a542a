"""Shows a history to observers in different orders, and holds what each derives against the oracle, on the way too."""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from overlay.economy import weighing
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.keys import Identity
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger, Transaction, meaning
from overlay.trustchain.statements import CancelExchange, SucceedKey, Witness
from overlay.trustchain.store import StorageError
from overlay.trustchain.view import View
from tests.economy import observing
from tests.economy.observing import History
from tests.economy.oracle import ACCEPTED, KEYS, PLACES, REFUSED, Place, Row, Tables, differences
from tests.town import HandClock, SeededRandomness

Event = HalfBlock | Disclosure
Order = Callable[[History, random.Random], list[Event]]

# Most events between two looks.
STEPS = 12
FACTS = ("voucher_agreement", "voucher_issuer", "voucher_witness", "voucher_cancellation", "voucher_heir")
QUERIES = {name: f"SELECT * FROM {name}" for name in (*KEYS, *FACTS)}
QUERIES["half"] = "SELECT id, hash, agent, sequence, link_agent, link_sequence FROM half"


def by_chance(history: History, chance: random.Random) -> list[Event]:
    """Every block at any moment, every part at any moment after its block."""
    moments = {block.hash: chance.random() for block in history.blocks}
    events: list[tuple[float, Event]] = [(moments[block.hash], block) for block in history.blocks]
    events += [(chance.uniform(moments[BlockHash(part.block)], 1), part) for part in history.parts]
    return [event for _, event in sorted(events, key=itemgetter(0))]


def words_last(history: History, chance: random.Random) -> list[Event]:
    """First what is given, then who accepts and refuses it, at last in whose place they speak."""
    late: dict[object, int] = {Witness: 1, CancelExchange: 1, SucceedKey: 2}
    events = by_chance(history, chance)
    return sorted(events, key=lambda event: late.get(type(meaning(event)), 0) if isinstance(event, HalfBlock) else 0)


ORDERS: tuple[Order, ...] = (by_chance, words_last)

# What a leg can have come to.
LEGS: dict[str, Callable[[Row], object]] = {
    "made": lambda leg: leg["made"],
    "stands": lambda leg: leg["own"] is not None and leg["word"] != REFUSED,
    "accepted": lambda leg: leg["word"] == ACCEPTED,
    "accepted by an heir": lambda leg: (leg["own"] or 0) >= PLACES,
    "beaten": lambda leg: leg["beaten"],
    "lost without a place": lambda leg: leg["lost"],
    "refused": lambda leg: leg["word"] == REFUSED,
    "accepted, and refused by another": lambda leg: leg["word"] == REFUSED and leg["own"] is not None,
}
# What a run must have come upon, or it has shown nothing.
SITUATIONS = {*LEGS, "beaten, then without a place", "spent, then live again", "redeemed", "redeemed, then less"}


@dataclass
class Looks:
    """What observers, one after another, were found to derive wrongly, and in how many rows each situation was seen."""

    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    beaten: set[Place] = field(default_factory=set)
    spent: set[Place] = field(default_factory=set)
    redeemed: dict[int, int] = field(default_factory=dict)

    def look(self, db: sqlite3.Connection) -> None:
        found = read(db)
        self.wrong += differences(found)
        self._note({(row["proposal"], row["position"]): row for row in found["voucher_leg"]})
        holdings = {(row["source"], row["idx"]): bool(row["live"]) for row in found["voucher_holding"]}
        redeemed = {row["block"]: int(row["redeemed"]) for row in found["voucher_mint"]}
        self.seen["spent, then live again"] += sum(holdings[each] for each in self.spent)
        self.seen["redeemed"] += sum(map(bool, redeemed.values()))
        self.seen["redeemed, then less"] += sum(redeemed[mint] < before for mint, before in self.redeemed.items())
        self.spent, self.redeemed = {each for each, live in holdings.items() if not live}, redeemed

    def _note(self, legs: dict[Place, Row]) -> None:
        self.seen.update(name for row in legs.values() for name, holds in LEGS.items() if holds(row))
        self.seen["beaten, then without a place"] += sum(legs[leg]["own"] is None for leg in self.beaten)
        self.beaten = {leg for leg, row in legs.items() if row["beaten"]}

    def begin(self) -> None:
        """Another observer has seen nothing yet."""
        self.beaten, self.spent, self.redeemed = set(), set(), {}


async def examine(history: History, folder: Path, chance: random.Random) -> Looks:
    """What all observers together were found to do; `wrong` is empty where each derives what the facts say, all the
    same whatever the order, and the same to the byte when it folds anew."""
    looks, told = Looks(), []
    for order in ORDERS:
        with closing(onlooker(folder / f"{order.__name__}.db")) as ledger:
            try:
                await show(ledger, order(history, chance), looks, chance)
                raw = list(ledger.db.iterdump())
                await ledger.rebuild()
            except StorageError as error:
                looks.wrong.append(str(error))
            if looks.wrong:
                return looks
            looks.wrong += [] if list(ledger.db.iterdump()) == raw else ["folding anew makes other rows"]
            told.append(observing.tables(ledger.db))
    one, other = told
    looks.wrong += [f"{name} depends on the order" for name in one if one[name] != other[name]]
    return looks


def onlooker(path: Path) -> Ledger:
    """A node with nothing but the views that this is about: the others cost time."""
    views: list[View] = [MembersView(), HoldingsView()]
    return Ledger(path, Identity.from_seed(b"o" * 64), views, HandClock(), SeededRandomness("onlooker"), "NORMAL")


async def show(ledger: Ledger, events: list[Event], looks: Looks, chance: random.Random) -> None:
    """One event after another, with a look after every few and at the end; stops where something is wrong."""

    def work(tx: Transaction) -> None:
        pause = 0
        for event in events:
            assert tx.store(event) if isinstance(event, HalfBlock) else tx.disclose(event)
            pause = pause - 1 if pause else chance.randint(0, STEPS)
            if not pause and not looks.wrong:
                looks.look(tx.db)
        if not looks.wrong:
            looks.look(tx.db)

    looks.begin()
    await ledger.transact(work)


def read(db: sqlite3.Connection) -> Tables:
    """The tables for the oracle, and what is only worked out when it is asked: `lost`."""
    found = {}
    for name, query in QUERIES.items():
        cursor = db.execute(query)
        columns = [each[0] for each in cursor.description]
        found[name] = [dict(zip(columns, row, strict=True)) for row in cursor]
    for leg in found["voucher_leg"]:
        waits = leg["made"] and leg["own"] is None
        leg["lost"] = weighing.has_lost(db, (leg["proposal"], leg["position"])) if waits else None
    return found
