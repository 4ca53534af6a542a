"""The largest, the smallest and the longest that members can be made to look at."""

from dataclasses import replace

import pytest

from overlay.economy import exchange
from overlay.economy.exchange import Amount, Refused
from overlay.economy.standing import Standing, supply
from overlay.trustchain.block import BlockHash
from tests.economy.forging import a_hoard, a_voucher_of, answer, everyone_meets, leg, propose
from tests.town import HOUR, START, Town


async def test_a_block_from_the_far_future_is_folded_like_any_other(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    honest = await baker.mint("bread", 1)
    proposal = await propose(baker, farmer, leg(honest, [(honest, 0)], 1))
    late = replace(proposal, timestamp=(1 << 64) - 1, sequence_number=3, previous_hash=proposal.hash)
    assert await farmer.ledger.ingest([late.signed_by(baker.identity)]) == []
    assert farmer.ledger.block(late.signed_by(baker.identity).hash) is not None


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
