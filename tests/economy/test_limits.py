"""What is not final is taken up to a limit; who loses it has a claim, and the proof."""

import pytest

from overlay.economy import exchange
from overlay.economy.exchange import Refused
from overlay.economy.limits import exposure
from overlay.economy.losses import BEFORE, TWICE, UNCONFIRMED, losses
from overlay.economy.standing import Standing
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Profile
from tests.economy.forging import a_hoard, everyone_meets, leg, propose
from tests.town import HOUR, Town, Townsperson


async def a_chain_of_gifts(town: Town) -> tuple[Townsperson, Townsperson, Townsperson, BlockHash, BlockHash]:
    """The farmer's 100 loaves go to the mechanic while the baker is away: what the mechanic holds is not final."""
    baker, farmer, given = await a_hoard(town)
    mechanic = town.person("mechanic")
    passed = await farmer.give(mechanic, given_voucher(farmer, given), 100)
    await town.carry(without=(baker,))
    await mechanic.agree(passed)
    await town.carry(without=(baker,))
    assert mechanic.standing(passed) is Standing.PROVISIONAL
    return baker, farmer, mechanic, given, passed


def given_voucher(person: Townsperson, given: bytes) -> BlockHash:
    query = "SELECT v.hash FROM voucher_leg JOIN half v ON v.id = voucher WHERE proposal = ?"
    (voucher,) = person.ledger.db.execute(query, (blocks.find_id(person.ledger.db, given),)).fetchone()
    return BlockHash(voucher)


async def offered(town: Town, quantity: int, weight: int = 0) -> tuple[Townsperson, Townsperson, BlockHash, BlockHash]:
    """The mechanic proposes to give the welder some of the loaves that are not final."""
    baker, _, mechanic, given, _ = await a_chain_of_gifts(town)
    welder = town.person("welder")
    bread = given_voucher(mechanic, given)
    proposal = await mechanic.give(welder, bread, quantity, weight=weight)
    await town.carry(without=(baker,))
    return mechanic, welder, bread, proposal


@pytest.mark.parametrize(("quantity", "weight"), [(40, 0), (3, 40)], ids=["by the steps", "by the giver's word"])
async def test_at_the_limit_it_is_taken_and_one_above_it_is_refused(town: Town, quantity: int, weight: int) -> None:
    mechanic, welder, _, proposal = await offered(town, quantity, weight)
    with pytest.raises(Refused, match=r"take 40 from .* your limit for this member is 39"):
        await welder.do(lambda tx: exchange.agree(tx, proposal, allow_provisional=True, limit=39))
    await welder.do(lambda tx: exchange.agree(tx, proposal, allow_provisional=True, limit=40))
    assert welder.standing(proposal) is Standing.PROVISIONAL
    assert exposure(welder.ledger.db, welder.key, mechanic.key) == 40


async def test_a_small_word_of_the_giver_does_not_get_around_the_limit(town: Town) -> None:
    _, welder, _, proposal = await offered(town, 40, 1)
    with pytest.raises(Refused, match="limit"):
        await welder.do(lambda tx: exchange.agree(tx, proposal, allow_provisional=True, limit=39))


async def test_what_was_taken_before_counts_too(town: Town) -> None:
    mechanic, welder, bread, first = await offered(town, 30)
    await welder.do(lambda tx: exchange.agree(tx, first, allow_provisional=True, limit=45))
    await town.carry(without=tuple(p for p in town.people.values() if p.role == "baker"))
    second = await mechanic.give(welder, bread, 16)
    await town.carry(without=tuple(p for p in town.people.values() if p.role == "baker"))
    with pytest.raises(Refused, match=r"take 16 .* besides 30 that you have taken so already; your limit .* is 45"):
        await welder.do(lambda tx: exchange.agree(tx, second, allow_provisional=True, limit=45))
    await welder.agree(second, allow_provisional=True)  # no limit: the member takes the risk
    assert welder.standing(second) is Standing.PROVISIONAL


async def test_what_is_final_counts_towards_no_limit(town: Town) -> None:
    _, farmer, given = await a_hoard(town)
    mechanic = town.person("mechanic")
    passed = await farmer.give(mechanic, given_voucher(farmer, given), 100)
    await town.carry()
    await mechanic.do(lambda tx: exchange.agree(tx, passed, allow_provisional=True, limit=0))
    await town.carry()
    assert mechanic.standing(passed) is Standing.FINAL
    assert exposure(mechanic.ledger.db, mechanic.key, farmer.key) == 0
    assert losses(mechanic.ledger.db, mechanic.key, town.clock.now()) == []


async def test_who_loses_what_was_given_twice_has_a_claim_with_both_spends(town: Town) -> None:
    baker, farmer, given = await a_hoard(town)
    mechanic, welder = town.person("mechanic"), town.person("welder")
    bread = given_voucher(farmer, given)
    await everyone_meets(baker, farmer, mechanic, welder)
    first = await propose(farmer, mechanic, leg(bread, [(given, 0)], 100))
    second = await propose(farmer, welder, leg(bread, [(given, 0)], 100))
    for taker, proposal in ((mechanic, first), (welder, second)):
        await farmer.show(taker, proposal.hash)
        await taker.agree(proposal.hash)
    await town.carry(without=(baker, mechanic))  # the welder's agreement reaches the baker first
    await town.carry(without=(mechanic,))
    await town.carry()
    assert welder.standing(second.hash) is Standing.FINAL
    assert mechanic.standing(first.hash) is Standing.REFUSED

    (loss,) = losses(mechanic.ledger.db, mechanic.key, town.clock.now())
    assert (loss.proposal, loss.giver, loss.reason) == (first.hash, farmer.key, TWICE)
    assert [(each.voucher, each.quantity) for each in loss.legs] == [(bread, 100)]
    assert {first.hash, second.hash} <= {block.hash for block in loss.proof}
    assert all(block.has_valid_signature() for block in loss.proof)
    assert losses(welder.ledger.db, welder.key, town.clock.now()) == []
    assert losses(farmer.ledger.db, farmer.key, town.clock.now()) == []  # who gave has lost nothing


async def test_what_follows_from_a_refused_gift_is_lost_as_well(town: Town) -> None:
    baker, farmer, mechanic, given, passed = await a_chain_of_gifts(town)
    welder, bread = town.person("welder"), given_voucher(mechanic, given)
    onward = await mechanic.give(welder, bread, 100)
    await town.carry(without=(baker,))
    await welder.agree(onward, allow_provisional=True)
    town.clock.time += 2 * HOUR  # the baker comes back too late for all of it
    await town.carry()
    assert mechanic.standing(passed) is welder.standing(onward) is Standing.REFUSED
    assert [loss.reason for loss in losses(mechanic.ledger.db, mechanic.key, town.clock.now())] == [UNCONFIRMED]
    (loss,) = losses(welder.ledger.db, welder.key, town.clock.now())
    assert (loss.giver, loss.reason) == (mechanic.key, UNCONFIRMED)
    assert farmer.holds(bread) == 100


async def test_before_the_issuer_speaks_of_it_what_follows_is_lost_by_what_came_before(town: Town) -> None:
    baker, _, mechanic, given, passed = await a_chain_of_gifts(town)
    welder, bread = town.person("welder"), given_voucher(mechanic, given)
    onward = await mechanic.give(welder, bread, 100)
    await town.carry(without=(baker,))
    await welder.agree(onward, allow_provisional=True)
    town.clock.time += 2 * HOUR
    await town.carry(without=(welder,))
    words = [b.hash for b in blocks.chain(baker.ledger.db, baker.key, 1, 99, 99) if b.type == b"attest"]
    refusal = next(each for each in words if mentions(baker, each, passed))
    await baker.show(welder, refusal)
    (loss,) = losses(welder.ledger.db, welder.key, town.clock.now())
    assert (loss.proposal, loss.reason) == (onward, BEFORE)


def mentions(person: Townsperson, word: BlockHash, proposal: BlockHash) -> bool:
    block = person.ledger.block(word)
    return block is not None and proposal in block.transaction


async def test_a_proof_that_the_giver_signed_two_histories_belongs_to_the_claim(town: Town) -> None:
    baker, farmer, mechanic, _, _ = await a_chain_of_gifts(town)
    copy = Townsperson("farmer", town.folder, town.clock, file="copy")
    twice = await copy.ledger.append(Profile("farmer", "from a backup"))
    copy.ledger.close()
    await farmer.show(mechanic, *(block.hash for block in blocks.chain(farmer.ledger.db, farmer.key, 1, 1, 1)))
    await mechanic.ledger.ingest([twice])
    town.clock.time += 2 * HOUR
    await town.carry()
    (loss,) = losses(mechanic.ledger.db, mechanic.key, town.clock.now())
    assert {twice.hash, *(b.hash for b in blocks.at(farmer.ledger.db, farmer.key, 1))} <= {b.hash for b in loss.proof}
    assert baker.standing(loss.proposal) is Standing.REFUSED
