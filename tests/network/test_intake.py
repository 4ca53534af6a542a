"""What is in the ledger already is found cheaply, whatever a peer says about the places of its blocks."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from overlay.keys import Identity
from overlay.network import intake
from overlay.network.intake import MANY, Conveyor, Intake
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.store import StorageError
from overlay.trustchain.validation import Invalid
from tests.network.village import person
from tests.town import Town, Townsperson

LAST = 0xFFFF_FFFF


def unsigned(author: Identity, places: list[int]) -> list[HalfBlock]:
    """What anybody can make up: a block at each place, all of them different."""
    return [
        HalfBlock(author.public_key, place, ANYONE, 0, previous, b"note", b"%d" % number, 0)
        for number, place in enumerate(places)
        for previous in [GENESIS_HASH if place == 1 else BlockHash(b"p" * 32)]
    ]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that are read from the ledger."""
    ranges: list[tuple[int, int]] = []
    known = intake._known

    def noted(db: sqlite3.Connection, author: bytes, first: int, last: int) -> object:
        ranges.append((first, last))
        return known(db, author, first, last)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "_known", noted)
    return ranges


@pytest.fixture
def farmer(tmp_path: Path) -> Townsperson:
    return Town(tmp_path).person("farmer")


@pytest.mark.parametrize(
    ("places", "reads"),
    [
        ([1, LAST] * MANY, []),
        ([*range(1, MANY + 1), 4 * (MANY + 1)], [(1, 4 * (MANY + 1))]),
        ([*range(1, MANY + 1), 4 * (MANY + 1) + 1], []),
    ],
)
async def test_no_more_of_a_chain_is_read_than_four_times_what_came(
    farmer: Townsperson, asked: list[tuple[int, int]], places: list[int], reads: list[tuple[int, int]]
) -> None:
    made_up = unsigned(person("mechanic"), places)
    assert intake._unknown(farmer.ledger.db, made_up) == made_up
    assert asked == reads
    farmer.ledger.close()


@pytest.mark.parametrize("step", [1, 4, 1_000])
async def test_what_is_known_is_found_near_and_far(farmer: Townsperson, step: int) -> None:
    """Of two authors, so that a place of one is none of the other."""
    found = [
        block.signed_by(who)
        for who in (person("mechanic"), person("baker"))
        for block in unsigned(who, list(range(1, 1 + step * (MANY + 1), step)))
    ]
    await farmer.ledger.ingest(found[::2])
    assert intake._unknown(farmer.ledger.db, [*found, *found]) == found[1::2]
    farmer.ledger.close()


async def test_who_is_told_to_end_ends_although_what_came_cannot_be_stored(farmer: Townsperson) -> None:
    """Otherwise a node with a full disk could not be stopped."""
    intake, waits = Intake(farmer.ledger), asyncio.Event()

    async def full(*_: object) -> dict[BlockHash, Invalid]:
        raise StorageError("the disk is full")

    intake.take = full  # type: ignore[method-assign]

    async def fetch() -> None:
        async with Conveyor(intake) as conveyor:
            await conveyor.put(unsigned(person("mechanic"), [1]))
            waits.set()
            await asyncio.Event().wait()

    fetching = asyncio.ensure_future(fetch())
    await waits.wait()
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)
    assert fetching.cancelled()
    farmer.ledger.close()


async def test_what_cannot_be_stored_is_told_to_whoever_fetched_it(farmer: Townsperson) -> None:
    intake = Intake(farmer.ledger)

    async def full(*_: object) -> dict[BlockHash, Invalid]:
        raise StorageError("the disk is full")

    intake.take = full  # type: ignore[method-assign]

    async def fetch() -> None:
        async with Conveyor(intake) as conveyor:
            await conveyor.put(unsigned(person("mechanic"), [1]))

    with pytest.raises(StorageError):
        await fetch()
    farmer.ledger.close()
