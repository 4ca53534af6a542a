"""Pay for change: agreed to, delivered, accepted by a second vote, and only then paid."""

from pathlib import Path
from typing import Any

import pytest

from overlay.dao.assembly import mandates, work
from overlay.dao.assembly.governance import NotAllowed, Outcome
from overlay.dao.assembly.motions import Work
from overlay.dao.funds.policy import Violation, check_approved
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import AcceptWork, CastVote, Decide, DeliverWork, Media, ProposeWork
from tests.dao.assembly_town import AssemblyTown, word
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import MINUTE, GroupTown, Member

PRICE = 1_200_000
EVIDENCE = Media(bytes([7]) * 32, bytes([8]) * 32, 4_096)


async def wanted(town: GroupTown, worker: Member, **changes: Any) -> BlockHash:
    """A work that the first two members have agreed to, unless `votes` say otherwise."""
    votes = changes.pop("votes", ("yes", "yes"))
    fields: dict[str, Any] = {"amount": PRICE, "script": Purse("worker").script}
    until = town.clock.now() + 10 * MINUTE
    said = ProposeWork(
        group=town.id,
        title="Mend the pump",
        text="",
        worker=worker.key,
        content=None,
        deadline=until,
        **fields | changes,
    )
    made = (await town.farmer.ledger.transact(lambda tx: mandates.propose_work(tx, said))).hash
    await town.vote(made, **dict(zip(town.members, votes, strict=False)))
    await town.decide(made)
    return made


def found(member: Member, id_: bytes) -> Work:
    asked = member.proposal(id_)
    assert isinstance(asked, Work)
    return asked


async def delivered(town: GroupTown, worker: Member, asked: BlockHash) -> BlockHash:
    said = DeliverWork(asked, EVIDENCE, "it runs")
    made = (await worker.ledger.transact(lambda tx: mandates.deliver(tx, said))).hash
    await town.tell()
    return made


def acceptance(town: GroupTown, asked: Work, delivery: bytes, **changes: Any) -> AcceptWork:
    fields: dict[str, Any] = {"payee": asked.worker, "script": asked.script, "amount": asked.amount}
    return AcceptWork(
        group=town.id,
        title=asked.title,
        reason="",
        fee_cap=10_000,
        deadline=town.clock.now() + 10 * MINUTE,
        work=asked.id,
        delivery=delivery,
        **fields | changes,
    )


async def accepted(town: GroupTown, asked: BlockHash, delivery: BlockHash) -> BlockHash:
    said = acceptance(town, found(town.farmer, asked), delivery)
    return (await town.farmer.ledger.transact(lambda tx: mandates.accept(tx, said))).hash


async def test_a_delivery_that_a_second_vote_accepts_is_paid_as_agreed(three: GroupTown) -> None:
    worker = three.mechanic
    asked = await wanted(three, worker)
    assert work.is_agreed(three.baker.ledger.db, found(three.baker, asked))
    await three.step()
    assert await three.mempool() == []
    payment = await accepted(three, asked, await delivered(three, worker, asked))
    await three.vote(payment, farmer="yes", baker="yes")
    assert await three.step() == []
    await three.tell()
    assert await three.step() == []
    assert len(await three.mempool()) == 1
    await three.mine()
    assert await three.received(Purse("worker").script) == PRICE
    (shown,) = work.deliveries(three.baker.ledger.db, found(three.baker, asked))
    assert (shown.note, shown.evidence) == ("it runs", EVIDENCE)


async def test_a_work_is_delivered_by_its_worker_and_after_it_was_agreed_to(three: GroupTown) -> None:
    unwanted = await wanted(three, three.mechanic, votes=("yes", "no"))
    asked = await wanted(three, three.mechanic)
    for member, about, sentence in (
        (three.mechanic, unwanted, "has not agreed"),
        (three.baker, asked, "by the worker that it names"),
        (three.mechanic, BlockHash(bytes(32)), "knows no such work"),
    ):
        with pytest.raises(NotAllowed, match=sentence):
            await delivered(three, member, about)


async def test_nothing_is_accepted_that_was_not_delivered(three: GroupTown) -> None:
    asked = await wanted(three, three.mechanic)
    with pytest.raises(NotAllowed, match="has not delivered this"):
        await accepted(three, asked, BlockHash(bytes(32)))
    unwanted = await wanted(three, three.mechanic, votes=("yes", "no"))
    with pytest.raises(NotAllowed, match="has not agreed"):
        await accepted(three, unwanted, BlockHash(bytes(32)))


@pytest.mark.parametrize(
    "wrong", ["price", "address", "somebody else", "no delivery", "another's delivery", "unwanted"]
)
async def test_an_acceptance_that_keeps_not_to_what_was_agreed_is_decided_by_no_votes(
    three: GroupTown, wrong: str
) -> None:
    worker = three.mechanic
    unwanted = await wanted(three, worker, votes=("yes", "no"))
    asked = await wanted(three, worker)
    delivery = await delivered(three, worker, asked)
    forged = (await three.baker.say(DeliverWork(asked, EVIDENCE, "mine"))).hash
    early = (await worker.say(DeliverWork(unwanted, EVIDENCE, "unasked"))).hash
    await three.tell()
    agreed, other = found(three.farmer, asked), found(three.farmer, unwanted)
    said = {
        "price": acceptance(three, agreed, delivery, amount=PRICE + 1),
        "address": acceptance(three, agreed, delivery, script=Purse("thief").script),
        "somebody else": acceptance(three, agreed, delivery, payee=three.baker.key),
        "no delivery": acceptance(three, agreed, bytes(32)),
        "another's delivery": acceptance(three, agreed, forged),
        "unwanted": acceptance(three, other, early),
    }[wrong]
    payment = (await three.farmer.say(said)).hash
    await three.tell()
    votes = [await member.say(CastVote(payment, "yes", "")) for member in three.all]
    for member in three.all:
        await member.say(Decide(payment, True, tuple(vote.hash for vote in votes)))
    await three.tell()
    stands = three.baker.tally(payment)
    assert (stands.final, stands.passing, stands.outcome) == (False, False, Outcome.REJECTED)
    assert stands.obstacle
    group, db = three.baker.group(three.id), three.baker.ledger.db
    with pytest.raises(Violation):
        check_approved(db, group, three.baker.payment(payment), three.baker.key, three.clock.now())


async def test_a_work_is_paid_once_whatever_else_is_accepted(three: GroupTown) -> None:
    asked = await wanted(three, three.mechanic)
    delivery = await delivered(three, three.mechanic, asked)
    first, second = [await accepted(three, asked, delivery) for _ in range(2)]
    for payment in (first, second):
        await three.vote(payment, farmer="yes", baker="yes")
    for payment in (first, second):
        await three.decide(payment)
    assert [three.baker.tally(payment).final for payment in (first, second)] == [True, False]
    with pytest.raises(NotAllowed, match="accepted already"):
        await accepted(three, asked, delivery)


async def test_a_work_with_a_price_that_is_never_paid_is_refused_at_once(three: GroupTown) -> None:
    for changes, sentence in (({"amount": 100}, "between 330 and"), ({"script": b"\x6a\x04abcd"}, "no address")):
        with pytest.raises(NotAllowed, match=sentence):
            await wanted(three, three.mechanic, **changes)


async def test_a_work_accepted_under_one_charter_is_not_accepted_again_under_the_next(tmp_path: Path) -> None:
    """The mechanic, who has counted nothing yet, and the dyer, who is new, are free to say their first words."""
    town = AssemblyTown(tmp_path)
    farmer, baker, mechanic, dyer = people = town.add("farmer", "baker", "mechanic", "dyer")
    group, until = await town.found(person.key for person in people[:3]), town.clock.now() + 60 * MINUTE
    script = Purse("worker").script
    asked = await farmer.say(ProposeWork(group, "roof", "", dyer.key, script, PRICE, None, until))
    await town.vote(asked, farmer="yes", baker="yes", mechanic="yes")
    delivery = await dyer.say(DeliverWork(asked, EVIDENCE, "done"))
    await town.tell()
    head = ("accept", "", dyer.key, script, PRICE, 10_000, until, asked, delivery)
    first = await farmer.say(AcceptWork(group, *head))
    await town.tell(farmer, baker)
    for person in (farmer, baker):
        await person.vote(first)
    await town.tell(farmer, baker)
    await town.count(farmer, baker)
    change = await farmer.amend(group, remove=(baker.key,), admit=(dyer.key,))
    await town.tell(farmer, baker, dyer)
    for person in (farmer, baker):
        await person.vote(change)
    await town.tell(farmer, baker, dyer)
    await town.count(farmer, baker, dyer)
    await town.tell()
    assert mechanic.group(group).version == change
    second = await dyer.say(AcceptWork(change, *head))
    await town.tell()
    with pytest.raises(NotAllowed, match="accepted under an earlier version of the charter"):
        await mechanic.vote(second)
    votes = [await person.say(CastVote(second, "yes", "")) for person in (mechanic, dyer)]
    await town.tell()
    assert not await mechanic.count_alone(second)
    for person in (mechanic, dyer):
        await person.say(word(second, *votes))
    await town.tell()
    for person in people:
        assert (person.tally(first).final, person.tally(second).final) == (True, False)
    town.close()


async def test_a_work_that_was_not_accepted_before_a_change_is_accepted_after_it(tmp_path: Path) -> None:
    town = AssemblyTown(tmp_path)
    farmer, baker, mechanic = people = town.add("farmer", "baker", "mechanic")
    group, until = await town.found(person.key for person in people), town.clock.now() + 60 * MINUTE
    script = Purse("worker").script
    asked = await farmer.say(ProposeWork(group, "roof", "", mechanic.key, script, PRICE, None, until))
    await town.vote(asked, farmer="yes", baker="yes", mechanic="yes")
    delivery = await mechanic.say(DeliverWork(asked, EVIDENCE, "done"))
    head = ("accept", "", mechanic.key, script, PRICE, 10_000, until, asked, delivery)
    first = await farmer.say(AcceptWork(group, *head))
    change = await farmer.amend(group, remove=(baker.key,))
    await town.vote(change, farmer="yes", baker="yes", mechanic="yes")
    second = await farmer.say(AcceptWork(change, *head))
    await town.vote(second, farmer="yes", mechanic="yes")
    assert (mechanic.tally(first).final, mechanic.tally(second).final) == (False, True)
    town.close()
