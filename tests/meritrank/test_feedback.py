"""Reputation comes from fulfilled pairs alone: no one-sided statement gives or takes anything."""

import itertools
from pathlib import Path

from overlay.keys import Identity, PublicKey
from overlay.meritrank.feedback import UNIT, Evidence, FeedbackView, evidence
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import AgreeExchange, AgreeTally, Anything, ProposeExchange, TallyUpload, encode
from tests.town import HandClock, SeededRandomness

FARMER, BAKER, MECHANIC = (Identity.from_seed(bytes([number]) * 64) for number in (1, 2, 3))
MIB = 1 << 20


def block(
    author: Identity, statement: Anything, *, to: PublicKey = ANYONE, link: int = 0, sequence: int = 1
) -> HalfBlock:
    kind, transaction = encode(statement)
    previous = GENESIS_HASH if sequence == 1 else type(GENESIS_HASH)(bytes(32))
    unsigned = HalfBlock(author.public_key, sequence, to, link, previous, kind, transaction, timestamp=0)
    return unsigned.signed_by(author)


async def fold(folder: Path, *blocks: HalfBlock, mib_weight: int = 1) -> list[Evidence]:
    ledger = Ledger(folder / f"{id(blocks)}.db", FARMER, [FeedbackView()], HandClock(), SeededRandomness("x"))
    try:
        assert await ledger.ingest(blocks) == []
        return evidence(ledger.db, mib_weight)
    finally:
        ledger.close()


def repair(worth: int = 5, answer_worth: int = 0) -> tuple[HalfBlock, HalfBlock]:
    """The farmer gives for a repair; the mechanic agrees."""
    half = block(FARMER, ProposeExchange(1, bytes(32), worth, None), to=MECHANIC.public_key)
    answer = block(MECHANIC, AgreeExchange(half.hash, answer_worth), to=FARMER.public_key, link=1)
    return half, answer


async def test_a_pair_gives_the_provider_what_the_receivers_half_says(tmp_path: Path) -> None:
    half, answer = repair(5)
    assert await fold(tmp_path, half, answer) == [
        Evidence(FARMER.public_key, MECHANIC.public_key, 5 * UNIT, half.hash),
    ]


async def test_each_half_speaks_for_what_its_own_signer_received(tmp_path: Path) -> None:
    half, answer = repair(0, 7)
    assert await fold(tmp_path, half, answer) == [
        Evidence(MECHANIC.public_key, FARMER.public_key, 7 * UNIT, answer.hash),
    ]


async def test_one_half_alone_gives_nothing(tmp_path: Path) -> None:
    half, answer = repair()
    assert await fold(tmp_path, half) == []
    assert await fold(tmp_path, answer) == []


async def test_an_answer_by_somebody_else_gives_nothing(tmp_path: Path) -> None:
    half, _ = repair()
    stranger = block(BAKER, AgreeExchange(half.hash, 0), to=FARMER.public_key, link=1)
    assert await fold(tmp_path, half, stranger) == []


async def test_an_answer_that_links_to_another_place_gives_nothing(tmp_path: Path) -> None:
    half, _ = repair()
    astray = block(MECHANIC, AgreeExchange(half.hash, 0), to=FARMER.public_key, link=2)
    assert await fold(tmp_path, half, astray) == []


async def test_answering_twice_counts_once(tmp_path: Path) -> None:
    half, answer = repair(5)
    again = block(MECHANIC, AgreeExchange(half.hash, 0), to=FARMER.public_key, link=1, sequence=2)
    assert [each.weight for each in await fold(tmp_path, half, answer, again)] == [5 * UNIT]


async def test_an_exchange_with_oneself_gives_nothing(tmp_path: Path) -> None:
    half = block(FARMER, ProposeExchange(1, bytes(32), 5, None), to=FARMER.public_key)
    answer = block(FARMER, AgreeExchange(half.hash, 5), to=FARMER.public_key, link=1, sequence=2)
    assert await fold(tmp_path, half, answer) == []


async def test_a_countersigned_tally_weighs_its_bytes_by_the_charter(tmp_path: Path) -> None:
    half = block(BAKER, TallyUpload(MIB // 2, ()), to=MECHANIC.public_key)
    answer = block(MECHANIC, AgreeTally(half.hash), to=BAKER.public_key, link=1)
    (found,) = await fold(tmp_path, half, answer, mib_weight=4)
    assert (found.receiver, found.provider, found.weight) == (BAKER.public_key, MECHANIC.public_key, 2 * UNIT)
    assert await fold(tmp_path, half) == []


async def test_the_order_of_arrival_is_irrelevant(tmp_path: Path) -> None:
    tally = block(BAKER, TallyUpload(MIB, ()), to=MECHANIC.public_key)
    agreed = block(MECHANIC, AgreeTally(tally.hash), to=BAKER.public_key, link=1, sequence=2)
    everything = (*repair(5, 3), tally, agreed)
    results = [await fold(tmp_path, *order) for order in itertools.permutations(everything)]
    assert len(results[0]) == 3
    assert all(result == results[0] for result in results)
