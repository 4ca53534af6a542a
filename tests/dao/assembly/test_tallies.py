"""What a tally says: the same whatever came first, and the same counted anew as kept up to date."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.agenda import Agenda, open_now
from overlay.dao.assembly.bylaws import seat
from overlay.dao.assembly.charters import charters, versions
from overlay.dao.assembly.decision_log import entries
from overlay.dao.assembly.governance import NotAllowed, Outcome, comment
from overlay.dao.assembly.groups import GroupsView
from overlay.dao.assembly.proposals import proposal
from overlay.dao.assembly.tallies import CLOSING, tally
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import CastVote, ClassRule, Comment, Decide, Delegate, ProposeText, Rule
from tests.dao.assembly_town import HOUR, MINUTE, AssemblyTown, word
from tests.town import HandClock, SeededRandomness

ROLES = ("farmer", "baker", "mechanic", "engineer", "welder")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[AssemblyTown]:
    made = AssemblyTown(tmp_path)
    made.add(*ROLES)
    yield made
    made.close()


async def founded(town: AssemblyTown, texts: Rule = Rule("majority"), threshold: int = 2) -> BlockHash:  # noqa: B008
    return await town.found((person.key for person in town.people.values()), threshold=threshold, texts=texts)


async def test_a_block_stops_a_proposal_where_the_charter_gives_a_veto(town: AssemblyTown) -> None:
    group = await founded(town, Rule("majority", vetoes=1))
    text = await town.farmer.text(group)
    await town.tell()
    with pytest.raises(NotAllowed, match="says why"):
        await town.welder.vote(text, "block")
    await town.vote(text, farmer="yes", baker="yes", mechanic="yes", engineer="yes")
    assert not town.farmer.tally(text).passing  # one more may block it
    await town.vote(text, welder="block")
    stands = town.farmer.tally(text)
    assert (stands.outcome, stands.count("block"), stands.choice_of(town.welder.key)) == (Outcome.REJECTED, 1, "no")
    await town.vote(text, welder="abstain")
    assert town.farmer.tally(text).final


async def test_with_a_veto_the_deadline_shows_that_nobody_used_it(town: AssemblyTown) -> None:
    group = await founded(town, Rule("majority", vetoes=1))
    text = await town.farmer.text(group)
    await town.vote(text, farmer="yes", baker="yes", mechanic="yes")
    town.clock.time += HOUR + 1
    await town.count()
    assert town.welder.tally(text).final


async def test_without_a_veto_a_block_is_a_no(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.farmer.text(group)
    await town.vote(text, welder="block", farmer="yes", baker="yes", mechanic="yes")
    assert town.farmer.tally(text).final


async def test_members_have_the_time_to_vote_that_the_charter_gives_them(town: AssemblyTown) -> None:
    group = await founded(town, Rule("majority", of_votes=True, period=2 * HOUR))
    with pytest.raises(NotAllowed, match="gives members 120 minutes"):
        await town.farmer.text(group, minutes=119)
    await town.farmer.text(group, minutes=120)
    hasty = await town.farmer.say(ProposeText(group, "now", "", town.clock.now() + MINUTE))
    await town.tell()
    with pytest.raises(NotAllowed, match="gives members 120 minutes"):
        await town.farmer.vote(hasty)
    await town.farmer.say(CastVote(hasty, "yes", ""))
    town.clock.time += MINUTE + 1
    await town.count()
    assert town.farmer.tally(hasty).outcome is Outcome.REJECTED


async def test_what_can_never_pass_is_refused_at_once(town: AssemblyTown) -> None:
    group = await founded(town, Rule("unanimous"))
    await town.farmer.text(group)
    last, _ = blocks.head(town.welder.ledger.db, town.welder.key) or (0, None)
    for _ in range(2 - last):
        await town.welder.say(CastVote(bytes(32), "yes", ""))
    await town.tell()
    await town.farmer.ledger.ingest([town.welder.fork(CastVote(bytes(32), "no", ""), 2)])
    with pytest.raises(NotAllowed, match="this can never pass: only 4 of 5 members have a vote"):
        await town.farmer.text(group)
    with pytest.raises(NotAllowed, match="lies in the future"):
        await town.farmer.text(group, minutes=0)


async def test_a_discussion_is_open_to_members_only_and_says_something(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.farmer.text(group)
    (stranger,) = town.add("stranger")
    await town.tell()
    await town.baker.ledger.transact(lambda tx: comment(tx, text, "from April would be better"))
    with pytest.raises(NotAllowed, match="says something"):
        await town.baker.ledger.transact(lambda tx: comment(tx, text, "  "))
    with pytest.raises(NotAllowed, match="not a member"):
        await stranger.ledger.transact(lambda tx: comment(tx, text, "and me?"))
    with pytest.raises(NotAllowed, match="no such proposal"):
        await town.baker.ledger.transact(lambda tx: comment(tx, bytes(32), "what?"))


async def history(town: AssemblyTown) -> list[HalfBlock]:
    """Everything that a group can do, with a council, strangers, lies and a fork; the blocks in no order."""
    keys = tuple(person.key for person in town.people.values())
    group = await town.found(keys, texts=Rule("majority", delegable=True, vetoes=2))
    council = await town.found((town.farmer.key, seat(group)), threshold=1)
    (stranger,) = town.add("stranger")
    await town.baker.delegate(group, town.farmer.key)
    text, above = await town.farmer.text(group), await town.farmer.text(council)
    await town.vote(text, farmer="yes", mechanic="yes", engineer="block")
    asked = await town.mechanic.instruct(group, above)
    await town.vote(asked, farmer="yes", mechanic="yes", welder="yes")
    await town.vote(above, farmer="yes")
    rules = (ClassRule("texts", Rule("count", 2)),)
    changes = [await town.farmer.amend(group, remove=(town.welder.key,), rules=rules)]
    changes.append(await town.baker.amend(group, remove=(town.engineer.key,)))
    await town.tell()
    for person in (town.farmer, town.baker, town.mechanic):
        for change in changes:
            await person.vote(change)
    await town.tell()
    await town.count()
    later = await town.farmer.text(group, "later")
    await town.vote(later, farmer="yes")
    await town.welder.say(CastVote(later, "yes", "still here"))
    for said in (CastVote(later, "yes", ""), word(later), Delegate(group, "texts", stranger.key), Comment(text, "hm")):
        await stranger.say(said)
    last, _ = blocks.head(town.engineer.ledger.db, town.engineer.key) or (0, None)
    fork = town.engineer.fork(CastVote(text, "yes", "after all"), last)
    await town.tell()
    return [*blocks.everything(town.farmer.ledger.db), fork]


def seen(ledger: Ledger, now: int) -> list[object]:
    """Everything that is judged from the blocks."""
    db, found = ledger.db, list[object]()
    for group in charters(db):
        found += [*versions(db, group.id), *entries(db, group, now)]
        ids = [id_ for (id_,) in db.execute("SELECT id FROM group_proposal ORDER BY id")]
        found += [tally(db, group, asked, now) for id_ in ids if (asked := proposal(db, id_))]
    return found


@pytest.fixture
async def told(town: AssemblyTown) -> list[HalfBlock]:
    return await history(town)


async def test_any_order_and_any_repetition_of_the_blocks_gives_the_same(
    town: AssemblyTown, told: list[HalfBlock], tmp_path: Path
) -> None:
    outcomes = []
    for seed in range(8):
        shuffled = told + random.Random(seed).sample(told, 10)
        random.Random(seed).shuffle(shuffled)
        ledger = Ledger(
            tmp_path / f"{seed}.db", town.farmer.identity, [GroupsView()], HandClock(), SeededRandomness("x"), "NORMAL"
        )
        for at in range(0, len(shuffled), 7):
            assert await ledger.ingest(shuffled[at : at + 7]) == []
        outcomes.append(seen(ledger, town.clock.now()))
        await ledger.rebuild()
        outcomes.append(seen(ledger, town.clock.now()))
        ledger.close()
    assert len(outcomes[0]) > 20
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("seed", range(4))
async def test_what_the_agenda_keeps_is_what_counting_anew_gives(
    town: AssemblyTown, told: list[HalfBlock], tmp_path: Path, seed: int
) -> None:
    chance, clock, db = random.Random(seed), HandClock(), tmp_path / "reader.db"
    chance.shuffle(told)
    random_ = SeededRandomness("x")
    reader = Ledger(db, town.farmer.identity, [GroupsView()], clock, random_, "NORMAL", tables=[chronicle.SCHEMA])
    agenda, compared = Agenda(reader), 0
    assert [agenda.of(group) for group in charters(reader.db)] == []
    for at in range(0, len(told), 5):
        await reader.ingest(told[at : at + 5])
        clock.time += chance.choice((0, 0, MINUTE, 20 * MINUTE, CLOSING))
        for group in charters(reader.db):
            for asked, stands in agenda.of(group):
                assert stands == tally(reader.db, group, asked, clock.now())
                compared += 1
    reader.close()
    assert compared > 0


async def test_what_is_open_is_listed_with_how_it_stands(town: AssemblyTown) -> None:
    group = await founded(town)
    early, late = await town.farmer.text(group, minutes=10), await town.farmer.text(group, minutes=20)
    await town.vote(early, farmer="yes")
    db, now = town.baker.ledger.db, town.clock.now()
    listed = open_now(db, town.baker.group(group), now)
    assert [(asked.id, stands.count("yes")) for asked, stands in listed] == [(early, 1), (late, 0)]
    assert [asked.id for asked, _ in open_now(db, town.baker.group(group), now + 11 * MINUTE)] == [late]


async def test_the_log_names_every_vote_and_word_by_its_block(town: AssemblyTown) -> None:
    group = await founded(town)
    text = await town.baker.text(group)
    await town.vote(text, farmer="yes", baker="yes", mechanic="yes", welder="no")
    (entry,) = entries(town.welder.ledger.db, town.welder.group(group), town.clock.now())
    assert (entry.id, entry.charter, entry.charter_number) == (text.hex(), group.hex(), 1)
    assert (entry.outcome, entry.final) == ("approved", True)
    place = blocks.by_hash(town.welder.ledger.db, text)
    assert place is not None
    assert entry.number == f"2-{place.sequence_number}"
    for vote in entry.votes:
        block = blocks.by_hash(town.welder.ledger.db, bytes.fromhex(vote.block))
        assert block is not None
        assert block.public_key.hex() == vote.voter
    yes = {vote.block for vote in entry.votes if vote.choice == "yes"}
    assert all(set(counted.votes) <= yes for counted in entry.words)
    assert {counted.author for counted in entry.words} == set(entry.counted_by)


async def test_a_vote_by_a_stranger_twice_and_after_the_deadline_decides_nothing(town: AssemblyTown) -> None:
    group = await founded(town, threshold=3)
    (stranger,) = town.add("stranger")
    text = await town.farmer.text(group)
    await town.tell()
    await town.farmer.vote(text)
    votes = [await town.baker.vote(text), await town.baker.vote(text), await stranger.say(CastVote(text, "yes", ""))]
    await town.tell()
    await town.count()
    assert not town.farmer.tally(text).passing
    town.clock.time += HOUR + CLOSING + 1
    votes.append(await town.mechanic.say(CastVote(text, "yes", "late")))
    await town.tell()
    await town.count()
    for person in (town.farmer, town.baker):  # fewer than the threshold say that it came in time
        await person.say(Decide(text, True, (votes[1], votes[3], await town.farmer.say(CastVote(text, "yes", "")))))
    await town.tell()
    assert {person.tally(text).outcome for person in town.people.values()} == {Outcome.LAPSED}
