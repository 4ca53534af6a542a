"""Rules of charters: what decides, what can no longer be changed, and what can still pass."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.assembly import rules
from overlay.dao.assembly.governance import NotAllowed, Outcome, found_group, propose_text
from overlay.dao.assembly.rules import Counts
from overlay.dao.funds.roast import TooFew
from overlay.trustchain.statements import Decide, FoundCouncil, ProposeText, Rule
from tests.dao.group_town import MINUTE, ROLES, GroupTown

SIMPLE = Rule("majority")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rule, Counts, int]:
    members = draw(st.integers(1, 10))
    way = draw(st.sampled_from(("count", "majority", "supermajority", "unanimous")))
    share = {"count": st.integers(1, members), "supermajority": st.integers(50, 100)}.get(way, st.just(0))
    of_votes = way != "count" and draw(st.booleans())
    rule = Rule(way, draw(share), of_votes, draw(st.integers(0, members)))
    assert rules.fault(rule, members) is None
    yes = draw(st.integers(0, members))
    no = draw(st.integers(0, members - yes))
    abstain = draw(st.integers(0, members - yes - no))
    missing = draw(st.integers(0, members - yes - no - abstain))  # the rest is proven to have no vote
    return rule, Counts(members, yes, no, abstain, missing), draw(st.integers(1, members))


def endings(counts: Counts) -> list[Counts]:
    """Every way in which those who are missing may vote, or not."""
    each = [(y, n, a) for y, n, a in product(range(counts.missing + 1), repeat=3) if y + n + a <= counts.missing]
    return [
        Counts(counts.members, counts.yes + y, counts.no + n, counts.abstain + a, counts.missing - y - n - a)
        for y, n, a in each
    ]


@given(cases())
def test_certain_is_what_passes_however_the_others_vote(case: tuple[Rule, Counts, int]) -> None:
    rule, counts, least = case
    assert rules.is_certain(rule, counts, least) == all(rules.passes(rule, end, least) for end in endings(counts))


@given(cases())
def test_what_can_pass_is_what_passes_in_some_way(case: tuple[Rule, Counts, int]) -> None:
    rule, counts, least = case
    assert rules.can_pass(rule, counts, least) == any(rules.passes(rule, end, least) for end in endings(counts))


@pytest.mark.parametrize(
    ("rule", "yes", "no", "abstain", "passes"),
    [
        (Rule("count", 2), 2, 3, 0, True),
        (Rule("majority"), 3, 2, 0, True),
        (Rule("majority"), 2, 0, 3, False),
        (Rule("majority", of_votes=True), 2, 1, 2, True),
        (Rule("majority", of_votes=True), 2, 2, 1, False),
        (Rule("supermajority", 67), 4, 1, 0, True),
        (Rule("supermajority", 67), 3, 2, 0, False),
        (Rule("supermajority", 67, of_votes=True), 2, 1, 0, False),
        (Rule("unanimous"), 5, 0, 0, True),
        (Rule("unanimous"), 4, 0, 1, False),
        (Rule("unanimous", of_votes=True), 1, 0, 4, True),
        (Rule("majority", of_votes=True, quorum=4), 2, 1, 0, False),
        (Rule("majority", of_votes=True, quorum=4), 2, 1, 1, True),
        (Rule("majority", of_votes=True), 0, 0, 5, False),
    ],
)
def test_five_members_decide_by(rule: Rule, yes: int, no: int, abstain: int, passes: bool) -> None:
    assert rules.passes(rule, Counts(5, yes, no, abstain, 0), 1) == passes


@pytest.mark.parametrize(
    "rule",
    [
        Rule("count", 6),
        Rule("count", 0),
        Rule("count", 2, of_votes=True),
        Rule("supermajority", 49),
        Rule("majority", quorum=6),
    ],
)
def test_a_rule_that_cannot_work_is_a_fault(rule: Rule) -> None:
    assert rules.fault(rule, 5) is not None


async def council(town: GroupTown, payments: Rule = SIMPLE, texts: Rule = SIMPLE, threshold: int = 3) -> None:
    """A group of five by these rules, with a key."""
    for role in ROLES:
        town.add(role)
    keys = tuple(member.key for member in town.all)
    said = FoundCouncil("council", "", keys, threshold, payments, texts)
    town.id = (await town.farmer.ledger.transact(lambda tx: found_group(tx, said))).hash
    await town.sign_charter()
    await town.generate()
    await town.fund(5_000_000)


async def propose(town: GroupTown) -> bytes:
    said = ProposeText(town.id, "open on Sundays", "from May on", town.clock.now() + 10 * MINUTE)
    made = await town.farmer.ledger.transact(lambda tx: propose_text(tx, said))
    await town.tell()
    return made.hash


def later(town: GroupTown, milliseconds: int) -> None:
    town.clock.time += milliseconds  # type: ignore[attr-defined]


async def test_a_text_is_agreed_to_by_its_own_rule(empty_town: GroupTown) -> None:
    await council(empty_town, texts=Rule("unanimous"))
    text = await propose(empty_town)
    await empty_town.vote(text, farmer="yes", baker="yes", mechanic="yes", engineer="yes")
    assert await empty_town.step() == []
    assert empty_town.welder.tally(text).outcome is Outcome.OPEN
    await empty_town.vote(text, welder="yes")
    assert await empty_town.step() == []
    await empty_town.tell()
    assert empty_town.farmer.tally(text).final
    assert await empty_town.mempool() == []


async def test_votes_cast_decide_at_the_deadline_and_not_before(empty_town: GroupTown) -> None:
    await council(empty_town, texts=Rule("majority", of_votes=True))
    text = await propose(empty_town)
    await empty_town.vote(text, farmer="yes", baker="yes", mechanic="no")
    await empty_town.step()
    assert not empty_town.farmer.tally(text).passing
    later(empty_town, 10 * MINUTE + 1)
    await empty_town.step()
    await empty_town.tell()
    assert {member.tally(text).final for member in empty_town.all} == {True}


async def test_votes_cast_decide_at_once_where_nobody_can_change_it(empty_town: GroupTown) -> None:
    await council(empty_town, texts=Rule("majority", of_votes=True))
    text = await propose(empty_town)
    await empty_town.vote(text, farmer="yes", baker="yes", mechanic="yes")
    assert empty_town.farmer.tally(text).passing


async def test_a_node_that_looks_too_late_counts_nothing(empty_town: GroupTown) -> None:
    await council(empty_town, texts=Rule("majority", of_votes=True))
    text = await propose(empty_town)
    await empty_town.vote(text, farmer="yes")
    later(empty_town, 12 * MINUTE)
    await empty_town.step()
    assert empty_town.farmer.tally(text).outcome is Outcome.LAPSED


@pytest.mark.parametrize(("fallback", "final"), [("lapse", False), ("without-quorum", True)])
async def test_without_its_quorum_a_proposal_falls_back(empty_town: GroupTown, fallback: str, final: bool) -> None:
    await council(empty_town, texts=Rule("majority", of_votes=True, quorum=4, fallback=fallback))
    text = await propose(empty_town)
    await empty_town.vote(text, farmer="yes", baker="yes", mechanic="no")
    later(empty_town, 10 * MINUTE + 1)
    await empty_town.step()
    await empty_town.tell()
    assert empty_town.welder.tally(text).final == final


async def test_a_payment_waits_for_the_delay_in_which_a_member_may_refuse_its_share(empty_town: GroupTown) -> None:
    await council(empty_town, payments=Rule("majority", delay=60 * MINUTE))
    proposal = await empty_town.approved(empty_town.farmer)
    assert await empty_town.step() == []
    assert await empty_town.mempool() == []
    with pytest.raises(TooFew, match="lets some time pass"):
        await empty_town.pay(empty_town.farmer, proposal)
    await empty_town.vote(proposal, baker="no")
    assert empty_town.welder.tally(proposal).final
    later(empty_town, 60 * MINUTE)
    with pytest.raises(NotAllowed, match="no longer be voted on"):
        await empty_town.mechanic.vote(proposal, "no")
    assert await empty_town.step(empty_town.farmer) == []
    assert len(await empty_town.mempool()) == 1


async def test_one_early_clock_does_not_shorten_the_delay(empty_town: GroupTown) -> None:
    await council(empty_town, payments=Rule("majority", delay=60 * MINUTE))
    proposal = await empty_town.propose(empty_town.farmer)
    await empty_town.vote(proposal, farmer="yes", baker="yes", mechanic="yes")
    votes = empty_town.welder.tally(proposal).yes_votes
    now = empty_town.clock.now()
    later(empty_town, -now // 2)
    for member in (empty_town.engineer, empty_town.welder):
        await member.say(Decide(proposal, True, votes))
    later(empty_town, now - empty_town.clock.now())
    await empty_town.decide(proposal)
    assert empty_town.farmer.tally(proposal).due == now + 60 * MINUTE


async def test_a_payment_asks_for_as_many_yes_votes_as_shares_whatever_the_rule(empty_town: GroupTown) -> None:
    await council(empty_town, payments=Rule("majority", of_votes=True))
    proposal = await empty_town.propose(empty_town.farmer)
    await empty_town.vote(proposal, farmer="yes", baker="yes")
    later(empty_town, 10 * MINUTE + 1)
    await empty_town.step()
    await empty_town.tell()
    assert empty_town.farmer.tally(proposal).outcome is Outcome.LAPSED


async def test_a_council_without_a_working_rule_is_not_founded(empty_town: GroupTown) -> None:
    farmer = empty_town.add("farmer")
    for said in (
        FoundCouncil("council", "", (farmer.key,), 1, Rule("count", 2), SIMPLE),
        FoundCouncil("council", "", (farmer.key,), 1, SIMPLE, Rule("majority", quorum=2)),
        FoundCouncil("council", "", (farmer.key,), 2, SIMPLE, SIMPLE),
    ):
        with pytest.raises(NotAllowed):
            await farmer.ledger.transact(lambda tx, said=said: found_group(tx, said))  # type: ignore[misc]
