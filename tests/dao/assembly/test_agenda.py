"""A node looks after what is open or decided, and after nothing that is long over."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.dao.assembly import agenda as agendas
from overlay.dao.assembly import proposals
from overlay.dao.assembly.agenda import Agenda
from overlay.dao.assembly.bylaws import seat
from overlay.dao.assembly.counting import Counting
from overlay.dao.assembly.proposals import Proposal
from overlay.dao.assembly.tallies import NOT_A_MEMBER
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.statements import (
    AcceptWork,
    CastVote,
    ClassRule,
    Decide,
    DeliverWork,
    Media,
    ProposePayment,
    ProposeWork,
    Rule,
    encode,
)
from tests.dao.assembly_town import HOUR, AssemblyTown, Person, word
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


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[AssemblyTown]:
    """A town without a chain."""
    made = AssemblyTown(tmp_path)
    made.add("farmer", "baker", "mechanic")
    yield made
    made.close()


async def founded(hall: AssemblyTown) -> BlockHash:
    return await hall.found(person.key for person in hall.people.values())


async def test_words_about_nothing_that_is_known_are_neither_kept_nor_read_again(
    hall: AssemblyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await founded(hall)
    agenda = Agenda(hall.baker.ledger)
    assert agenda.of(hall.baker.group(group)) == []
    (stranger,) = hall.add("stranger")
    for number in range(20):
        await stranger.say(CastVote(number.to_bytes(32), "yes", ""))
        await stranger.say(word(number.to_bytes(32, "little")))
    await hall.tell()
    read: list[bytes] = []

    def counted(db: sqlite3.Connection, id_: bytes) -> Proposal | None:
        read.append(id_)
        return proposals.proposal(db, id_)

    monkeypatch.setattr(agendas, "proposal", counted)
    assert agenda.of(hall.baker.group(group)) == []
    once = len(read)
    assert agenda.of(hall.baker.group(group)) == []
    assert len(read) == once
    assert agenda._open == {}


async def test_a_proposal_that_comes_after_what_was_said_of_it_is_looked_after(hall: AssemblyTown) -> None:
    group = await founded(hall)
    agenda = Agenda(hall.mechanic.ledger)
    text = await hall.farmer.text(group)
    await hall.tell(hall.farmer, hall.baker)
    await hall.baker.vote(text)
    of = {person.role: blocks.chain(hall.baker.ledger.db, person.key, 1, 99, 99) for person in hall.people.values()}
    assert agenda.of(hall.mechanic.group(group)) == []
    await hall.mechanic.ledger.ingest(of["baker"])
    assert agenda.of(hall.mechanic.group(group)) == []
    await hall.mechanic.ledger.ingest(of["farmer"])
    ((asked, stands),) = agenda.of(hall.mechanic.group(group))
    assert (asked.id, stands.count("yes")) == (text, 1)


async def test_a_word_on_a_work_makes_a_node_look_again_at_what_accepts_it(hall: AssemblyTown) -> None:
    """The acceptance stands in its way as long as one word is missing that the work was agreed to."""
    people = list(hall.people.values())
    group = await hall.found((person.key for person in people), 3)
    farmer, baker, mechanic = people
    script, now = bytes.fromhex("0014") + bytes([7]) * 20, hall.clock.now()
    asked = await farmer.say(ProposeWork(group, "roof", "", farmer.key, script, 50_000, None, now + HOUR))
    await hall.tell()
    votes = [await person.vote(asked) for person in people]
    await hall.tell()
    for person in (farmer, baker):
        await person.say(word(asked, *votes))
    done = await farmer.say(DeliverWork(asked, Media(bytes(32), bytes(32), 5), "done"))
    said = AcceptWork(group, "accept", "", farmer.key, script, 50_000, 1_000, now + HOUR, asked, done)
    payment = await farmer.say(said)
    await hall.tell()
    agenda = Agenda(baker.ledger)
    assert {each.id: stands.obstacle for each, stands in agenda.of(baker.group(group))}[payment] != ""
    await mechanic.say(word(asked, *votes))
    await hall.tell()
    assert {each.id: stands.obstacle for each, stands in agenda.of(baker.group(group))}[payment] == ""


async def test_a_vote_on_a_change_that_words_have_named_makes_a_node_look_again_at_what_it_ends(
    hall: AssemblyTown,
) -> None:
    """Words that came before one of the votes that they name count with it: then the old charter's texts are over."""
    group = await founded(hall)
    farmer, baker, mechanic = hall.people.values()
    text = await farmer.text(group)
    change = await farmer.amend(group, rules=(ClassRule("texts", Rule("unanimous")),))
    await hall.tell()
    votes = [await person.say(CastVote(change, "yes", "")) for person in (farmer, mechanic)]
    await farmer.say(word(change, *votes))
    await baker.say(word(change, *votes))
    (witness,) = hall.add("witness")
    everything = {block for person in hall.people.values() for block in blocks.everything(person.ledger.db)}
    await witness.ledger.ingest([block for block in everything if block.public_key != mechanic.key])
    agenda, old = Agenda(witness.ledger), witness.group(group)
    assert {each.id: stands.obstacle for each, stands in agenda.of(old)}[text] == ""
    await witness.ledger.ingest([block for block in everything if block.hash == votes[1]])
    assert witness.group(group).version == change
    stands = {each.id: stands for each, stands in agenda.of(witness.group(group))}
    assert "propose it again" in stands[text].obstacle


async def test_a_proposal_is_looked_after_once_the_charter_that_makes_its_proposer_a_member_is_known(
    tmp_path: Path,
) -> None:
    town = AssemblyTown(tmp_path)
    town.add("elder", "smith", "baker", "miller")
    bakery = await town.found((town.baker.key, town.miller.key))
    council = await town.found((town.elder.key, town.smith.key, seat(bakery)))
    text = await town.baker.text(council)
    await town.tell()
    for person in (town.elder, town.smith):
        await person.vote(text)
    said = {block.hash: block for person in town.people.values() for block in blocks.everything(person.ledger.db)}
    last = said.pop(bakery)
    (tmp_path / "late").mkdir()
    late = Person("elder", tmp_path / "late", town.clock)
    await late.ledger.ingest(list(said.values()))
    await late.counting.step()
    await late.ledger.ingest([last])
    await late.counting.step()
    assert late.key in late.tally(text).deciders
    late.ledger.close()
    town.close()


async def test_no_more_than_so_many_strange_proposals_are_set_aside(
    three: GroupTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agendas, "MAX_STRANGE", 2)
    agenda, stranger = Agenda(three.baker.ledger), three.add("stranger")
    assert ids(agenda, three.baker, three) == []
    for number in range(4):
        fields = {"group": three.id, "reason": "", "payee": stranger.key, "script": b"ab", "amount": 1, "fee_cap": 1}
        until = three.clock.now() + MINUTE
        await stranger.say(ProposePayment(title=f"{number}", **fields, deadline=until))  # type: ignore[arg-type]
    await three.tell()
    assert ids(agenda, three.baker, three) == []
    assert len(agenda._strange) == 2


async def test_a_councils_decision_stands_though_a_group_in_it_removes_who_proposed_it(tmp_path: Path) -> None:
    town = AssemblyTown(tmp_path)
    town.add("elder", "smith", "baker", "miller", "clerk")
    bakery = await town.found([town.people[role].key for role in ("baker", "miller", "clerk")])
    council = await town.found((town.elder.key, town.smith.key, seat(bakery)))
    text, open_still = await town.baker.text(council), await town.baker.text(council, "closed on Mondays")
    await town.tell()
    await town.vote(text, elder="yes", smith="yes")
    change = await town.miller.amend(bakery, remove=(town.baker.key,))
    await town.vote(change, miller="yes", clerk="yes")
    assert town.elder.group(bakery).version == change
    assert {person.tally(text).final for person in town.people.values()} == {True}
    assert town.elder.tally(open_still).obstacle == NOT_A_MEMBER
    town.close()
