"""The newest proposals: what one has a vote on cannot be crowded out by others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.assembly import governance
from overlay.dao.assembly.bylaws import seat
from overlay.dao.assembly.newest import newest
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import ProposeText
from tests.dao.assembly_town import HOUR, MINUTE, AssemblyTown, Person

MANY = 100


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[AssemblyTown]:
    made = AssemblyTown(tmp_path)
    made.add("farmer", "baker", "mechanic", "teacher")
    yield made
    made.close()


def seen(person: Person, most: int = MANY) -> list[BlockHash]:
    return newest(person.ledger.db, person.key, person.clock.now(), most)


async def sign(person: Person, group: BlockHash) -> None:
    await person.ledger.transact(lambda tx: governance.sign_charter(tx, group, b"\2" * 33))


async def test_the_nearest_deadline_comes_first_and_then_what_ended_last(town: AssemblyTown) -> None:
    group = await town.found([town.farmer.key, town.baker.key])
    late, first, last = [await town.farmer.text(group, minutes=minutes) for minutes in (50, 1, 2)]
    town.clock.time += 3 * MINUTE
    early = await town.farmer.text(group, minutes=10)
    assert seen(town.farmer) == [early, late, last, first]
    assert seen(town.farmer, 3) == [early, late, last]


async def test_ones_own_groups_come_before_those_that_only_name_one_and_these_before_others(town: AssemblyTown) -> None:
    strange = await town.found([town.mechanic.key, town.teacher.key])
    unasked = await town.found([town.mechanic.key, town.baker.key])
    own = await town.found([town.farmer.key, town.baker.key])
    await sign(town.baker, own)
    elsewhere = await town.mechanic.text(strange, minutes=5)
    pressed = await town.mechanic.text(unasked, minutes=10)
    asked = await town.farmer.text(own, minutes=20)
    await town.tell()
    assert seen(town.baker) == [asked, pressed, elsewhere]
    assert seen(town.baker, 1) == [asked]


async def test_what_strangers_and_former_members_propose_takes_no_place(town: AssemblyTown) -> None:
    group = await town.found([town.farmer.key, town.baker.key, town.mechanic.key])
    kept = await town.mechanic.text(group)
    change = await town.farmer.amend(group, remove=(town.mechanic.key,))
    await town.vote(change, farmer="yes", baker="yes")
    version = town.baker.group(group).version
    assert version == change
    for outsider in (town.teacher, town.mechanic):
        await outsider.say(ProposeText(version, "spam", "", town.clock.now() + MINUTE))
    asked = await town.baker.text(group, minutes=30)
    await town.tell()
    assert seen(town.farmer, 3) == [asked, *sorted((kept, change))]


async def test_members_of_a_group_that_sits_in_a_council_propose_there(town: AssemblyTown) -> None:
    bakery = await town.found([town.baker.key, town.mechanic.key])
    council = await town.found([seat(bakery), town.farmer.key])
    asked = await town.baker.text(council, minutes=HOUR // MINUTE)
    await town.tell()
    assert seen(town.mechanic) == [asked]
