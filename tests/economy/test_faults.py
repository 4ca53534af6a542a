"""Faults that blocks prove only beside each other: whoever has the same blocks names the same culprits."""

from dataclasses import replace

from overlay.economy.faults import faults
from overlay.trustchain.statements import CancelExchange, Profile, Witness
from tests.economy.forging import (
    a_hoard,
    a_voucher_of,
    agree_to_a_swap_of_two_issuers,
    answer,
    everyone_meets,
    give_blindly,
    leg,
    propose,
)
from tests.town import HOUR, START, Town, Townsperson


def told(observer: Townsperson, culprit: Townsperson) -> list[str]:
    found = faults(observer.ledger.db, culprit.key)
    assert all(fault.culprit == culprit.key and fault.blocks for fault in found)
    assert all(observer.ledger.block(each) for fault in found for each in fault.blocks)
    return [fault.sentence.split(" ", 1)[1] if fault.sentence[0] != "s" else fault.sentence for fault in found]


async def test_an_honest_town_has_no_faults(town: Town) -> None:
    (baker, grower, farmer, mechanic), _, _, _ = await agree_to_a_swap_of_two_issuers(town)
    await town.carry()
    for culprit in (baker, grower, farmer, mechanic):
        assert told(farmer, culprit) == []


async def test_a_block_that_does_not_follow_the_one_before_it(town: Town) -> None:
    farmer, baker = town.person("farmer"), town.person("baker")
    first = await farmer.forge(Profile("farmer", ""))
    second = await farmer.forge(Profile("farmer", "grows"))
    third = replace(second, sequence_number=3, previous_hash=first.hash).signed_by(farmer.identity)
    await baker.ledger.ingest([third])
    assert told(baker, farmer) == []  # what is between is not known yet
    await baker.ledger.ingest([first, second])
    (fault,) = faults(baker.ledger.db, farmer.key)
    assert "statement 3 of" in fault.sentence
    assert "does not follow its statement 2" in fault.sentence
    assert fault.blocks == (third.hash, second.hash)


async def test_two_blocks_at_one_place(town: Town) -> None:
    farmer, baker = town.person("farmer"), town.person("baker")
    first = await farmer.forge(Profile("farmer", ""))
    await baker.ledger.ingest([replace(first, timestamp=5).signed_by(farmer.identity), first])
    assert told(baker, farmer) == ["signed two different statements 1"]


async def test_an_answer_that_names_one_proposal_and_links_to_another_and_a_second_answer(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 10)
    one, other = [await propose(baker, farmer, leg(bread, [(bread, 0)], 10)) for _ in range(2)]
    await everyone_meets(baker, farmer)
    wrong = replace(await answer(farmer, one), link_sequence_number=other.sequence_number).signed_by(farmer.identity)
    await baker.ledger.ingest([wrong])
    (fault,) = faults(baker.ledger.db, farmer.key)
    assert "names one statement and links to another" in fault.sentence
    assert fault.blocks == (wrong.hash, one.hash)
    again = await answer(farmer, one)
    await everyone_meets(baker, farmer)
    twice = [
        fault for fault in faults(farmer.ledger.db, farmer.key) if "answers what it had answered" in fault.sentence
    ]
    assert [fault.blocks[1] for fault in twice] == [again.hash]


async def test_a_holding_given_twice(town: Town) -> None:
    _, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic, welder = town.person("mechanic"), town.person("welder")
    await give_blindly(farmer, mechanic, leg(bread, [(held, 0)], 100))
    assert told(farmer, farmer) == []
    await give_blindly(farmer, welder, leg(bread, [(held, 0)], 100))
    assert told(farmer, farmer) == ["gave one holding twice"]


async def test_a_holding_given_again_after_the_first_time_was_over_or_cancelled_is_no_fault(town: Town) -> None:
    _, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic, welder = town.person("mechanic"), town.person("welder")
    cancelled = await propose(farmer, mechanic, leg(bread, [(held, 0)], 100))
    await farmer.forge(CancelExchange(cancelled.hash, ""), to=mechanic.key)
    lapsed = await propose(farmer, mechanic, leg(bread, [(held, 0)], 100))
    town.clock.time += 2 * HOUR
    again = await propose(farmer, welder, leg(bread, [(held, 0)], 100), until=town.clock.now() + HOUR)
    await everyone_meets(farmer, mechanic, welder)
    for who, proposal in ((mechanic, cancelled), (mechanic, lapsed), (welder, again)):
        await answer(who, proposal)
    await everyone_meets(farmer, mechanic, welder)
    assert told(welder, farmer) == []


async def test_what_was_not_held_or_does_not_sum_up(town: Town) -> None:
    _, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic, welder = town.person("mechanic"), town.person("welder")
    await everyone_meets(farmer, mechanic, welder)
    await give_blindly(mechanic, welder, leg(bread, [(held, 0)], 100))
    await give_blindly(farmer, welder, leg(bread, [(held, 0)], 100, 1))
    await everyone_meets(farmer, mechanic, welder)
    assert told(welder, mechanic) == told(welder, farmer) == ["gave what it did not hold"]


async def test_a_promise_given_after_it_expired(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 10, expires=START + HOUR)
    await everyone_meets(baker, farmer)
    town.clock.time += HOUR + 1
    await give_blindly(baker, farmer, leg(bread, [(bread, 0)], 10))
    assert told(farmer, baker) == ["gave a promise after it had expired"]


async def test_an_issuer_that_accepts_two_spends_or_contradicts_itself(town: Town) -> None:
    baker, farmer, held = await a_hoard(town)
    bread = await a_voucher_of(farmer)
    mechanic, welder = town.person("mechanic"), town.person("welder")
    first, first_yes = await give_blindly(farmer, mechanic, leg(bread, [(held, 0)], 100))
    second, second_yes = await give_blindly(farmer, welder, leg(bread, [(held, 0)], 100))
    await everyone_meets(baker, farmer, mechanic, welder)
    await baker.forge(Witness(first.hash, first_yes.hash, 1, True))
    assert told(baker, baker) == []
    await baker.forge(Witness(second.hash, second_yes.hash, 1, True))
    assert told(baker, baker) == ["accepted two spends of one holding of its own voucher"]
    await baker.forge(Witness(second.hash, second_yes.hash, 1, False))
    assert told(baker, baker) == [
        "accepted two spends of one holding of its own voucher",
        "both accepted and refused one exchange",
    ]
