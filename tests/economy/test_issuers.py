"""Exchanges that concern two issuers: all legs move or none, and one issuer's lies do not undo another's word."""

from dataclasses import replace

from overlay.economy import exchange
from overlay.economy.holdings import holdings
from overlay.economy.standing import Standing, leg_standing
from overlay.trustchain import blocks
from overlay.trustchain.statements import (
    CancelExchange,
    Witness,
    encode,
)
from tests.economy.forging import (
    UNKNOWN,
    a_hoard,
    a_voucher_of,
    agree_to_a_swap_of_two_issuers,
    answer,
    everyone_meets,
    held_in_all,
    leg,
    propose,
    swap,
    two_issuers_swap,
    words_about,
)
from tests.town import HOUR, Town


async def test_both_legs_of_a_swap_move_or_neither_in_the_eyes_of_each_issuer(town: Town) -> None:
    baker, grower, farmer, mechanic, bread, produce = await two_issuers_swap(town)
    welder = town.person("welder")
    # The mechanic gives the same produce to the welder at the same time, and the grower hears of that first.
    proposal = await swap(town, farmer, (bread, 100), mechanic, (produce, 100), without=(baker, grower, welder))
    (stock,) = [each for each in holdings(mechanic.ledger.db, mechanic.key) if each.voucher == produce]
    second = await propose(mechanic, welder, leg(produce, [(stock.block, stock.index)], 100))
    await everyone_meets(mechanic, welder)
    yes = await answer(welder, second)
    await welder.show(grower, yes.hash)
    await mechanic.show(grower, second.hash)
    await grower.react()
    assert grower.standing(second.hash) is Standing.FINAL
    await town.carry(without=(welder,))
    for each in (farmer, mechanic):
        assert each.standing(proposal) is Standing.REFUSED
    # The farmer lost its claim to the produce, so it keeps its bread: in its own eyes and in the baker's.
    assert farmer.holds(bread) == 100
    assert held_in_all(baker, bread, farmer, mechanic) == 100
    await everyone_meets(farmer, welder)  # as chains are compared: the grower's refusal is public
    passed = await farmer.give(welder, bread, 100)
    await town.carry()
    await welder.agree(passed)
    await town.carry()
    assert baker.standing(passed) is welder.standing(passed) is Standing.FINAL


async def test_a_silent_issuer_is_given_up_by_the_others_when_the_time_is_over(town: Town) -> None:
    baker, grower, farmer, mechanic, bread, produce = await two_issuers_swap(town)
    silent, last = sorted((baker, grower), key=lambda each: each.key)
    proposal = await swap(town, farmer, (bread, 100), mechanic, (produce, 100), without=(silent,))
    assert farmer.standing(proposal) is Standing.PROVISIONAL
    town.clock.time += 2 * HOUR
    await last.do(lambda tx: exchange.react(tx, exchange.unfinished(tx.db)))
    await town.carry(without=(silent,))
    assert farmer.standing(proposal) is mechanic.standing(proposal) is Standing.REFUSED
    assert (farmer.holds(bread), mechanic.holds(produce)) == (100, 100)


async def test_a_cancellation_reaches_the_issuer_before_a_late_agreement(town: Town) -> None:
    baker, farmer, _ = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic = town.person("mechanic")
    proposal = await farmer.give(mechanic, bread, 100)
    await town.carry(without=(baker,))
    await farmer.do(lambda tx: exchange.cancel(tx, proposal))
    await town.carry(without=(mechanic,))
    await mechanic.agree(proposal)
    await town.carry()
    assert mechanic.standing(proposal) is farmer.standing(proposal) is Standing.REFUSED
    assert farmer.holds(bread) == 100


async def test_an_issuer_waits_for_those_before_it_and_all_words_together_are_final(town: Town) -> None:
    (baker, grower, farmer, mechanic), proposal, _, _ = await agree_to_a_swap_of_two_issuers(town)
    first, last = sorted((baker, grower), key=lambda each: each.key)
    await town.carry(without=(first,))
    assert farmer.standing(proposal.hash) is Standing.PROVISIONAL
    assert words_about(last, proposal) == []
    await town.carry()
    for each in (baker, grower, farmer, mechanic):
        assert each.standing(proposal.hash) is Standing.FINAL
        assert words_about(each, proposal) == [True, True]


async def test_an_issuer_takes_back_its_word_when_the_other_has_refused_and_only_then_accepts_another(
    town: Town,
) -> None:
    (baker, grower, farmer, mechanic), proposal, agreement, masks = await agree_to_a_swap_of_two_issuers(town)
    first, last = sorted((baker, grower), key=lambda each: each.key)
    await town.carry(without=(last,))
    assert words_about(first, proposal) == [True]
    refusal = await last.forge(Witness(proposal.hash, agreement.hash, masks[last], False))
    await last.show(first, refusal.hash)
    await everyone_meets(last, farmer, mechanic)
    giver, taker = (farmer, mechanic) if first is baker else (mechanic, farmer)
    voucher = next(
        each.voucher
        for each in holdings(giver.ledger.db, giver.key)
        if first.ledger.block(each.voucher).public_key == first.key
    )  # type: ignore[union-attr]
    given = await giver.give(taker, voucher, 100)
    await town.carry()
    await taker.agree(given)
    await town.carry()
    assert taker.standing(given) is first.standing(given) is Standing.FINAL
    said = first.ledger.db.execute(
        "SELECT w.first FROM voucher_witness w JOIN agent ON agent.id = author WHERE key = ? ORDER BY w.sequence",
        (first.key,),
    ).fetchall()
    assert said[-2:] == [(0,), (1,)]


async def test_an_issuer_that_also_refuses_cannot_undo_what_all_had_accepted(town: Town) -> None:
    (baker, grower, _farmer, _mechanic), proposal, agreement, masks = await agree_to_a_swap_of_two_issuers(town)
    first, last = sorted((baker, grower), key=lambda each: each.key)
    place = await last.forge(CancelExchange(UNKNOWN, ""))  # where a refusal could be hidden
    await town.carry()
    assert first.standing(proposal.hash) is Standing.FINAL
    hidden = Witness(proposal.hash, agreement.hash, masks[last], False)
    kind, raw = encode(hidden)
    forged = replace(place, type=kind, transaction=raw).signed_by(last.identity)
    await first.ledger.ingest([forged])
    mine = next(at for at in range(2) if masks[first] >> at & 1)
    number = blocks.find_id(first.ledger.db, proposal.hash)
    assert number is not None
    assert leg_standing(first.ledger.db, (number, mine)) is Standing.FINAL
    await first.react()
    assert words_about(first, proposal).count(False) == 1
