"""What a dishonest member tries against others' holdings, and what its victims' nodes make of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.economy import exchange
from overlay.economy.exchange import Amount, Refused
from overlay.economy.holdings import holdings
from overlay.economy.standing import Standing, current_holdings, supply
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Body
from overlay.trustchain.statements import (
    AgreeExchange,
    CancelExchange,
    Leg,
    Mint,
    ProposeExchange,
    Source,
    Witness,
    encode_part,
)
from tests.town import HOUR, START, Town, Townsperson

UNKNOWN = b"?" * 32


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    yield town
    town.close()


def leg(
    voucher: bytes,
    inputs: list[tuple[bytes, int]],
    quantity: int,
    change: int = 0,
    *,
    from_proposer: bool = True,
    parts: int = 1,
) -> Leg:
    return Leg(from_proposer, voucher, tuple(Source(*each) for each in sorted(inputs)), quantity, change, parts, ())


async def propose(who: Townsperson, to: Townsperson, *legs: Leg, until: int = START + HOUR) -> HalfBlock:
    body = Body([encode_part(each) for each in legs], who.random)
    return await who.forge(ProposeExchange(until, body.root, 0, None), to=to.key, body=body)


async def answer(who: Townsperson, proposal: HalfBlock) -> HalfBlock:
    return await who.forge(AgreeExchange(proposal.hash, 0), link=proposal)


async def everyone_meets(*people: Townsperson) -> None:
    """Everyone gets every block and part that anyone has."""
    for one in people:
        for other in people:
            rows = one.ledger.db.execute("SELECT hash FROM block").fetchall()
            await one.show(other, *(each for (each,) in rows))


async def a_hoard(town: Town) -> tuple[Townsperson, Townsperson, BlockHash]:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 100)
    given = await baker.give(farmer, bread, 100)
    await town.carry()
    await farmer.agree(given)
    await town.carry()
    assert farmer.holds(bread) == 100
    return baker, farmer, given


async def test_a_block_from_the_far_future_is_folded_like_any_other(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    honest = await baker.mint("bread", 1)
    proposal = await propose(baker, farmer, leg(honest, [(honest, 0)], 1))
    late = replace(proposal, timestamp=(1 << 64) - 1, sequence_number=3, previous_hash=proposal.hash)
    assert await farmer.ledger.ingest([late.signed_by(baker.identity)]) == []
    assert farmer.ledger.block(late.signed_by(baker.identity).hash) is not None


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


async def a_voucher_of(holder: Townsperson) -> BlockHash:
    return current_holdings(holder.ledger.db, holder.key, START)[0].holding.voucher


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
    with pytest.raises(Refused, match="not known to exist|whose word it needs"):
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


def held_in_all(observer: Townsperson, voucher: bytes, *holders: Townsperson) -> int:
    return sum(
        each.holding.quantity
        for holder in holders
        for each in current_holdings(observer.ledger.db, holder.key, observer.clock.now())
        if each.holding.voucher == voucher
    )


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


async def test_an_issuer_gives_from_its_stock_a_thousand_times(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 1_000)
    for _ in range(300):
        given = await baker.give(farmer, bread, 1)
        await town.carry()
        await farmer.agree(given)
        await town.carry()
    assert (baker.holds(bread), farmer.holds(bread)) == (700, 300)


async def test_a_long_provisional_history_is_judged_within_bounds(town: Town) -> None:
    baker, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    friend = town.person("friend")
    await everyone_meets(farmer, friend)
    pair, source = [farmer, friend], (bytes(held), 0)
    for step in range(1_200):
        giver, taker = pair[step % 2], pair[(step + 1) % 2]
        proposal = await propose(giver, taker, leg(bread, [source], 100))
        await giver.show(taker, proposal.hash)
        agreement = await answer(taker, proposal)
        await taker.show(giver, agreement.hash)
        source = (proposal.hash, 0)
    assert farmer.standing(BlockHash(source[0])) in (Standing.UNPROVEN, Standing.PROVISIONAL)
    assert baker is not None


async def test_a_braided_provisional_history_is_judged_within_bounds(town: Town) -> None:
    _, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    friend = town.person("friend")
    await everyone_meets(farmer, friend)
    pair, sources, amount = [farmer, friend], [(bytes(held), 0)], 100
    for step in range(60):
        giver, taker = pair[step % 2], pair[(step + 1) % 2]
        half = amount // 2 if len(sources) == 1 else amount - 50
        proposal = await propose(giver, taker, leg(bread, sources, 50, 50))
        await giver.show(taker, proposal.hash)
        await taker.show(giver, (await answer(taker, proposal)).hash)
        other = await propose(giver, taker, leg(bread, [(proposal.hash, 1)], 50))
        await giver.show(taker, other.hash)
        await taker.show(giver, (await answer(taker, other)).hash)
        sources = [(proposal.hash, 0), (other.hash, 0)]
        assert half
    assert farmer.standing(BlockHash(sources[1][0])) is Standing.PROVISIONAL


async def test_an_issuer_gives_its_word_when_the_history_arrives_after_the_exchange(town: Town) -> None:
    baker, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    friend = town.person("friend")
    await everyone_meets(farmer, friend)
    first = await propose(farmer, friend, leg(bread, [(held, 0)], 100))
    await farmer.show(friend, first.hash)
    first_yes = await answer(friend, first)
    second = await propose(friend, farmer, leg(bread, [(first.hash, 0)], 100))
    await friend.show(farmer, second.hash)
    second_yes = await answer(farmer, second)
    await friend.show(baker, second.hash)
    await farmer.show(baker, second_yes.hash)
    await baker.react()
    await farmer.show(baker, first.hash)
    await friend.show(baker, first_yes.hash)
    await baker.react()
    assert baker.standing(second.hash) is Standing.FINAL


@pytest.mark.parametrize("quantity", [0, -5])
async def test_nothing_and_less_than_nothing_cannot_be_given(town: Town, quantity: int) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 10)
    with pytest.raises(Refused):
        await baker.give(farmer, bread, quantity)


async def test_words_that_no_part_can_hold_are_refused_before_they_are_signed(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 10)
    with pytest.raises((Refused, ValueError)):
        await baker.do(
            lambda tx: exchange.propose(tx, baker.random, farmer.key, [Amount(bread, 1)], START + HOUR, deed="x" * 281)
        )
    assert baker.holds(bread) == 10


async def test_a_hoard_of_many_small_holdings_can_be_given_at_once(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 40)
    for _ in range(40):
        given = await baker.give(farmer, bread, 1)
        await town.carry()
        await farmer.agree(given)
        await town.carry()
    redeemed = await farmer.give(baker, bread, 40)
    await town.carry()
    await baker.agree(redeemed)
    assert supply(baker.ledger.db, bread, START).redeemed == 40


async def two_issuers_swap(
    town: Town,
) -> tuple[Townsperson, Townsperson, Townsperson, Townsperson, BlockHash, BlockHash]:
    """A farmer holds bread, a mechanic holds produce: both given by issuers who are not parties to their swap."""
    baker, grower, farmer, mechanic = (town.person(role) for role in ("baker", "grower", "farmer", "mechanic"))
    bread, produce = await baker.mint("bread", 100), await grower.mint("produce", 100)
    for issuer, holder, voucher in ((baker, farmer, bread), (grower, mechanic, produce)):
        given = await issuer.give(holder, voucher, 100)
        await town.carry()
        await holder.agree(given)
        await town.carry()
    await baker.show(mechanic, bread)
    await baker.show(grower, bread)
    await grower.show(farmer, produce)
    await grower.show(baker, produce)
    return baker, grower, farmer, mechanic, bread, produce


async def swap(
    town: Town, one: Townsperson, give: bytes, other: Townsperson, want: bytes, *, without: tuple[Townsperson, ...] = ()
) -> BlockHash:
    offer = await one.do(
        lambda tx: exchange.offer_swap(
            tx, one.random, other.key, Amount(BlockHash(give), 100), Amount(BlockHash(want), 100), START + HOUR
        )
    )
    await town.carry(without=without)
    proposal = await other.do(lambda tx: exchange.accept_offer(tx, other.random, offer.hash))
    await town.carry(without=without)
    return proposal.hash


async def test_both_legs_of_a_swap_move_or_neither_in_the_eyes_of_each_issuer(town: Town) -> None:
    baker, grower, farmer, mechanic, bread, produce = await two_issuers_swap(town)
    welder = town.person("welder")
    # The mechanic gives the same produce to the welder at the same time, and the grower hears of that first.
    proposal = await swap(town, farmer, bread, mechanic, produce, without=(baker, grower, welder))
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
    proposal = await swap(town, farmer, bread, mechanic, produce, without=(silent,))
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
