"""What crowds cost who hears of them: of rivals for one holding, of claims, of blocks before a fork; in any order."""

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from overlay.economy import making, succession, weighing
from overlay.economy.claiming import make_claim
from overlay.keys import Identity
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import AgreeExchange, Anything, Issuer, Mint, Profile, Witness, encode
from tests.economy.forging import a_hoard, a_voucher_of, answer, leg, propose, replace_leg
from tests.economy.observing import History, observer
from tests.town import HandClock, Town, Townsperson

# Steps of SQLite's machine in one count of work.
STEPS = 100


class Work:
    """Counts what SQLite does in a ledger's transactions."""

    def __init__(self) -> None:
        self.done = 0

    async def watch(self, ledger: Ledger) -> None:
        await ledger.transact(lambda tx: tx.db.set_progress_handler(self._count, STEPS))

    @contextlib.contextmanager
    def looking(self, db: sqlite3.Connection) -> Iterator[None]:
        """Counts what is done to answer questions."""
        db.set_progress_handler(self._count, STEPS)
        yield
        db.set_progress_handler(None, 0)

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
                found = [each] if isinstance(each, HalfBlock) else []
                await ledger.ingest(found, [] if found else [each])  # type: ignore[list-item]
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


async def refused_at_once(town: Town, size: int) -> tuple[History, list[HalfBlock]]:
    """The same, but each leg hangs on a grower's word too, who refuses what the baker has just accepted."""
    baker, farmer, held = await a_hoard(town)
    grower = town.person("grower")
    bread = await a_voucher_of(farmer)
    words = list[HalfBlock]()
    for _ in range(size):
        spent = replace_leg(leg(bread, [(held, 0)], 1, 99), others=(Issuer(grower.key, 1),))
        proposal = await propose(farmer, baker, spent)
        await baker.ledger.ingest([proposal])
        words.append(await baker.forge(AgreeExchange(proposal.hash, 0), link=proposal))
        words.append(await grower.forge(Witness(proposal.hash, words[-1].hash, 1, first=False)))
    everything = History.of([baker.ledger, farmer.ledger])
    return History([block for block in everything.blocks if block not in words], everything.parts), words


async def test_rivals_of_which_each_was_accepted_and_none_stands_are_work_in_proportion(tmp_path: Path) -> None:
    work = []
    for size in (80, 160):
        (tmp_path / str(size)).mkdir()
        with contextlib.closing(Town(tmp_path / str(size), "NORMAL")) as town:
            before, words = await refused_at_once(town, size)
            ledger, counted = observer(tmp_path / f"{size}.db", town.clock), Work()
            await ledger.ingest(before.blocks, before.parts)
            await counted.watch(ledger)
            await ledger.ingest(words)
            ledger.close()
        work.append(counted.done)
    assert work[1] < 2.3 * work[0]


async def unanswered(town: Town, size: int) -> tuple[History, list[HalfBlock]]:
    """Rivals of which the baker has said nothing, and its words on the first: yes and no by turns, the last first."""
    baker, farmer, held = await a_hoard(town)
    grower = town.person("grower")
    bread = await a_voucher_of(farmer)
    before = History.of([baker.ledger])
    agreed = [await rival(farmer, grower, bread, held) for _ in range(size)]
    words = [await baker.forge(Witness(*agreed[0], 1, first=bool(turn % 2))) for turn in range(20)]
    everything = History.of([farmer.ledger, grower.ledger])
    return History([*before.blocks, *everything.blocks], [*before.parts, *everything.parts]), words[::-1]


async def rival(giver: Townsperson, receiver: Townsperson, bread: bytes, held: bytes) -> tuple[bytes, bytes]:
    proposal = await propose(giver, receiver, leg(bread, [(held, 0)], 1, 99))
    await receiver.ledger.ingest([proposal])
    return proposal.hash, (await answer(receiver, proposal)).hash


async def test_a_word_costs_the_same_however_many_rivals_wait_for_one(tmp_path: Path) -> None:
    work = []
    for size in (20, 80):
        (tmp_path / str(size)).mkdir()
        with contextlib.closing(Town(tmp_path / str(size), "NORMAL")) as town:
            before, words = await unanswered(town, size)
            ledger, counted = observer(tmp_path / f"{size}.db", town.clock), Work()
            await ledger.ingest(before.blocks, before.parts)
            places = [leg for each in before.blocks for leg in making.legs_of(ledger.db, number(ledger, each))]
            assert sum(bool(weighing.rivals_of(ledger.db, place)) for place in places) == size
            await counted.watch(ledger)
            for word in words:
                await ledger.ingest([word])
            ledger.close()
        work.append(counted.done)
    assert work[1] < 1.3 * work[0]


def number(ledger: Ledger, block: HalfBlock) -> int:
    return blocks.find_id(ledger.db, block.hash) or 0


async def test_many_claims_through_one_key_are_work_for_each_pair_of_them_at_most(tmp_path: Path) -> None:
    """Half of them by heirs of the key, half by the key on others: each of these makes all those its heirs."""
    work = []
    for size in (40, 80):
        middle = Identity.from_seed(b"m" * 64)
        others = [Identity.from_seed(bytes([number]) * 64) for number in range(size)]
        heirs = [make_claim(middle, heir, GENESIS_HASH, 0) for heir in others[::2]]
        olds = [make_claim(old, middle, GENESIS_HASH, time) for time, old in enumerate(others[1::2])]
        ledger, counted = observer(tmp_path / f"{size}.db", HandClock()), Work()
        await ledger.ingest(heirs[:1])
        await counted.watch(ledger)
        assert await ledger.ingest([*heirs, *olds]) == []
        ledger.close()
        work.append(counted.done)
    assert work[1] < 4.6 * work[0]


async def test_an_old_chain_is_walked_back_once(tmp_path: Path) -> None:
    """What an heir may judge is asked of a chain that forked at its first place; its head was named by the heir."""
    work = []
    for length in (200, 400):
        old, heir = Identity.from_seed(b"o" * 64), Identity.from_seed(b"h" * 64)
        chain = [signed(old, 1, GENESIS_HASH, Profile("baker", ""))]
        chain.append(signed(old, 2, chain[-1].hash, Mint("bread", "loaf", 1, "", 0, None)))
        while len(chain) < length:
            chain.append(signed(old, len(chain) + 1, chain[-1].hash, Profile("baker", "")))
        twice = signed(old, 1, GENESIS_HASH, Profile("baker", "from a backup"))
        ledger, counted = observer(tmp_path / f"{length}.db", HandClock()), Work()
        assert await ledger.ingest([*chain, twice, make_claim(old, heir, chain[-1].hash, 0)]) == []
        with counted.looking(ledger.db):
            assert succession.may_judge(ledger.db, heir.public_key, old.public_key, chain[1].hash)
        ledger.close()
        work.append(counted.done)
    assert work[1] < 2.5 * work[0]


def signed(who: Identity, place: int, previous: BlockHash, said: Anything) -> HalfBlock:
    kind, content = encode(said)
    return HalfBlock(who.public_key, place, ANYONE, 0, previous, kind, content, 0).signed_by(who)
