"""A node looks after what is open or decided, and after nothing that is long over."""

from overlay.dao.agenda import Agenda
from overlay.dao.counting import Counting
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.statements import CastVote, Decide, ProposePayment, encode
from tests.dao.group_town import MINUTE, GroupTown, Member


def ids(agenda: Agenda, member: Member, town: GroupTown) -> list[BlockHash]:
    return [asked.id for asked, _ in agenda.of(member.group(town.id))]


async def test_it_holds_open_proposals_by_deadline_and_forgets_the_lapsed(three: GroupTown) -> None:
    agenda = Agenda(three.baker.ledger)
    late = await three.propose(three.farmer, deadline=three.clock.now() + 9 * MINUTE)
    early = await three.propose(three.farmer, deadline=three.clock.now() + 3 * MINUTE)
    await three.tell()
    assert ids(agenda, three.baker, three) == [early, late]
    three.clock.time += 5 * MINUTE  # type: ignore[attr-defined]
    assert ids(agenda, three.baker, three) == [late]


async def test_what_was_decided_elsewhere_in_time_comes_back(three: GroupTown) -> None:
    agenda = Agenda(three.baker.ledger)
    proposal = await three.propose(three.farmer)
    await three.vote(proposal, farmer="yes", mechanic="yes")
    assert ids(agenda, three.baker, three) == [proposal]
    assert await three.farmer.count(proposal)
    assert await three.mechanic.count(proposal)
    three.clock.time += 12 * MINUTE  # type: ignore[attr-defined]
    assert ids(agenda, three.baker, three) == []
    await three.tell()
    assert ids(agenda, three.baker, three) == [proposal]


async def test_strangers_proposals_and_decisions_are_not_looked_after(three: GroupTown) -> None:
    stranger = three.add("stranger")
    await three.tell()
    agenda, now = Agenda(three.baker.ledger), three.clock.now()
    assert ids(agenda, three.baker, three) == []
    said = ProposePayment(three.id, "mine", "", stranger.key, three.script, 1000, 100, now + MINUTE)
    theirs = (await stranger.say(said)).hash
    await stranger.say(Decide(theirs, True, ()))
    await stranger.say(CastVote(bytes(32), "yes", ""))
    await three.tell()
    assert ids(agenda, three.baker, three) == []


async def test_a_proof_against_a_voter_ends_what_it_decided(three: GroupTown) -> None:
    agenda = Agenda(three.baker.ledger)
    proposal = await three.approved(three.farmer)
    three.clock.time += 12 * MINUTE  # type: ignore[attr-defined]
    assert ids(agenda, three.baker, three) == [proposal]
    kind, transaction = encode(CastVote(proposal, "no", ""))
    fork = HalfBlock(three.farmer.key, 1, ANYONE, 0, GENESIS_HASH, kind, transaction, 0)
    await three.baker.ledger.ingest([fork.signed_by(three.farmer.identity)])
    assert ids(agenda, three.baker, three) == []


async def test_nodes_that_see_no_chain_count_too(three: GroupTown) -> None:
    proposal = await three.propose(three.farmer)
    await three.vote(proposal, farmer="yes", mechanic="yes")
    for member in three.all:
        await Counting(member.ledger).step()
        await Counting(member.ledger).step()
    await three.tell()
    assert set(three.baker.tally(proposal).deciders) == {member.key for member in three.all}
