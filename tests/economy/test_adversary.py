"""What a dishonest member tries against others' holdings, and what its victims' nodes make of it."""

import pytest

from overlay.economy import exchange
from overlay.economy.exchange import Amount, Refused
from overlay.economy.standing import Standing, current_holdings, supply
from overlay.trustchain import blocks
from overlay.trustchain.commitment import Body
from overlay.trustchain.statements import (
    AgreeExchange,
    CancelExchange,
    Issuer,
    Mint,
    ProposeExchange,
    Witness,
    encode_part,
)
from tests.economy.forging import (
    UNKNOWN,
    a_hoard,
    a_voucher_of,
    answer,
    everyone_meets,
    give_blindly,
    held_in_all,
    leg,
    propose,
    replace_leg,
    swap,
)
from tests.town import HOUR, START, Town


async def test_a_stranger_cannot_bind_what_others_hold(town: Town) -> None:
    _, farmer, held = await a_hoard(town)
    cheat, friend = town.person("cheat"), town.person("friend")
    bread = await a_voucher_of(farmer)
    mine = leg(bread, [(held, 0)], 100)
    theirs = leg(bread, [(held, 0)], 100, from_proposer=False)
    for proposal in (await propose(cheat, friend, mine), await propose(cheat, farmer, theirs)):
        await cheat.show(farmer, proposal.hash)
    assert [each.pending for each in current_holdings(farmer.ledger.db, farmer.key, START)] == [False]
    assert farmer.standing(await farmer.give(friend, bread, 100)) is Standing.OPEN


async def test_two_strangers_cannot_spend_what_a_third_holds(town: Town) -> None:
    _, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    cheat, friend = town.person("cheat"), town.person("friend")
    for voucher in (bread, UNKNOWN):
        own = await cheat.mint("air", 5)
        await cheat.show(friend, own)
        false_leg = leg(voucher, [(held, 0)], 100, parts=3)
        proposal = await propose(cheat, friend, leg(own, [(own, 0)], 5), false_leg)
        await cheat.show(friend, proposal.hash)
        agreement = await answer(friend, proposal)
        word = await cheat.forge(Witness(proposal.hash, agreement.hash, 1, True))
        await friend.show(farmer, agreement.hash)
        await cheat.show(farmer, own, proposal.hash, word.hash)
    assert farmer.holds(bread) == 100


async def test_nobody_agrees_to_a_leg_in_a_voucher_that_it_does_not_know(town: Town) -> None:
    _, farmer, _ = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    cheat = town.person("cheat")
    own = await cheat.mint("air", 5)
    (held,) = [each.holding for each in current_holdings(farmer.ledger.db, farmer.key, START)]
    proposal = await propose(
        cheat,
        farmer,
        leg(own, [(own, 0)], 5, parts=3),
        leg(UNKNOWN, [(UNKNOWN, 0)], 1_000, parts=3),
        leg(bread, [(held.block, held.index)], 100, from_proposer=False, parts=4),
    )
    await cheat.show(farmer, own, proposal.hash)
    with pytest.raises(Refused, match=r"not known to exist|whose word it needs"):
        await farmer.agree(proposal.hash)


async def test_one_holding_in_two_legs_of_an_exchange_counts_once(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 10)
    proposal = await propose(baker, farmer, *(leg(bread, [(bread, 0)], 10, parts=3) for _ in range(2)))
    await baker.show(farmer, bread, proposal.hash)
    with pytest.raises(Refused):
        await farmer.agree(proposal.hash)
    agreement = await answer(farmer, proposal)
    word = await baker.forge(Witness(proposal.hash, agreement.hash, 3, True))
    await baker.show(farmer, word.hash)
    await farmer.show(baker, agreement.hash)
    for each in (baker, farmer):
        assert held_in_all(each, bread, baker, farmer) == 10


async def test_agreeing_twice_does_not_undo_what_is_final(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 10)
    proposal = await propose(baker, farmer, leg(bread, [(bread, 0)], 10))
    await baker.show(farmer, bread, proposal.hash)
    early, late = await answer(farmer, proposal), await answer(farmer, proposal)
    word = await baker.forge(Witness(proposal.hash, late.hash, 1, True))
    await baker.show(farmer, word.hash)
    await farmer.show(baker, late.hash)
    assert baker.standing(proposal.hash) is Standing.FINAL
    await farmer.show(baker, early.hash)
    assert baker.standing(proposal.hash) is farmer.standing(proposal.hash) is Standing.FINAL


async def test_a_malformed_part_in_the_answer_to_an_offer_is_declined(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread, produce = await baker.mint("bread", 10), await farmer.mint("produce", 10)
    await farmer.show(baker, produce)
    await baker.show(farmer, bread)
    offer = await baker.do(
        lambda tx: exchange.offer_swap(tx, baker.random, farmer.key, Amount(bread, 1), Amount(produce, 1), START + HOUR)
    )
    await town.carry()
    body = Body([b"\xc1"], farmer.random)
    taken = await farmer.forge(ProposeExchange(START + HOUR, body.root, 0, offer.hash), to=baker.key, body=body)
    await farmer.show(baker, taken.hash)
    await baker.react()
    assert baker.standing(taken.hash) in (Standing.OPEN, Standing.CANCELLED)


async def test_who_has_declined_cannot_agree_after_all(town: Town) -> None:
    baker, farmer, _ = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    redeemed = await farmer.give(baker, bread, 100)
    await town.carry()
    declined = await baker.forge(CancelExchange(redeemed, ""), to=farmer.key)
    block = baker.ledger.block(redeemed)
    assert block is not None
    agreed = await answer(baker, block)
    await baker.show(farmer, declined.hash, agreed.hash)
    assert farmer.standing(redeemed) is baker.standing(redeemed) is Standing.CANCELLED
    assert farmer.holds(bread) == 100
    assert supply(baker.ledger.db, bread, START).redeemed == 0


async def test_the_proof_for_a_loser_shows_nobody_elses_open_proposals(town: Town) -> None:
    baker, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic, welder, smith = (town.person(role) for role in ("mechanic", "welder", "smith"))
    await everyone_meets(farmer, mechanic, welder, smith)
    private = await propose(farmer, smith, leg(bread, [(held, 0)], 100))
    first = await propose(farmer, welder, leg(bread, [(held, 0)], 100))
    second = await propose(farmer, mechanic, leg(bread, [(held, 0)], 100))
    for proposal, who in ((first, welder), (second, mechanic)):
        await farmer.show(who, proposal.hash)
        await farmer.show(baker, proposal.hash)
        await who.show(baker, (await answer(who, proposal)).hash)
        await baker.react()
    await farmer.show(baker, private.hash)
    await town.carry()
    assert mechanic.standing(second.hash) is Standing.REFUSED
    assert mechanic.ledger.block(first.hash) is not None
    assert mechanic.ledger.block(private.hash) is None


async def test_mint_is_not_made_of_somebody_elses_word(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = (await farmer.forge(Mint("bread", "loaf", 10, "", 0, None))).hash
    assert farmer.holds(bread) == 10
    assert baker.holds(bread) == 0


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_refused_spend_is_not_made_good_by_passing_it_on(town: Town, at_once: bool) -> None:
    baker, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic, welder, smith = (town.person(role) for role in ("mechanic", "welder", "smith"))
    good, good_yes = await give_blindly(farmer, mechanic, leg(bread, [(held, 0)], 100))
    bad, bad_yes = await give_blindly(farmer, welder, leg(bread, [(held, 0)], 100))
    passed, passed_yes = await give_blindly(welder, smith, leg(bread, [(bad.hash, 0)], 100))
    await farmer.show(baker, good.hash, bad.hash)
    await mechanic.show(baker, good_yes.hash)
    if not at_once:
        await baker.react()
    await welder.show(baker, bad_yes.hash, passed.hash)
    await smith.show(baker, passed_yes.hash)
    await baker.react()
    await everyone_meets(baker, mechanic, welder, smith)
    stands = {baker.standing(each.hash) for each in (good, bad)}
    assert stands == {Standing.FINAL, Standing.REFUSED}
    assert baker.standing(passed.hash) is baker.standing(bad.hash)
    for observer in (baker, smith):
        assert held_in_all(observer, bread, baker, farmer, mechanic, welder, smith) == 100


async def test_a_second_agreement_elsewhere_or_by_somebody_else_is_none(town: Town) -> None:
    baker, farmer, mechanic = (town.person(role) for role in ("baker", "farmer", "mechanic"))
    bread = await baker.mint("bread", 10)
    proposal = await propose(baker, farmer, leg(bread, [(bread, 0)], 10))
    other = await propose(baker, farmer, leg(bread, [(bread, 0)], 10))
    await everyone_meets(baker, farmer, mechanic)
    await mechanic.forge(AgreeExchange(proposal.hash, 0), link=proposal)
    await farmer.forge(AgreeExchange(proposal.hash, 0), link=other)
    await farmer.forge(AgreeExchange(proposal.hash, 0), to=baker.key)
    await baker.forge(AgreeExchange(proposal.hash, 0), link=proposal)
    await everyone_meets(baker, farmer, mechanic)
    assert {each.standing(proposal.hash) for each in (baker, farmer, mechanic)} == {Standing.OPEN}
    await answer(farmer, proposal)
    await everyone_meets(baker, farmer, mechanic)
    assert {each.standing(proposal.hash) for each in (baker, farmer, mechanic)} == {Standing.PROVISIONAL}


async def test_an_expired_promise_is_not_confirmed(town: Town) -> None:
    baker, farmer, mechanic = (town.person(role) for role in ("baker", "farmer", "mechanic"))
    bread = await baker.mint("bread", 10, expires=START + HOUR)
    given = await baker.give(farmer, bread, 10)
    await town.carry()
    await farmer.agree(given)
    await town.carry()
    passed = await propose(farmer, mechanic, leg(bread, [(given, 0)], 10), until=START + 9 * HOUR)
    await everyone_meets(baker, farmer, mechanic)
    town.clock.time += HOUR
    with pytest.raises(Refused, match="has expired"):
        await mechanic.agree(passed.hash)
    await answer(mechanic, passed)
    await everyone_meets(baker, mechanic)
    await baker.react()
    assert baker.standing(passed.hash) is Standing.REFUSED


async def test_taken_up_offers_bind_nothing_any_more(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread, produce = await baker.mint("bread", 100), await farmer.mint("produce", 100)
    await everyone_meets(baker, farmer)
    taken = await swap(town, farmer, (produce, 100), baker, (bread, 100))
    offer = next(each for each in blocks.everything(farmer.ledger.db) if each.type == b"intent")
    assert farmer.standing(offer.hash) is farmer.standing(taken) is Standing.FINAL
    with pytest.raises(Refused, match="it is final"):
        await baker.do(lambda tx: exchange.accept_offer(tx, baker.random, offer.hash))


async def test_an_offer_is_taken_up_only_exactly_as_it_was_made(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread, produce = await baker.mint("bread", 100), await farmer.mint("produce", 100)
    await everyone_meets(baker, farmer)
    offer = await farmer.do(
        lambda tx: exchange.offer_swap(
            tx, farmer.random, baker.key, Amount(produce, 10), Amount(bread, 10), START + HOUR
        )
    )
    await town.carry()
    more = leg(produce, [(produce, 0)], 11, 89, from_proposer=False, parts=2)
    less = leg(bread, [(bread, 0)], 9, 91, parts=1)
    for wrong in (more, replace_leg(more, quantity=10, change=90)):
        legs = [replace_leg(less, others=(Issuer(farmer.key, 2),)), replace_leg(wrong, others=(Issuer(baker.key, 1),))]
        body = Body([encode_part(each) for each in legs], baker.random)
        taken = await baker.forge(ProposeExchange(START + HOUR, body.root, 0, offer.hash), to=farmer.key, body=body)
        await baker.show(farmer, taken.hash)
        await farmer.react()
        assert farmer.standing(taken.hash) is Standing.OPEN  # its member may still say yes
    assert farmer.standing(offer.hash) is Standing.OPEN
