"""Saying the same again and again costs who hears it no more than hearing it."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from overlay.economy.holdings import agreement_of
from overlay.economy.standing import Standing, standing
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.statements import Witness
from tests.economy.forging import a_hoard, a_voucher_of, answer, leg, propose
from tests.economy.observing import History, observer
from tests.economy.test_rivals import Work
from tests.town import Town

LEGS = 8


async def chatter(town: Town, times: int) -> tuple[History, HalfBlock]:
    """The baker accepts and refuses an exchange of eight legs in its own bread, so many times."""
    baker, farmer, held = await a_hoard(town)
    bread, friend = await a_voucher_of(farmer), town.person("friend")
    legs = [leg(bread, [(held, 0)], 1 + at, 99 - at, parts=(1 << LEGS) - 1) for at in range(LEGS)]
    proposal = await propose(farmer, friend, *legs)
    await friend.ledger.ingest([proposal])
    agreement = await answer(friend, proposal)
    for number in range(times):
        said = Witness(proposal.hash, agreement.hash, (1 << LEGS) - 1, first=number % 2 == 0)
        await baker.forge(said)
    return History.of([baker.ledger, farmer.ledger, friend.ledger]), proposal


@pytest.mark.parametrize("order", [list, lambda found: list(reversed(found))], ids=["as signed", "backwards"])
async def test_twice_the_words_are_twice_the_work(
    tmp_path: Path, order: Callable[[Sequence[HalfBlock]], list[HalfBlock]]
) -> None:
    work = []
    for times in (60, 120):
        (tmp_path / f"{times}").mkdir()
        with contextlib.closing(Town(tmp_path / f"{times}", "NORMAL")) as town:
            history, proposal = await chatter(town, times)
            ledger, counted = observer(tmp_path / f"{times}.db", town.clock), Work()
            words = [block for block in history.blocks if block.type == b"attest" and block.link_sequence_number == 0]
            words.sort(key=lambda block: block.sequence_number)
            await ledger.ingest([block for block in history.blocks if block not in words], history.parts)
            await counted.watch(ledger)
            for word in order(words):
                await ledger.ingest([word])
            assert agreement_of(ledger.db, proposal.hash) is not None
            assert standing(ledger.db, proposal.hash, town.clock.now()) is not Standing.FINAL
            ledger.close()
        work.append(counted.done)
    assert work[1] < 2.3 * work[0]
