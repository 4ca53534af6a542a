"""A group is a member of another group, and votes there as it has decided."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.bylaws import Charter, seat
from overlay.dao.assembly.charters import DEPTH, charters
from overlay.dao.assembly.governance import NotAllowed
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import AmendCharter, CastVote, ClassRule, FoundAssembly, InstructVote, Rule
from tests.dao.assembly_town import HOUR, AssemblyTown, Person, word

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


async def replaced(town: AssemblyTown, group: BlockHash, old: str, new: str) -> BlockHash:
    """A group removes one member and admits another, all agreeing."""
    members = [person for person in town.people.values() if person.key in town.elder.group(group).members]
    change = await members[-1].amend(group, remove=(town.people[old].key,), admit=(town.people[new].key,))
    await town.vote(change, **{person.role: "yes" for person in members})
    assert town.elder.group(group).version == change
    return change


async def asked_of_all(town: AssemblyTown) -> tuple[BlockHash, BlockHash, list[BlockHash]]:
    """A bakery, a text in a council of it and a farm, and votes of both groups that words may name."""
    bakery, farm, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery), seat(farm)), threshold=1)
    text = await town.elder.text(council)
    until = town.clock.now() + HOUR
    votes = [await town.baker.say(InstructVote(group, text, "yes", "", until)) for group in (bakery, farm)]
    await town.tell()
    return bakery, text, votes


async def test_whoever_was_removed_from_a_group_speaks_for_it_in_a_council_no_more(town: AssemblyTown) -> None:
    bakery, text, votes = await asked_of_all(town)
    await replaced(town, bakery, "baker", "tailor")
    await replaced(town, bakery, "miller", "smith")
    for role in ("baker", "miller"):
        await town.people[role].say(word(text, *votes))
    await town.tell()
    assert town.clerk.tally(text).deciders == ()
    for role in ("tailor", "clerk"):
        await town.people[role].say(word(text, *votes))
    await town.tell()
    assert town.clerk.tally(text).deciders == (seat(bakery),)


async def test_a_group_has_spoken_in_a_council_whomever_it_removes_afterwards(town: AssemblyTown) -> None:
    bakery, text, votes = await asked_of_all(town)
    for role in ("baker", "miller"):
        await town.people[role].say(word(text, *votes))
    await town.tell()
    assert town.clerk.tally(text).deciders == (seat(bakery),)
    for old, new in (("baker", "tailor"), ("miller", "smith")):
        await replaced(town, bakery, old, new)
        assert town.clerk.tally(text).deciders == (seat(bakery),)


async def test_words_of_before_and_after_a_change_do_not_add_up_to_a_groups_word(town: AssemblyTown) -> None:
    bakery, text, votes = await asked_of_all(town)
    await town.baker.say(word(text, *votes))
    await replaced(town, bakery, "baker", "tailor")
    await town.miller.say(word(text, *votes))
    await town.tell()
    assert town.clerk.tally(text).deciders == ()


async def test_an_early_clock_makes_no_early_word(town: AssemblyTown) -> None:
    bakery, text, votes = await asked_of_all(town)
    await replaced(town, bakery, "clerk", "tailor")
    now, town.clock.time = town.clock.time, 0
    for role in ("baker", "clerk"):
        await town.people[role].say(word(text, *votes))
    town.clock.time = now
    await town.tell()
    assert town.miller.tally(text).deciders == ()


@pytest.mark.parametrize("is_council_first", [False, True])
async def test_a_node_speaks_in_the_council_before_its_group_changes(
    town: AssemblyTown, is_council_first: bool
) -> None:
    """Whichever of the two it looks after first: their order is that of their ids."""
    bakery, _, _ = await shops(town)
    council = bakery
    while council == bakery or (council < bakery) != is_council_first:
        council = await town.found((town.elder.key, seat(bakery)))
    present = (town.elder, town.baker, town.clerk)
    text = await town.elder.text(council)
    await town.tell(*present)
    await town.elder.vote(text)
    said = await town.baker.instruct(bakery, text)
    await town.tell(*present)
    for person in (town.baker, town.clerk):
        await person.vote(said)
    await town.tell(*present)
    await town.count(*present)
    assert town.elder.tally(text).final
    change = await town.clerk.amend(
        bakery, minutes=20, remove=(town.baker.key,), admit=(town.smith.key, town.tailor.key)
    )
    adopters = (town.clerk, town.miller)
    await town.tell(*adopters)
    for person in adopters:
        await person.vote(change)
    await town.tell(*adopters)
    await town.count(*adopters)
    await town.tell()
    assert town.elder.group(bakery).version == change
    assert town.elder.tally(text).final


async def test_a_councils_new_charter_stands_whomever_a_group_in_it_removes_afterwards(town: AssemblyTown) -> None:
    bakery, _, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery)))
    present = (town.elder, town.baker, town.clerk)
    wider = await town.elder.amend(council, admit=(town.smith.key,))
    await town.tell(*present)
    await town.elder.vote(wider)
    said = await town.baker.instruct(bakery, wider)
    await town.tell(*present)
    for person in (town.baker, town.clerk):
        await person.vote(said)
    await town.tell(*present)
    await town.count(*present)
    assert town.elder.group(council).version == wider
    change = await town.clerk.amend(
        bakery, minutes=20, remove=(town.baker.key,), admit=(town.tailor.key, town.welder.key)
    )
    adopters = (town.clerk, town.miller)
    await town.tell(*adopters)
    for person in adopters:
        await person.vote(change)
    await town.tell(*adopters)
    await town.count(*adopters)
    await town.tell()
    assert town.elder.group(bakery).version == change
    assert {person.group(council).version for person in town.people.values()} == {wider}
    await town.count(*town.people.values())
    before = [blocks.head(person.ledger.db, person.key) for person in town.people.values()]
    await town.count(*town.people.values())
    assert [blocks.head(person.ledger.db, person.key) for person in town.people.values()] == before


async def test_a_node_that_has_spoken_for_its_group_writes_no_more_about_it(
    town: AssemblyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    bakery, _, _ = await shops(town)
    council = await town.found((town.elder.key, seat(bakery)))
    text = await town.elder.text(council)
    await town.tell()
    await town.elder.vote(text)
    await decide(town, bakery, text, BAKERY, "yes")
    assert town.baker.tally(text).final
    town.clock.time += 2 * HOUR
    monkeypatch.setattr(town.baker.ledger, "transact", None)  # nothing to write
    for _ in range(2):
        await town.baker.counting.step()


async def nested(town: AssemblyTown, width: int, amendments: int) -> tuple[int, int]:
    """A stranger's groups of groups, four levels, each to be amended in so many ways; how many blocks and groups."""
    stranger, until = town.elder, town.clock.now() + HOUR
    level: list[PublicKey] = []
    count = 0
    for depth in range(DEPTH + 1):
        made = []
        for number in range(width if depth < DEPTH else 1):
            rule = Rule("majority")
            said = FoundAssembly(f"{depth} {number}", "", (stranger.key, *level), 1, rule, rule, rule, rule, None)
            group = await stranger.say(said)
            for change in range(amendments):
                await stranger.say(AmendCharter(group, f"change {change}", "", (), (), 2, (), until))
            made.append(seat(group))
        level, count = made, count + len(made)
    return count * (1 + amendments), count


def questions(person: Person) -> int:
    """How many questions reading all charters asks the database."""
    asked: list[str] = []
    person.ledger.db.set_trace_callback(asked.append)
    assert charters(person.ledger.db)
    person.ledger.db.set_trace_callback(None)
    return sum(not each.startswith("PRAGMA") for each in asked)


async def test_nested_groups_with_many_amendments_cost_no_more_than_their_blocks(tmp_path: Path) -> None:
    per_block = []
    for width, amendments in ((1, 1), (5, 4)):
        town = AssemblyTown(tmp_path / f"{width}")
        town.folder.mkdir()
        town.add("elder")
        made, _ = await nested(town, width, amendments)
        per_block.append(questions(town.elder) / made)
        town.close()
    alone, many = per_block
    assert many <= alone


async def test_whether_a_stranger_belongs_to_nested_groups_is_worked_out_once(tmp_path: Path) -> None:
    """Each group sits in all of those above it, so that there are many ways down to it."""
    looks = []
    for width in (3, 6):
        town = AssemblyTown(tmp_path / f"{width}")
        town.folder.mkdir()
        town.add("elder", "farmer")
        await nested(town, width, 0)
        groups = charters(town.elder.ledger.db)
        first, second = [statements_on(town.elder, groups, town.farmer.key) for _ in range(2)]
        assert second <= len(groups)
        looks.append(first / sum(len(group.members) for group in groups))
        town.close()
    narrow, wide = looks
    assert wide <= 1.5 * narrow


def statements_on(asking: Person, groups: Sequence[Charter], person: PublicKey) -> int:
    """How many statements the database runs to tell that somebody belongs to none of these groups."""
    db, run = asking.ledger.db, list[str]()
    db.set_trace_callback(run.append)
    assert not any(belongs(db, group, person) for group in groups)
    db.set_trace_callback(None)
    return len(run)


async def test_nested_groups_with_words_on_many_amendments_cost_no_more_than_their_blocks(tmp_path: Path) -> None:
    """A group with a long history sits in one that sits in another, and crowds speak about changes of those two."""
    per_block = []
    for versions, crowd in ((3, 2), (12, 6)):
        (tmp_path / f"{versions}").mkdir()
        town = AssemblyTown(tmp_path / f"{versions}")
        stranger, *crew = town.add("elder", *(f"stranger {number}" for number in range(crowd)))
        below = seat(await with_history(town, stranger, versions))
        made = 1 + 3 * versions
        for name in ("outer", "outermost"):
            below = seat(await talked_about(town, stranger, name, below, crew))
            made += 1 + crowd * (2 + crowd)
        per_block.append(questions(stranger) / made)
        town.close()
    few, many = per_block
    print(per_block)
    assert many < 1.5 * few


ALONE = Rule("count", 1)


async def with_history(town: AssemblyTown, who: Person, versions: int) -> BlockHash:
    """A group of one, changed so many times."""
    group = base = await who.say(FoundAssembly("inner", "", (who.key,), 1, ALONE, ALONE, ALONE, ALONE, None))
    for number in range(versions):
        rules = (ClassRule("texts", Rule("count", 1, period=60_000 + number)),)
        base = await who.say(AmendCharter(base, f"{number}", "", (), (), 0, rules, town.clock.now() + HOUR))
        await who.say(word(base, await who.say(CastVote(base, "yes", ""))))
    assert who.group(group).version == base
    return group


async def talked_about(
    town: AssemblyTown, who: Person, name: str, below: PublicKey, crew: Sequence[Person]
) -> BlockHash:
    """A group in which each of a crew speaks about a change of its own, for which all of them voted."""
    members = (who.key, below, *(person.key for person in crew))
    group = await who.say(FoundAssembly(name, "", members, 1, ALONE, ALONE, ALONE, ALONE, None))
    until = town.clock.now() + HOUR
    changes = [await who.say(AmendCharter(group, f"{at}", "", (), (), 2, (), until)) for at in range(len(crew))]
    await town.tell()
    for person, change in zip(crew, changes, strict=True):
        await person.say(word(change, *[await each.say(CastVote(change, "yes", "")) for each in crew]))
    await town.tell()
    return group
