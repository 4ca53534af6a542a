"""What is forgotten leaves its hash, and a chain is known as far as it is kept without a gap."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay.economy.members import MembersView, member
from overlay.keys import Identity
from overlay.trustchain import blocks, pruning
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import Profile
from tests.town import HandClock, SeededRandomness
from tests.trustchain.test_heritage import FARMER, chain


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    identity = Identity.from_seed(b"b" * 64)
    made = Ledger(tmp_path / "ledger.db", identity, [MembersView()], HandClock(), SeededRandomness("baker"))
    yield made
    made.close()


async def forget(ledger: Ledger, *places: int) -> None:
    rows = ledger.db.execute("SELECT id, sequence FROM half WHERE agent IS NOT NULL").fetchall()
    numbers = [number for number, sequence in rows if sequence in places]

    def work(tx):  # type: ignore[no-untyped-def]
        assert pruning.forget(tx.db, numbers) == ({FARMER.public_key} if numbers else set())
        ledger.refold(tx.db)

    await ledger.transact(work)


@pytest.mark.parametrize(
    ("places", "contiguous", "highest"),
    [((), 6, 6), ((1, 2), 0, 6), ((3, 4), 2, 6), ((5, 6), 4, 4), (range(1, 7), 0, 0)],
)
async def test_a_chain_is_known_as_far_as_it_is_kept(
    ledger: Ledger, places: tuple[int, ...], contiguous: int, highest: int
) -> None:
    whole = chain(6)
    await ledger.ingest(whole)
    await forget(ledger, *places)
    kept = [block for block in whole if block.sequence_number not in places]
    assert blocks.chain(ledger.db, FARMER.public_key, 1, 9, 9) == kept
    assert blocks.first_gap(ledger.db, FARMER.public_key) == contiguous + 1
    assert (blocks.head(ledger.db, FARMER.public_key) or (0,))[0] == highest
    assert blocks.count(ledger.db) == len(kept)
    assert all(blocks.contains(ledger.db, block.hash) is (block in kept) for block in whole)


async def test_views_are_a_fold_of_what_is_kept_and_what_comes_again_is_as_new(ledger: Ledger) -> None:
    whole = chain(4)
    await ledger.ingest(whole)
    before = list(ledger.db.iterdump())
    await forget(ledger, 3, 4)
    assert member(ledger.db, FARMER.public_key).name == "2"
    raw = list(ledger.db.iterdump())
    await ledger.rebuild()
    assert list(ledger.db.iterdump()) == raw
    assert await ledger.ingest(whole) == []
    assert list(ledger.db.iterdump()) == before
    await ledger.ingest(chain(6)[4:])
    assert blocks.first_gap(ledger.db, FARMER.public_key) == 7


async def test_own_signing_goes_on_after_others_are_forgotten(ledger: Ledger) -> None:
    await ledger.ingest(chain(3))
    await forget(ledger, 1, 2, 3)
    assert (await ledger.append(Profile("baker", ""))).sequence_number == 1
    assert (await ledger.append(Profile("baker", ""))).sequence_number == 2
