"""Members leave votes to others where the charter lets them, and take them back."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.words import MAX_HANDS
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Delegate, Rule
from tests.dao.assembly_town import AssemblyTown, Person, word

ROLES = ("farmer", "baker", "mechanic", "engineer", "welder", "tailor", "miller")
DELEGABLE = Rule("majority", delegable=True)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[AssemblyTown]:
    made = AssemblyTown(tmp_path)
    made.add(*ROLES)
    yield made
    made.close()


async def founded(town: AssemblyTown, rule: Rule = DELEGABLE) -> BlockHash:
    return await town.found((person.key for person in town.people.values()), texts=rule)


async def leaves(group: BlockHash, *people: Person) -> None:
    """Each leaves its votes to the next."""
    for person, to in itertools.pairwise(people):
        await person.delegate(group, to.key)


async def test_a_vote_left_to_another_counts_and_shows_whose_it_is(town: AssemblyTown) -> None:
    group = await founded(town)
    for person in (town.baker, town.mechanic, town.engineer):
        await person.delegate(group, town.farmer.key)
    text = await town.welder.text(group)
    await town.vote(text, farmer="yes")
    stands = town.welder.tally(text)
    assert (stands.count("yes"), stands.final) == (4, True)
    assert {each.voter: each.through for each in stands.ballots} == {
        town.farmer.key: (),
        town.baker.key: (town.farmer.key,),
        town.mechanic.key: (town.farmer.key,),
        town.engineer.key: (town.farmer.key,),
    }
    assert len(stands.missing) == 3


async def test_ones_own_vote_comes_before_the_vote_that_was_left(town: AssemblyTown) -> None:
    group = await founded(town)
    await town.baker.delegate(group, town.farmer.key)
    text = await town.welder.text(group)
    await town.vote(text, farmer="yes", baker="no")
    stands = town.welder.tally(text)
    assert (stands.count("yes"), stands.count("no"), stands.choice_of(town.baker.key)) == (1, 1, "no")


async def test_the_newest_on_ones_own_chain_counts_and_can_be_taken_back(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.welder.text(group)
    await town.baker.delegate(group, town.farmer.key)
    await town.baker.delegate(group, town.mechanic.key)
    await town.vote(text, farmer="yes", mechanic="no")
    assert town.welder.tally(text).choice_of(town.baker.key) == "no"
    await town.baker.delegate(group, None)
    await town.tell()
    assert town.welder.tally(text).choice_of(town.baker.key) is None


async def test_a_vote_goes_through_so_many_hands_and_no_more(town: AssemblyTown) -> None:
    group = await founded(town)
    people = list(town.people.values())[: MAX_HANDS + 2]
    await leaves(group, *people)
    text = await town.miller.text(group)
    await town.vote(text, **{people[-1].role: "yes"})
    stands = town.miller.tally(text)
    assert stands.choice_of(people[1].key) == "yes"
    assert stands.choice_of(people[0].key) is None
    assert next(each for each in stands.ballots if each.voter == people[1].key).through == tuple(
        person.key for person in people[2:]
    )


async def test_votes_that_go_round_in_a_circle_count_nothing(town: AssemblyTown) -> None:
    group = await founded(town)
    await leaves(group, town.farmer, town.baker, town.mechanic, town.farmer)
    await town.engineer.delegate(group, town.farmer.key)
    text = await town.welder.text(group)
    await town.vote(text, welder="yes")
    assert [each.voter for each in town.welder.tally(text).ballots] == [town.welder.key]
    await town.vote(text, mechanic="no")
    assert town.welder.tally(text).count("no") == 4


async def test_a_class_that_is_not_delegable_takes_no_votes_that_were_left(town: AssemblyTown) -> None:
    group = await founded(town, Rule("majority"))
    with pytest.raises(NotAllowed, match="does not let members leave their votes on texts"):
        await town.baker.delegate(group, town.farmer.key)
    await town.baker.say(Delegate(group, "texts", town.farmer.key))
    text = await town.welder.text(group)
    await town.vote(text, farmer="yes")
    assert town.welder.tally(text).count("yes") == 1


async def test_a_vote_is_left_to_another_member_only(town: AssemblyTown) -> None:
    group = await founded(town)
    (stranger,) = town.add("stranger")
    await town.tell()
    for to in (town.baker.key, stranger.key):
        with pytest.raises(NotAllowed, match="to another member"):
            await town.baker.delegate(group, to)
    await town.baker.say(Delegate(group, "texts", stranger.key))
    text = await town.welder.text(group)
    await town.tell()
    await stranger.say(word(text))
    with pytest.raises(NotAllowed, match="not a member"):
        await stranger.vote(text)
    assert town.welder.tally(text).ballots == ()


@pytest.mark.parametrize("named", ["without the one it was left to", "twice", "of another class"])
async def test_a_word_that_names_wrong_delegations_counts_for_nothing(town: AssemblyTown, named: str) -> None:
    group = await founded(town)
    others = (town.baker, town.mechanic, town.engineer, town.tailor)
    left = [await person.delegate(group, town.farmer.key) for person in others]
    other = await town.welder.say(Delegate(group, "payments", town.farmer.key))
    text = await town.welder.text(group)
    await town.tell()
    vote = await town.farmer.vote(text)
    await town.tell()
    votes = {
        "without the one it was left to": left,
        "twice": [vote, *left, left[0]],
        "of another class": [vote, *left[:3], other],
    }[named]
    for person in town.people.values():
        await person.say(word(text, *votes))
    await town.tell()
    assert town.welder.tally(text).deciders == ()
    for person in town.people.values():
        await person.say(word(text, vote, *left))
    await town.tell()
    assert town.welder.tally(text).final
