"""Charters change by their own rule, in one way only, and what was decided before stays decided."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.assembly.charters import charter, current, versions
from overlay.dao.assembly.governance import NotAllowed, Outcome, found_group, propose_text
from overlay.dao.assembly.shares import custodians
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import (
    MAX_MEMBERS,
    AmendCharter,
    CastVote,
    ClassRule,
    Decide,
    FoundCouncil,
    HoldShare,
    ProposeText,
    Rule,
)
from tests.dao.assembly_town import HOUR, MINUTE, AssemblyTown, word

ROLES = ("farmer", "baker", "mechanic", "engineer", "welder")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[AssemblyTown]:
    made = AssemblyTown(tmp_path)
    made.add(*ROLES)
    yield made
    made.close()


async def founded(town: AssemblyTown, **rules: Rule) -> BlockHash:
    return await town.found((person.key for person in town.people.values()), **rules)


async def test_a_member_is_removed_and_another_admitted_by_one_decision(town: AssemblyTown) -> None:
    group = await founded(town)
    (tailor,) = town.add("tailor")
    await town.tell()
    change = await town.farmer.amend(group, admit=(tailor.key,), remove=(town.welder.key,))
    await town.vote(change, farmer="yes", baker="yes")
    assert town.farmer.group(group).version == group
    await town.vote(change, mechanic="yes")
    for person in town.people.values():
        now = person.group(group)
        assert (now.version, now.id, len(now.versions)) == (change, group, 2)
        assert tailor.key in now.members
        assert town.welder.key not in now.members
    assert town.farmer.tally(change).outcome is Outcome.APPROVED


async def test_after_the_removal_its_votes_on_newer_proposals_count_nothing(town: AssemblyTown) -> None:
    group = await founded(town)
    change = await town.farmer.amend(group, remove=(town.welder.key,))
    await town.vote(change, farmer="yes", baker="yes", mechanic="yes")
    text = await town.farmer.text(group)
    await town.tell()
    with pytest.raises(NotAllowed, match="not a member"):
        await town.welder.vote(text)
    await town.welder.say(CastVote(text, "yes", "all the same"))
    await town.vote(text, farmer="yes", baker="yes")
    stands = town.farmer.tally(text)
    assert (stands.count("yes"), stands.final, stands.needed) == (2, False, 3)
    assert await town.welder.count_alone(text) is False


async def test_what_was_decided_before_stays_decided_by_the_rules_of_then(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.farmer.text(group)
    await town.vote(text, welder="yes", engineer="yes", mechanic="yes")
    rules = (ClassRule("texts", Rule("unanimous")),)
    change = await town.farmer.amend(group, remove=(town.welder.key,), rules=rules)
    await town.vote(change, farmer="yes", baker="yes", mechanic="yes")
    stands = town.baker.tally(text)
    assert (stands.final, stands.needed, stands.count("yes")) == (True, 3, 3)
    assert charter(town.baker.ledger.db, group) is not None
    assert town.baker.group(group).texts.way == "unanimous"


async def test_a_proposal_under_the_old_charter_is_decided_no_more(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.farmer.text(group)
    change = await town.farmer.amend(group, remove=(town.welder.key,))
    await town.vote(change, farmer="yes", baker="yes", mechanic="yes")
    with pytest.raises(NotAllowed, match="the charter has been changed since"):
        await town.baker.vote(text)
    votes = [await person.say(CastVote(text, "yes", "")) for person in town.people.values()]
    for person in town.people.values():
        await person.say(word(text, *votes))
    await town.tell()
    stands = town.baker.tally(text)
    assert (stands.final, stands.outcome, stands.can_still_pass) == (False, Outcome.LAPSED, False)
    assert "propose it again" in stands.obstacle
    stale = ProposeText(group, "old", "", town.clock.now() + HOUR)
    with pytest.raises(NotAllowed, match="the charter has been changed"):
        await town.baker.ledger.transact(lambda tx: propose_text(tx, stale))


async def test_those_who_did_not_adopt_cannot_go_on_under_the_old_charter(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.welder.text(group)
    change = await town.farmer.amend(group, remove=(town.welder.key, town.engineer.key))
    await town.tell()
    for person in (town.farmer, town.baker, town.mechanic):
        await person.vote(change)
    adopters = (town.farmer, town.baker, town.mechanic)
    await town.tell(*adopters)
    await town.count(*adopters)
    votes = [await person.say(CastVote(text, "yes", "")) for person in (town.welder, town.engineer)]
    votes.append(await town.farmer.say(CastVote(text, "yes", "")))
    for person in (town.welder, town.engineer):
        await person.say(word(text, *votes))
    await town.tell()
    assert not town.farmer.tally(text).final
    assert not town.welder.tally(text).final


async def test_of_two_changes_of_one_version_only_one_is_adopted(town: AssemblyTown) -> None:
    group = await founded(town)
    first = await town.farmer.amend(group, remove=(town.welder.key,))
    second = await town.baker.amend(group, remove=(town.engineer.key,))
    await town.tell()
    for change in (first, second):
        for person in town.people.values():
            await person.vote(change)
    await town.tell()
    await town.count()
    adopted = {person.group(group).version for person in town.people.values()}
    assert len(adopted) == 1
    assert adopted < {first, second}
    assert town.farmer.group(group).rivals == ()


async def test_of_each_member_only_the_first_word_about_what_follows_a_version_counts(town: AssemblyTown) -> None:
    group = await founded(town)
    changes = [await town.farmer.amend(group, remove=(town.welder.key,))]
    changes.append(await town.farmer.amend(group, remove=(town.engineer.key,)))
    await town.tell()
    people = list(town.people.values())[:3]
    votes = [[await person.say(CastVote(change, "yes", "")) for person in people] for change in changes]
    for person in people:
        for change, named in zip(changes, votes, strict=True):
            await person.say(word(change, *named))
    await town.tell()
    now = town.welder.group(group)
    assert (now.version, now.rivals) == (changes[0], ())
    assert not town.welder.tally(changes[1]).final


async def test_a_nodes_own_word_about_a_version_is_given_once(town: AssemblyTown) -> None:
    group = await founded(town)
    changes = [await town.farmer.amend(group, remove=(other.key,)) for other in (town.welder, town.engineer)]
    await town.tell()
    for person in list(town.people.values())[:3]:
        for change in changes:
            await person.vote(change)
    await town.tell()
    assert [await town.farmer.count_alone(change) for change in changes] == [True, False]


async def test_a_charter_forks_only_by_members_who_sign_two_histories_and_then_decides_no_more(
    town: AssemblyTown,
) -> None:
    group = await founded(town)
    first = await town.farmer.amend(group, remove=(town.welder.key,))
    second = await town.baker.amend(group, remove=(town.engineer.key,))
    await town.tell()
    people = list(town.people.values())
    yes_first = [await person.vote(first) for person in people[:3]]
    yes_second = [await person.vote(second) for person in people[2:]]
    await town.tell()
    await town.farmer.say(word(first, *yes_first))
    await town.baker.say(word(first, *yes_first))
    await town.engineer.say(word(second, *yes_second))
    await town.welder.say(word(second, *yes_second))
    await town.mechanic.say(word(first, *yes_first))
    last = town.mechanic.ledger.db.execute("SELECT max(sequence) FROM group_decision").fetchone()[0]
    await town.tell()
    assert town.farmer.group(group).version == first
    at = next(sequence for sequence in range(last, 0, -1) if _is_word(town, sequence))
    fork = town.mechanic.fork(word(second, *yes_second), at)
    await town.farmer.ledger.ingest([fork])
    await town.tell()
    for person in people:
        stopped = person.group(group)
        assert (stopped.version, set(stopped.rivals)) == (group, {first, second})
        assert charter(person.ledger.db, first) is None
    with pytest.raises(NotAllowed, match="the charter has been changed"):
        await town.farmer.text(group)


def _is_word(town: AssemblyTown, sequence: int) -> bool:
    query = "SELECT 1 FROM group_decision WHERE author = ? AND sequence = ?"
    return town.mechanic.ledger.db.execute(query, (town.mechanic.key, sequence)).fetchone() is not None


async def test_a_version_that_was_adopted_does_not_fall_with_a_proof_against_an_adopter(town: AssemblyTown) -> None:
    group = await founded(town)
    change = await town.farmer.amend(group, remove=(town.welder.key,))
    await town.tell()
    votes = [await person.vote(change) for person in (town.farmer, town.baker, town.mechanic)]
    for person in (town.farmer, town.baker, town.mechanic):
        await person.say(word(change, *votes))
    await town.tell()
    assert town.welder.group(group).version == change
    fork = town.mechanic.fork(CastVote(change, "no", ""), 2)
    await town.welder.ledger.ingest([fork])
    assert town.welder.group(group).version == change


async def test_a_change_counts_only_with_a_majority_of_words_whatever_the_rule(town: AssemblyTown) -> None:
    group = await founded(town, amendments=Rule("majority", of_votes=True))
    change = await town.farmer.amend(group, remove=(town.welder.key,))
    await town.vote(change, farmer="yes", baker="yes")
    town.clock.time += HOUR + MINUTE // 2
    await town.count()
    assert town.farmer.group(group).version == group
    assert town.farmer.tally(change).needed == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "changes nothing"),
        ({"admit": ("baker",)}, "not a member yet"),
        ({"remove": ("stranger",)}, "removes members only"),
        ({"remove": ROLES}, "at least one member"),
        ({"threshold": 6}, "can never be brought together"),
        ({"remove": ROLES[1:], "threshold": 2}, "can never be brought together"),
        ({"rules": (ClassRule("texts", Rule("count", 6)),)}, "can never be reached by a group of 5"),
        ({"rules": (ClassRule("texts", Rule("majority", quorum=6)),)}, "quorum of 6 can never"),
        ({"rules": (ClassRule("texts", Rule("majority", vetoes=6)),)}, "6 vetoes can never"),
        ({"rules": (ClassRule("texts", Rule("majority")),) * 2}, "each class of decisions once"),
        ({"minutes": 0}, "lies in the future"),
    ],
)
async def test_an_amendment_that_no_group_could_live_by_is_refused(
    town: AssemblyTown, changes: dict[str, object], sentence: str
) -> None:
    group = await founded(town)
    town.add("stranger")
    for name in ("admit", "remove"):
        if name in changes:
            roles = changes[name]
            assert isinstance(roles, tuple)
            changes = changes | {name: tuple(town.people[role].key for role in roles)}
    with pytest.raises(NotAllowed, match=sentence):
        await town.farmer.amend(group, **changes)  # type: ignore[arg-type]


async def test_a_group_grows_to_thirty_and_no_further(town: AssemblyTown) -> None:
    group = await founded(town)
    for number in (10, 10, 5):
        newcomers = town.add(*(f"member {len(town.people) + each}" for each in range(number)))
        change = await town.farmer.amend(group, admit=tuple(each.key for each in newcomers))
        await pass_with(town, change, len(town.farmer.group(group).members) // 2 + 1)
        assert town.farmer.group(group).version == change
    assert len(town.farmer.group(group).members) == MAX_MEMBERS
    text = await town.farmer.text(group)
    await pass_with(town, text, MAX_MEMBERS // 2 + 1)
    assert town.farmer.tally(text).final
    (one_more,) = town.add("one more")
    with pytest.raises(NotAllowed, match="at most 30 members"):
        await town.farmer.amend(group, admit=(one_more.key,))


async def pass_with(town: AssemblyTown, id_: BlockHash, most: int) -> None:
    """The first so many say yes and count; the others hear of nothing."""
    some = list(town.people.values())[:most]
    await town.tell(*some)
    for person in some:
        await person.vote(id_)
    await town.tell(*some)
    for person in some:
        assert await person.count_alone(id_)
    await town.tell(*some)


async def test_a_strangers_amendment_and_one_of_a_version_never_adopted_change_nothing(town: AssemblyTown) -> None:
    group = await founded(town)
    (stranger,) = town.add("stranger")
    until = town.clock.now() + HOUR
    theirs = await stranger.say(AmendCharter(group, "mine", "", (stranger.key,), (), 0, (), until))
    ours = await town.farmer.say(AmendCharter(theirs, "on top", "", (), (town.welder.key,), 0, (), until))
    await town.tell()
    for change in (theirs, ours):
        votes = [await person.say(CastVote(change, "yes", "")) for person in list(town.people.values())[:5]]
        for person in list(town.people.values())[:5]:
            await person.say(word(change, *votes))
    await town.tell()
    assert town.baker.group(group).version == group
    assert charter(town.baker.ledger.db, ours) is None
    assert current(town.baker.ledger.db, theirs) == town.baker.group(group)
    with pytest.raises(NotAllowed, match="no such group"):
        await town.baker.vote(ours)


async def test_holders_of_shares_stay_those_of_the_version_that_has_a_key(town: AssemblyTown) -> None:
    group = await founded(town)
    change = await town.farmer.amend(group, remove=(town.welder.key,))
    await town.vote(change, farmer="yes", baker="yes", mechanic="yes")
    db = town.baker.ledger.db
    assert custodians(db, town.baker.group(group)).version == change  # no key yet: whoever belongs will hold it
    for person in town.people.values():
        await person.say(HoldShare(group, bytes([2]) + bytes(32), bytes(32)))
    await town.tell()
    assert custodians(db, town.baker.group(group)).version == group
    for person in list(town.people.values())[:4]:
        await person.say(HoldShare(change, bytes([2]) + bytes(32), bytes(32)))
    await town.tell()
    assert custodians(db, town.baker.group(group)).version == change
    assert [each.version for each in versions(db, change)] == [group, change]


async def test_a_council_without_rules_for_it_is_changed_by_two_thirds(town: AssemblyTown) -> None:
    keys = tuple(person.key for person in town.people.values())
    said = FoundCouncil("council", "", keys, 2, Rule("majority"), Rule("majority"))
    group = (await town.farmer.ledger.transact(lambda tx: found_group(tx, said))).hash
    await town.tell()
    change = await town.farmer.amend(group, remove=(town.welder.key,))
    await town.vote(change, farmer="yes", baker="yes", mechanic="yes")
    assert town.farmer.tally(change).needed == 4
    await town.vote(change, engineer="yes")
    assert town.welder.group(group).version == change


async def test_what_is_decided_stays_so_when_those_who_had_not_counted_it_adopt_another_charter(
    town: AssemblyTown,
) -> None:
    farmer, baker, mechanic = three = (town.farmer, town.baker, town.mechanic)
    group = await town.found(person.key for person in three)
    text = await farmer.text(group)
    await town.tell(farmer, baker)
    for person in (farmer, baker):
        await person.vote(text)
    await town.tell(farmer, baker)
    await town.count(farmer, baker)
    change = await mechanic.amend(group, minutes=30, rules=(ClassRule("texts", Rule("unanimous")),))
    await town.tell(baker, mechanic)
    for person in (baker, mechanic):
        await person.vote(change)
    await town.tell(baker, mechanic)
    await town.count(baker, mechanic)
    await town.tell()
    assert {person.group(group).version for person in three} == {change}
    assert {person.tally(text).final for person in three} == {True}
    assert set(farmer.tally(text).deciders) == {baker.key, mechanic.key}  # the farmer adopted nothing


async def test_a_node_keeps_what_was_decided_in_time_though_it_hears_of_it_late(town: AssemblyTown) -> None:
    farmer, baker, mechanic = three = (town.farmer, town.baker, town.mechanic)
    group = await town.found(person.key for person in three)
    text = await farmer.text(group, minutes=10)
    await mechanic.counting.step()
    await town.tell(farmer, baker)
    for person in (farmer, baker):
        await person.vote(text)
    await town.tell(farmer, baker)
    await town.count(farmer, baker)
    town.clock.time += HOUR
    await town.tell()
    stands = mechanic.tally(text)
    assert (stands.final, stands.passing, mechanic.key in stands.deciders) == (True, False, False)
    change = await mechanic.amend(group, remove=(farmer.key,))
    await town.tell()
    await mechanic.vote(change)
    await baker.vote(change)
    await town.tell(baker, mechanic)
    await town.count(baker, mechanic)
    await town.tell()
    assert mechanic.group(group).version == change
    assert {person.tally(text).final for person in three} == {True}
    assert set(mechanic.tally(text).deciders) == {baker.key, mechanic.key}


async def test_nobody_keeps_what_too_few_had_counted_in_time(town: AssemblyTown) -> None:
    three = (town.farmer, town.baker, town.mechanic)
    group = await town.found(person.key for person in three)
    text = await town.farmer.text(group, minutes=10)
    await town.tell()
    for person in three:
        await person.vote(text)
    await town.tell()
    assert await town.farmer.count_alone(text)
    town.clock.time += HOUR
    await town.tell()
    await town.count()
    assert town.farmer.tally(text).deciders == (town.farmer.key,)
    assert not town.farmer.tally(text).final


async def test_a_node_writes_down_what_it_counts_before_it_adopts_what_comes_due_sooner(town: AssemblyTown) -> None:
    three = (town.farmer, town.baker, town.mechanic)
    group = await town.found(person.key for person in three)
    text = await town.farmer.text(group, minutes=60)
    change = await town.farmer.amend(group, minutes=30, remove=(town.mechanic.key,))
    await town.tell()
    for person in three:
        for asked in (change, text):
            await person.vote(asked)
    await town.tell()
    await town.farmer.counting.step()
    said = [meaning(block) for block in blocks.chain(town.farmer.ledger.db, town.farmer.key, 1, 99, 99)]
    assert [each.proposal for each in said if isinstance(each, Decide)] == [text, change]


@pytest.mark.parametrize("seed", range(3))
async def test_the_same_blocks_in_any_order_make_the_same_charter_and_decisions(town: AssemblyTown, seed: int) -> None:
    group = await founded(town)
    text = await town.farmer.text(group)
    await town.vote(text, welder="yes", engineer="yes", mechanic="yes")
    late = await town.welder.text(group)
    changes = [await town.farmer.amend(group, remove=(other.key,)) for other in (town.welder, town.engineer)]
    await town.tell()
    people = list(town.people.values())
    votes = [[await person.say(CastVote(asked, "yes", "")) for person in people] for asked in (*changes, late)]
    for person in people[:3]:
        for change, named in zip(changes, votes, strict=False):
            await person.say(word(change, *named))
    for person in people[3:]:
        for change, named in reversed(list(zip(changes, votes, strict=False))):
            await person.say(word(change, *named))
    for person in people:
        await person.say(word(late, *votes[2]))  # after it adopted
    await town.tell()
    everything = list(blocks.everything(town.farmer.ledger.db))
    random.Random(seed).shuffle(everything)
    (stranger,) = town.add("stranger")
    for block in everything:
        await stranger.ledger.ingest([block])
    assert stranger.group(group) == town.farmer.group(group)
    assert stranger.group(group).version == changes[0]
    for asked, final in ((text, True), (late, False), (changes[0], True), (changes[1], False)):
        assert stranger.tally(asked) == town.farmer.tally(asked)
        assert stranger.tally(asked).final == final
