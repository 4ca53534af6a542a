"""What members may do, and when: one clear sentence where they may not."""

from collections.abc import Callable
from typing import Any

import pytest

from overlay.dao.assembly import governance
from overlay.dao.assembly.governance import NotAllowed, Outcome
from overlay.dao.keyring import custody
from overlay.keys import PublicKey
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import CastVote, FoundGroup, ProposePayment
from tests.dao.group_town import MINUTE, GroupTown, Member


async def may(member: Member, work: Callable[[Transaction], Any]) -> None:
    await member.ledger.transact(work)


async def may_not(member: Member, sentence: str, work: Callable[[Transaction], Any]) -> None:
    with pytest.raises(NotAllowed, match=sentence):
        await member.ledger.transact(work)


def charter(town: GroupTown, approvals: int, threshold: int, *members: PublicKey) -> FoundGroup:
    return FoundGroup("shop", "", members or tuple(member.key for member in town.all), approvals, threshold)


@pytest.mark.parametrize(
    ("approvals", "threshold", "sentence"),
    [(6, 3, "can never be reached by a group of 5"), (2, 3, "at least as many yes votes as shares")],
)
async def test_a_charter_that_cannot_work_is_refused(
    five: GroupTown, approvals: int, threshold: int, sentence: str
) -> None:
    said = charter(five, approvals, threshold)
    await may_not(five.farmer, sentence, lambda tx: governance.found_group(tx, said))


async def test_a_founder_is_a_member_and_names_each_member_once(five: GroupTown) -> None:
    others, twice = (five.baker.key, five.welder.key), (five.farmer.key, five.farmer.key)
    await may_not(five.farmer, "is one of its", lambda tx: governance.found_group(tx, charter(five, 1, 1, *others)))
    await may_not(five.farmer, "each member once", lambda tx: governance.found_group(tx, charter(five, 1, 1, *twice)))


async def test_a_charter_is_signed_once_and_by_members_only(three: GroupTown) -> None:
    key = custody.host_key(three.baker.identity, three.id)
    await may_not(three.baker, "signed this charter already", lambda tx: governance.sign_charter(tx, three.id, key))
    stranger = three.add("stranger")
    await three.tell()
    await may_not(stranger, "not a member of bridge group", lambda tx: governance.sign_charter(tx, three.id, key))
    await may_not(stranger, "knows no such group", lambda tx: governance.sign_charter(tx, bytes(32), key))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"deadline": 1}, "lies in the future"),
        ({"amount": 329}, "between 330 and"),
        ({"amount": 21 * 10**14 + 1}, "between 330 and"),
        ({"script": b"\x6a\x04abcd"}, "no address that can be paid"),
        ({"script": b"\x51\x21" + bytes(32)}, "no address that can be paid"),
    ],
    ids=["past", "dust", "more than there is", "data", "no template"],
)
async def test_what_could_never_be_paid_is_not_proposed(
    three: GroupTown, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(NotAllowed, match=sentence):
        await three.propose(three.baker, **changes)


async def test_a_vote_may_be_changed_until_the_decision_and_then_only_to_yes(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="no", baker="no", mechanic="no")
    assert five.welder.tally(proposal).outcome is Outcome.REJECTED
    await five.vote(proposal, farmer="yes", baker="yes", engineer="yes")
    await five.decide(proposal)
    assert five.welder.tally(proposal).final
    vote = governance.cast_vote
    await may_not(five.farmer, "can no longer be voted on: it is approved", lambda tx: vote(tx, proposal, "no", ""))
    await may(five.mechanic, lambda tx: vote(tx, proposal, "yes", "so be it"))


async def test_after_the_deadline_no_vote_counts(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", baker="yes")
    five.clock.time += 11 * MINUTE  # type: ignore[attr-defined]
    await may_not(
        five.mechanic, "no longer be voted on: it is lapsed", lambda tx: governance.cast_vote(tx, proposal, "yes", "")
    )
    await five.mechanic.say(CastVote(proposal, "yes", "all the same"))
    await five.tell()
    await five.decide(proposal)
    assert {member.tally(proposal).outcome for member in five.all} == {Outcome.LAPSED}


async def test_a_tally_tells_whether_a_proposal_can_still_pass(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="no", baker="abstain")
    stands = five.welder.tally(proposal)
    assert (stands.can_still_pass, stands.outcome, len(stands.missing)) == (True, Outcome.OPEN, 3)
    await five.vote(proposal, mechanic="no")
    stands = five.welder.tally(proposal)
    assert (stands.can_still_pass, stands.outcome, stands.count("no")) == (False, Outcome.REJECTED, 2)


async def test_a_foreign_proposal_cannot_be_voted_on(three: GroupTown) -> None:
    stranger = three.add("stranger")
    await three.tell()
    said = ProposePayment(three.id, "mine", "", stranger.key, three.script, 1000, 100, three.clock.now() + MINUTE)
    proposal = (await stranger.say(said)).hash
    await three.tell()
    await may_not(three.baker, "not a member of the group", lambda tx: governance.cast_vote(tx, proposal, "yes", ""))
    await may_not(three.baker, "no such proposal", lambda tx: governance.cast_vote(tx, bytes(32), "yes", ""))


async def test_a_node_counts_once_and_only_what_it_sees_in_time(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", baker="yes")
    assert not await five.farmer.count(proposal)
    await five.vote(proposal, mechanic="yes")
    assert await five.farmer.count(proposal)
    assert not await five.farmer.count(proposal)
    five.clock.time += 11 * MINUTE  # type: ignore[attr-defined]
    assert not await five.baker.count(proposal)
