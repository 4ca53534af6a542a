"""A group is a member of another group, and votes there as it has decided."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.bylaws import seat
from overlay.dao.charters import DEPTH, belongs
from overlay.dao.governance import NotAllowed
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import AmendCharter, CastVote, InstructVote, Rule
from tests.dao.assembly_town import HOUR, AssemblyTown, word

BAKERY, FARM, WORKSHOP = ("baker", "miller", "clerk"), ("farmer", "herder", "picker"), ("welder", "tailor", "smith")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[AssemblyTown]:
    made = AssemblyTown(tmp_path)
    made.add("elder", *BAKERY, *FARM, *WORKSHOP)
    yield made
    made.close()


async def shops(town: AssemblyTown) -> tuple[BlockHash, BlockHash, BlockHash]:
    """Three groups of three."""
    keys = [[town.people[role].key for role in roles] for roles in (BAKERY, FARM, WORKSHOP)]
    first, second, third = [await town.found(members) for members in keys]
    return first, second, third


async def decide(town: AssemblyTown, group: BlockHash, about: BlockHash, roles: tuple[str, ...], choice: str) -> bytes:
    """A group decides how it votes: two of its three say so."""
    made = await town.people[roles[0]].instruct(group, about, choice, "we talked about it")
    await town.vote(made, **dict.fromkeys(roles[:2], "yes"))
    return made


async def test_a_council_decides_by_what_its_groups_have_decided(town: AssemblyTown) -> None:
    bakery, farm, workshop = await shops(town)
    council = await town.found((town.elder.key, seat(bakery), seat(farm), seat(workshop)))
    text = await town.elder.text(council)
    await town.tell()
    await town.elder.vote(text)
    await decide(town, bakery, text, BAKERY, "yes")
    assert not town.elder.tally(text).final
    await decide(town, farm, text, FARM, "no")
    stands = town.smith.tally(text)
    assert (stands.count("yes"), stands.count("no"), stands.final) == (2, 1, False)
    assert {each.voter for each in stands.ballots} == {town.elder.key, seat(bakery), seat(farm)}
    await decide(town, workshop, text, WORKSHOP, "yes")
    assert {person.tally(text).final for person in town.people.values()} == {True}


async def test_a_council_of_councils_decides_two_levels_up(town: AssemblyTown) -> None:
    bakery, farm, workshop = await shops(town)
    food = await town.found((town.elder.key, seat(bakery), seat(farm)))
    valley = await town.found((town.smith.key, seat(food), seat(workshop)))
    text = await town.smith.text(valley)
    await town.tell()
    await town.smith.vote(text)
    await decide(town, workshop, text, WORKSHOP, "no")
    assert not town.smith.tally(text).final
    asked = await town.baker.instruct(food, text, "yes")
    await town.tell()
    await decide(town, bakery, asked, BAKERY, "yes")
    assert not town.smith.tally(text).final
    await decide(town, farm, asked, FARM, "yes")
    assert town.smith.tally(asked).final
    stands = town.smith.tally(text)
    assert (stands.count("yes"), stands.count("no"), stands.final) == (2, 1, True)
    assert town.elder.tally(text).deciders == stands.deciders


async def test_no_member_of_a_group_votes_or_speaks_for_it_alone(town: AssemblyTown) -> None:
    bakery, farm, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery), seat(farm)))
    text = await town.elder.text(council)
    await town.tell()
    with pytest.raises(NotAllowed, match="not a member"):
        await town.baker.vote(text)
    await town.baker.instruct(bakery, text)
    await town.vote(text, elder="yes")
    assert [each.voter for each in town.clerk.tally(text).ballots] == [town.elder.key]


async def test_a_group_decides_once_on_each_proposal_of_the_council(town: AssemblyTown) -> None:
    bakery, farm, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery), seat(farm)))
    text = await town.elder.text(council)
    await town.tell()
    first = await decide(town, bakery, text, BAKERY, "yes")
    second = await decide(town, bakery, text, BAKERY, "no")
    stands = town.elder.tally(text)
    assert (town.elder.tally(first).final, town.elder.tally(second).final) == (True, False)
    assert next(each.choice for each in stands.ballots if each.voter == seat(bakery)) == "yes"


async def test_of_words_for_two_votes_of_one_group_only_the_first_count(town: AssemblyTown) -> None:
    bakery, farm, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery), seat(farm)))
    text = await town.elder.text(council)
    await town.tell()
    made = [await town.baker.instruct(bakery, text, choice) for choice in ("yes", "no")]
    await town.tell()
    people = [town.people[role] for role in BAKERY]
    votes = [[await person.say(CastVote(each, "yes", "")) for person in people] for each in made]
    for person in people:
        for each, named in zip(made, votes, strict=True):
            await person.say(word(each, *named))
    await town.tell()
    assert [town.elder.tally(each).final for each in made] == [True, False]


async def test_only_a_member_group_votes_and_only_in_time(town: AssemblyTown) -> None:
    bakery, farm, workshop = await shops(town)
    council = await town.found((town.elder.key, seat(bakery), seat(farm)), texts=Rule("majority", of_votes=True))
    text = await town.elder.text(council, minutes=20)
    await town.tell()
    with pytest.raises(NotAllowed, match="is not a member of"):
        await town.welder.instruct(workshop, text)
    with pytest.raises(NotAllowed, match="after the deadline of what it is about"):
        await town.baker.instruct(bakery, text)
    with pytest.raises(NotAllowed, match="knows no such proposal"):
        await town.baker.instruct(bakery, bytes(32))
    strangers = InstructVote(workshop, text, "yes", "", town.clock.now() + HOUR)
    made = await town.welder.say(strangers)
    await town.vote(made, welder="yes", tailor="yes", smith="yes")
    assert town.elder.tally(text).ballots == ()


async def test_whoever_belongs_to_a_member_group_belongs_as_far_down_as_is_looked(town: AssemblyTown) -> None:
    inner = await town.found((town.baker.key,), threshold=1)
    groups = [inner]
    for _ in range(DEPTH + 1):
        groups.append(await town.found((town.elder.key, seat(groups[-1])), threshold=1))
    db = town.elder.ledger.db
    assert [belongs(db, town.elder.group(each), town.baker.key) for each in groups] == [True] * (DEPTH + 1) + [False]


async def test_no_amendment_makes_a_group_a_member_so_that_no_circle_can_close(town: AssemblyTown) -> None:
    bakery, farm, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery)), threshold=1)
    with pytest.raises(NotAllowed, match="at the other's founding only"):
        await town.baker.amend(bakery, admit=(seat(council),))
    circle = AmendCharter(bakery, "circle", "", (seat(council),), (), 0, (), town.clock.now() + HOUR)
    made = await town.baker.say(circle)
    await town.vote(made, baker="yes", miller="yes", clerk="yes")
    assert town.elder.group(bakery).version == bakery
    assert town.elder.group(farm).version == farm
