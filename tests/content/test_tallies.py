"""Bandwidth is settled by pairs: the downloader signs for what is new, the uploader agrees once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.content import token_of
from overlay.content.tallies import SCHEMA, TalliesView, announce, countersign, record_sent, seeds, sign_tally, tallies
from overlay.keys import Identity
from overlay.trustchain import outbox
from overlay.trustchain.ledger import Ledger
from tests.town import HandClock, SeededRandomness

BAKER, CARRIER = (Identity.from_seed(bytes([number]) * 64) for number in (1, 2))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Ledger, Ledger]]:
    made = [
        Ledger(tmp_path / f"{at}.db", who, [TalliesView()], HandClock(), SeededRandomness(str(at)), tables=[SCHEMA])
        for at, who in enumerate((BAKER, CARRIER))
    ]
    yield made[0], made[1]
    for ledger in made:
        ledger.close()


async def carry(sender: Ledger, receiver: Ledger) -> None:
    parcel = outbox.parcel(sender.db, receiver.identity.public_key, 64)
    if parcel is not None:
        assert await receiver.ingest(parcel.blocks, parcel.disclosures) == []
        await sender.transact(lambda tx: outbox.confirm(tx.db, receiver.identity.public_key, parcel))


async def test_the_downloader_signs_only_for_what_is_new(pair: tuple[Ledger, Ledger]) -> None:
    baker, _ = pair
    for total in (100, 100, 250):
        await baker.transact(lambda tx, total=total: sign_tally(tx, CARRIER.public_key, total, ()))  # type: ignore[misc]
    assert sorted(each.received for each in tallies(baker.db)) == [100, 150]


async def test_the_uploader_agrees_once_and_both_see_it(pair: tuple[Ledger, Ledger]) -> None:
    baker, carrier = pair
    await baker.transact(lambda tx: sign_tally(tx, CARRIER.public_key, 100, ()))
    await carry(baker, carrier)
    (tally,) = tallies(carrier.db)
    assert not tally.agreed
    await carrier.transact(lambda tx: record_sent(tx, BAKER.public_key, 100))
    for _ in range(2):
        await carrier.transact(lambda tx: countersign(tx, tally.id))
    assert carrier.db.execute("SELECT count(*) FROM block").fetchone() == (2,)
    await carry(carrier, baker)
    assert [each.agreed for each in tallies(baker.db)] == [True]


async def test_a_claim_of_more_than_was_sent_is_not_countersigned(pair: tuple[Ledger, Ledger]) -> None:
    baker, carrier = pair
    await baker.transact(lambda tx: sign_tally(tx, CARRIER.public_key, 101, ()))
    await carry(baker, carrier)
    (tally,) = tallies(carrier.db)
    await carrier.transact(lambda tx: record_sent(tx, BAKER.public_key, 60))
    await carrier.transact(lambda tx: record_sent(tx, BAKER.public_key, 40))
    await carrier.transact(lambda tx: countersign(tx, tally.id))
    assert [each.agreed for each in tallies(carrier.db)] == [False]
    await carrier.transact(lambda tx: record_sent(tx, BAKER.public_key, 1))
    await carrier.transact(lambda tx: countersign(tx, tally.id))
    assert [each.agreed for each in tallies(carrier.db)] == [True]


async def test_nobody_countersigns_what_names_another_uploader(pair: tuple[Ledger, Ledger]) -> None:
    baker, carrier = pair
    await baker.transact(lambda tx: sign_tally(tx, CARRIER.public_key, 100, ()))
    (tally,) = tallies(baker.db)
    await baker.transact(lambda tx: countersign(tx, tally.id))
    assert [each.agreed for each in tallies(baker.db)] == [False]
    assert carrier.db.execute("SELECT count(*) FROM block").fetchone() == (0,)


async def test_an_announcement_is_signed_when_it_changes_and_the_newest_counts(pair: tuple[Ledger, Ledger]) -> None:
    baker, _ = pair
    for port in (7000, 7000, 7001):
        await baker.transact(lambda tx, port=port: announce(tx, port))  # type: ignore[misc]
    assert baker.db.execute("SELECT count(*) FROM block").fetchone() == (2,)
    assert [(seed.token, seed.port) for seed in seeds(baker.db)] == [(token_of(BAKER.public_key), 7001)]
