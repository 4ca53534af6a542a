"""Whatever members do, and in whatever order it is heard of: all observers agree, and nothing is made of nothing."""

import asyncio
import random
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlay.economy.holdings import holdings
from overlay.economy.standing import Standing, current_holdings, leg_standing, standing, supply
from overlay.trustchain import blocks
from tests.economy.mischief import Mischief
from tests.economy.observing import History, judgements, observer, show, tables
from tests.town import Town

OBSERVERS = 3
seeds = st.integers(0, 1 << 32)


async def observe(folder: Path, seed: int, steps: int) -> None:
    town, chance = Town(folder, "NORMAL"), random.Random(seed)
    try:
        mischief = Mischief(town, chance)
        await mischief.run(steps)
        history = History.of([person.ledger for person in mischief.everyone])
        await look_on(folder, mischief, history)
        check_the_baker(mischief)
    finally:
        town.close()


async def look_on(folder: Path, mischief: Mischief, history: History) -> None:
    members, now = [person.key for person in mischief.everyone], mischief.town.clock.now()
    seen = []
    for at in range(OBSERVERS):
        ledger = observer(folder / f"observer {at}.db", mischief.town.clock)
        try:
            await show(ledger, history, mischief.chance)
            raw = list(ledger.db.iterdump())
            seen.append((tables(ledger.db), judgements(ledger.db, members, now)))
            await ledger.rebuild()
            assert list(ledger.db.iterdump()) == raw
            check_holdings(ledger.db)
            check_supply(ledger.db)
        finally:
            ledger.close()
    for facts, told in seen[1:]:
        assert facts == seen[0][0]
        assert told == seen[0][1]


def check_holdings(db: sqlite3.Connection) -> None:
    """At most one final spend of each holding."""
    for source, index in db.execute("SELECT source, idx FROM voucher_holding").fetchall():
        spends = db.execute(
            "SELECT proposal, position FROM voucher_input WHERE source = ? AND idx = ? AND stage >= 2", (source, index)
        ).fetchall()
        assert [leg_standing(db, leg) for leg in spends].count(Standing.FINAL) <= 1


def check_supply(db: sqlite3.Connection) -> None:
    """What is counted as redeemed is what final legs brought back to the issuer."""
    for mint, voucher, issuer in db.execute("SELECT block, id, agent FROM voucher_mint").fetchall():
        legs = db.execute(
            "SELECT proposal, position, quantity FROM voucher_leg WHERE voucher = ? AND receiver = ? AND made",
            (mint, issuer),
        ).fetchall()
        final = sum(quantity for *leg, quantity in legs if leg_standing(db, (leg[0], leg[1])) is Standing.FINAL)
        assert supply(db, voucher, 0).redeemed == final


def check_the_baker(mischief: Mischief) -> None:
    """Nobody can multiply an honest issuer's voucher, and what it made final stays final."""
    db, now = mischief.baker.ledger.db, 0
    for voucher in {each.voucher for each in holdings(db, mischief.baker.key)}:
        if blocks.by_hash(db, voucher).public_key != mischief.baker.key:  # type: ignore[union-attr]
            continue
        final = sum(
            each.holding.quantity
            for person in mischief.everyone
            for each in current_holdings(db, person.key, now, voucher)
            if each.standing is Standing.FINAL
        )
        found = supply(db, voucher, now)
        assert 0 <= final <= found.minted - found.redeemed
    for proposal in mischief.final:
        legs = db.execute(
            "SELECT l.proposal, l.position FROM voucher_leg l JOIN half h ON h.id = l.proposal"
            " JOIN voucher_mint m ON m.block = l.voucher WHERE h.hash = ? AND m.issuer = ?",
            (proposal, mischief.baker.key),
        ).fetchall()
        assert all(leg_standing(db, leg) is Standing.FINAL for leg in legs)
        assert legs == [] or standing(db, proposal, now) is not Standing.OPEN


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seeds, st.integers(5, 40))
def test_all_observers_of_a_dishonest_town_agree(seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(observe(Path(folder), seed, steps))
