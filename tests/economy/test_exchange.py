"""Vouchers change hands: both legs or neither, each holding once, final by the issuer's word."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from overlay.economy import exchange
from overlay.economy.exchange import Refused
from overlay.economy.standing import Standing, supply
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from tests.economy.forging import swap
from tests.town import HOUR, Town, Townsperson


async def a_farmer_who_holds_bread(town: Town) -> tuple[Townsperson, Townsperson, BlockHash]:
    farmer, baker = town.person("farmer"), town.person("baker")
    produce, bread = await farmer.mint("produce", 100), await baker.mint("bread", 100)
    farmer_mint, baker_mint = farmer.ledger.block(produce), baker.ledger.block(bread)
    assert farmer_mint is not None
    assert baker_mint is not None
    await farmer.ledger.ingest([baker_mint])
    await baker.ledger.ingest([farmer_mint])
    await swap(town, farmer, (produce, 100), baker, (bread, 100))
    return farmer, baker, bread


async def test_a_swap_moves_both_legs_and_is_final_for_both(town: Town) -> None:
    farmer, baker = town.person("farmer"), town.person("baker")
    produce, bread = await farmer.mint("produce", 100), await baker.mint("bread", 100)
    await farmer.ledger.ingest([b for b in [baker.ledger.block(bread)] if b])
    await baker.ledger.ingest([b for b in [farmer.ledger.block(produce)] if b])

    proposal = await swap(town, farmer, (produce, 60), baker, (bread, 80))

    assert farmer.standing(proposal) is baker.standing(proposal) is Standing.FINAL
    assert (farmer.holds(produce), farmer.holds(bread)) == (40, 80)
    assert (baker.holds(produce), baker.holds(bread)) == (60, 20)


async def test_bread_passed_on_is_final_by_the_bakers_word_and_then_redeemed(town: Town) -> None:
    farmer, baker, bread = await a_farmer_who_holds_bread(town)
    mechanic = town.person("mechanic")

    passed = await farmer.give(mechanic, bread, 100)
    await town.carry(without=(baker,))
    await mechanic.agree(passed)
    await town.carry(without=(baker,))
    assert mechanic.standing(passed) is Standing.PROVISIONAL
    await town.carry()
    assert mechanic.standing(passed) is farmer.standing(passed) is Standing.FINAL
    assert (farmer.holds(bread), mechanic.holds(bread)) == (0, 100)

    redeemed = await mechanic.give(baker, bread, 40, weight=40)
    await town.carry()
    await baker.agree(redeemed)
    await town.carry()
    assert mechanic.holds(bread) == 60
    assert baker.holds(bread) == 0
    found = supply(baker.ledger.db, bread, town.clock.now())
    assert (found.minted, found.redeemed, found.outstanding) == (100, 40, 60)


async def test_of_two_spends_of_one_holding_only_the_first_that_the_issuer_sees_stands(town: Town) -> None:
    farmer, baker, bread = await a_farmer_who_holds_bread(town)
    mechanic, welder = town.person("mechanic"), town.person("welder")
    first = await farmer.give(mechanic, bread, 100)
    # The farmer's node refuses a second spend while the first is open ...
    with pytest.raises(Refused, match="100 more wait in open proposals"):
        await farmer.give(welder, bread, 100)
    # ... so the farmer lies: the proposal is cancelled after the mechanic has it.
    await town.carry(without=(baker, welder))
    await farmer.do(lambda tx: exchange.cancel(tx, first))
    second = await farmer.give(welder, bread, 100)
    await mechanic.agree(first)
    await town.carry(without=(mechanic,))
    await welder.agree(second)
    await town.carry(without=(mechanic,))
    assert welder.standing(second) is Standing.FINAL
    await town.carry()

    assert welder.standing(second) is Standing.FINAL
    assert mechanic.standing(first) is Standing.REFUSED
    assert (mechanic.holds(bread), welder.holds(bread)) == (0, 100)


async def test_a_member_cannot_give_what_it_does_not_hold(town: Town) -> None:
    farmer, _, bread = await a_farmer_who_holds_bread(town)
    mechanic = town.person("mechanic")
    with pytest.raises(Refused, match="you hold 100 of this voucher, not 101"):
        await farmer.give(mechanic, bread, 101)
    with pytest.raises(Refused, match="knows no such voucher"):
        await farmer.give(mechanic, BlockHash(b"x" * 32), 1)


async def test_a_proposal_lapses_and_frees_what_it_bound(town: Town) -> None:
    farmer, _, bread = await a_farmer_who_holds_bread(town)
    mechanic = town.person("mechanic")
    proposal = await farmer.give(mechanic, bread, 100)
    await town.carry()
    town.clock.time += HOUR
    with pytest.raises(Refused, match="it is lapsed"):
        await mechanic.agree(proposal)
    assert farmer.standing(await farmer.give(mechanic, bread, 100)) is Standing.OPEN


async def test_vouchers_expire_with_their_promise(town: Town) -> None:
    baker = town.person("baker")
    bread = await baker.mint("bread", 10, expires=town.clock.now() + HOUR)
    assert baker.holds(bread) == 10
    town.clock.time += HOUR
    assert baker.holds(bread) == 0
    assert supply(baker.ledger.db, bread, town.clock.now()).outstanding == 0


async def test_a_declined_proposal_is_told_with_its_reason(town: Town) -> None:
    farmer, _, bread = await a_farmer_who_holds_bread(town)
    mechanic = town.person("mechanic")
    proposal = await farmer.give(mechanic, bread, 1)
    await town.carry()
    await mechanic.do(lambda tx: exchange.cancel(tx, proposal, "no bread today"))
    await town.carry()
    assert farmer.standing(proposal) is Standing.CANCELLED


async def test_views_folded_anew_are_the_same(town: Town) -> None:
    farmer, baker, bread = await a_farmer_who_holds_bread(town)
    mechanic = town.person("mechanic")
    passed = await farmer.give(mechanic, bread, 30)
    await town.carry()
    await mechanic.agree(passed)
    await town.carry()
    for person in (farmer, baker, mechanic):
        before = list(person.ledger.db.iterdump())
        await person.ledger.rebuild()
        assert list(person.ledger.db.iterdump()) == before


async def test_a_copied_chain_that_spends_again_is_proven_and_declined(town: Town, tmp_path: Path) -> None:
    farmer, baker, bread = await a_farmer_who_holds_bread(town)
    mechanic = town.person("mechanic")
    passed = await farmer.give(mechanic, bread, 100)
    await town.carry()
    await mechanic.agree(passed)
    await town.carry()
    with closing(sqlite3.connect(tmp_path / "stolen.db")) as stolen:
        mechanic.ledger.db.backup(stolen)
    cheat = Townsperson("mechanic", tmp_path, town.clock, file="stolen")

    redeemed = await mechanic.give(baker, bread, 40)
    await town.carry()
    await baker.agree(redeemed)
    await town.carry()
    again = await cheat.give(baker, bread, 100)
    forged = cheat.ledger.block(again)
    assert forged is not None
    await baker.ledger.ingest([forged])
    assert [fork.culprit for change in baker.changes for fork in change.forks] == [mechanic.key]
    await baker.react()
    assert baker.standing(again) is Standing.CANCELLED
    with pytest.raises(Refused, match="two histories"):
        await baker.give(mechanic, bread, 1)
    cheat.ledger.close()


async def test_a_node_opens_a_transaction_only_for_exchanges_on_which_something_is_due(town: Town) -> None:
    farmer, baker = town.person("farmer"), town.person("baker")
    bread = await baker.mint("bread", 100)
    proposal = await baker.give(farmer, bread, 10)

    def due(person: Townsperson) -> list[BlockHash]:
        return exchange.due(person.ledger.db, person.key, [proposal])

    assert due(baker) == []
    await town.carry()
    await farmer.agree(proposal)
    await baker.show(farmer, bread)
    await farmer.show(baker, *(block.hash for block in blocks.chain(farmer.ledger.db, farmer.key, 1, 9, 9)))
    assert due(baker) == [proposal]
    assert due(farmer) == []
    await baker.react()
    assert due(baker) == []
    assert baker.standing(proposal) is Standing.FINAL
