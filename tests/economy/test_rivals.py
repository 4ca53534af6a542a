"""What a crowd of rivals for one holding costs who hears of it: work in proportion to their number, in any order."""

import contextlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from overlay.economy.claiming import make_claim
from overlay.keys import Identity
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import Witness, encode
from tests.economy.forging import a_hoard, a_voucher_of, answer, leg, propose
from tests.economy.observing import History, observer
from tests.town import Town

# Steps of SQLite's machine in one count of work.
STEPS = 100


class Work:
    """Counts what SQLite does in a ledger's transactions."""

    def __init__(self) -> None:
        self.done = 0

    async def watch(self, ledger: Ledger) -> None:
        await ledger.transact(lambda tx: tx.db.set_progress_handler(self._count, STEPS))

    def _count(self) -> None:
        self.done += 1


def as_signed(found: Sequence[HalfBlock | Disclosure]) -> list[HalfBlock | Disclosure]:
    return list(found)


def backwards(found: Sequence[HalfBlock | Disclosure]) -> list[HalfBlock | Disclosure]:
    return list(reversed(found))


def shuffled(found: Sequence[HalfBlock | Disclosure]) -> list[HalfBlock | Disclosure]:
    return random.Random(7).sample(found, len(found))


async def crowd(town: Town, size: int) -> History:
    """A farmer proposes to the baker, again and again, to spend the same bread, and the baker agrees to everything."""
    baker, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    for number in range(size):
        proposal = await propose(farmer, baker, leg(bread, [(held, 0)], 1 + number, 99 - number))
        await baker.ledger.ingest([proposal])
        await answer(baker, proposal)
    return History.of([baker.ledger, farmer.ledger])


@pytest.mark.parametrize("order", [as_signed, backwards, shuffled])
async def test_twice_the_rivals_are_twice_the_work(
    tmp_path: Path, order: Callable[[Sequence[HalfBlock | Disclosure]], list[HalfBlock | Disclosure]]
) -> None:
    work = []
    for size in (40, 80):
        (tmp_path / str(size)).mkdir()
        with contextlib.closing(Town(tmp_path / str(size), "NORMAL")) as town:
            history = await crowd(town, size)
            ledger, counted = observer(tmp_path / f"{size}.db", town.clock), Work()
            await ledger.ingest(history.blocks[:1])
            await counted.watch(ledger)
            signed = sorted(history.blocks, key=lambda block: (block.public_key, block.sequence_number))
            for each in order([*signed, *history.parts]):
                blocks = [each] if isinstance(each, HalfBlock) else []
                await ledger.ingest(blocks, [] if blocks else [each])  # type: ignore[list-item]
            await ledger.ingest([], history.parts)
            ledger.close()
        work.append(counted.done)
    assert work[1] < 2.3 * work[0]


async def test_who_claims_the_same_again_and_again_makes_nobody_read_its_chain_again(tmp_path: Path) -> None:
    with contextlib.closing(Town(tmp_path, "NORMAL")) as town:
        old, heir = Identity.from_seed(b"o" * 64), Identity.from_seed(b"h" * 64)
        ledger, counted = observer(tmp_path / "observer.db", town.clock), Work()
        await ledger.ingest(words(heir, 300))
        await counted.watch(ledger)
        await ledger.ingest([make_claim(old, heir, GENESIS_HASH, 0)])
        first, counted.done = counted.done, 0
        await ledger.ingest([make_claim(old, heir, GENESIS_HASH, time) for time in range(1, 11)])
        assert counted.done < first
        ledger.close()


def words(who: Identity, number: int) -> list[HalfBlock]:
    """Witness statements on exchanges that nobody has heard of, from the second place of a chain on."""
    made = list[HalfBlock]()
    for place in range(2, number + 2):
        kind, content = encode(Witness(place.to_bytes(32), b"a" * 32, 1, first=True))
        previous = made[-1].hash if made else BlockHash(b"p" * 32)
        made.append(HalfBlock(who.public_key, place, ANYONE, 0, previous, kind, content, 0).signed_by(who))
    return made
