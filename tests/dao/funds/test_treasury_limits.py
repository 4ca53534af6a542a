"""What a charter's limits let leave a treasury, enforced by every signer from its own chain."""

import pytest

from overlay.dao.assembly import chronicle, governance, limits
from overlay.dao.assembly.charters import fault
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.proposals import Payee
from overlay.dao.funds import account, policy
from overlay.dao.funds.policy import Violation
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import FoundLimitedCouncil, Limits, RecordPayout, Rule
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import GroupTown

BLOCKS = 10
LIMITS = Limits(BLOCKS, 2_000_000, 1_200_000)
WELDER, MASON = Purse("welder").script, Purse("mason").script


@pytest.fixture
async def careful(empty_town: GroupTown) -> GroupTown:
    """Three members, two shares; within ten blocks 2,000,000 sat may leave, and 1,200,000 to one payee."""
    town = empty_town
    for role in ("farmer", "baker", "mechanic"):
        town.add(role)
    keys, rule = tuple(member.key for member in town.all), Rule("count", 2)
    said = FoundLimitedCouncil("careful", "", keys, 2, rule, rule, LIMITS)
    town.id = (await town.farmer.ledger.transact(lambda tx: governance.found_group(tx, said))).hash
    await town.sign_charter()
    await town.generate()
    await town.fund(5_000_000, 4_000_000)
    return town


async def paid(town: GroupTown, amount: int, **changes: object) -> BlockHash:
    proposal = await town.approved(town.farmer, amount, **changes)
    assert await town.step(town.farmer) == []
    await town.mine()
    await town.step()
    return proposal


async def test_a_charter_says_its_limits_and_every_node_reads_them(careful: GroupTown) -> None:
    assert {member.group(careful.id).limits for member in careful.all} == {LIMITS}
    assert (
        fault(FoundLimitedCouncil("c", "", (bytes(74),), 1, Rule("majority"), Rule("majority"), LIMITS), bytes(74))
        is None
    )


async def test_a_payment_beyond_the_limits_is_refused_when_it_is_proposed(careful: GroupTown) -> None:
    with pytest.raises(NotAllowed, match="lets one payee have 1200000 sat within 10 blocks"):
        await careful.propose(careful.farmer, 1_200_001)
    with pytest.raises(NotAllowed, match="lets 2000000 sat leave the treasury within 10 blocks"):
        await careful.propose(careful.farmer, 2_000_001)
    assert await careful.propose(careful.farmer, 1_200_000)


async def test_payments_within_one_period_add_up_and_wait_until_it_is_over(careful: GroupTown) -> None:
    await paid(careful, 1_200_000)
    second = await careful.approved(careful.baker, 900_000, script=MASON, payee=careful.mechanic.key)
    (failure,) = await careful.step(careful.baker)
    assert "it would be 2100000 sat" in failure
    assert await careful.mempool() == []
    await careful.mine(BLOCKS)
    careful.clock.time += 100_000  # type: ignore[attr-defined]
    assert await careful.step(careful.baker) == []
    assert len(await careful.mempool()) == 1
    assert careful.baker.payment(second).total == 900_000


@pytest.mark.parametrize("same", ["script", "member"])
async def test_one_payee_is_known_by_its_address_and_by_its_member(careful: GroupTown, same: str) -> None:
    await paid(careful, 800_000, payee=careful.baker.key)
    changes = {"payee": careful.mechanic.key} if same == "script" else {"payee": careful.baker.key, "script": MASON}
    await careful.approved(careful.farmer, 500_000, **changes)
    (failure,) = await careful.step(careful.farmer)
    assert "lets one payee have 1200000 sat" in failure


async def test_every_signer_enforces_them_though_the_coordinator_does_not(
    careful: GroupTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paid(careful, 1_200_000)
    proposal = await careful.approved(careful.farmer, 900_000, script=MASON, payee=careful.mechanic.key)
    asked, account = careful.baker.payment(proposal), await careful.baker.account(careful.id)
    raw, group = policy.build(asked, account, 1).raw, careful.baker.group(careful.id)
    with pytest.raises(Violation, match="it would be 2100000 sat"):
        policy.judge(careful.baker.ledger.db, group, asked, raw, account, careful.baker.key, careful.clock.now())
    monkeypatch.setattr(policy, "check_limits", lambda *_: None)
    policy.judge(careful.baker.ledger.db, group, asked, raw, account, careful.baker.key, careful.clock.now())


async def test_a_member_that_was_away_believes_what_enough_others_recorded(careful: GroupTown) -> None:
    proposal = await careful.approved(careful.farmer, 1_200_000)
    group, height = careful.mechanic.group(careful.id), (await careful.mechanic.account(careful.id)).height
    said = RecordPayout(proposal, bytes(32), height + 1, ())
    await careful.farmer.say(said)
    await careful.tell()
    assert limits.paid_since(careful.mechanic.ledger.db, group, height) == []
    await careful.baker.say(said)
    await careful.tell()
    assert [each.id for each in limits.paid_since(careful.mechanic.ledger.db, group, height)] == [proposal]
    assert limits.paid_since(careful.mechanic.ledger.db, group, height + 1) == []


def payee(number: int, amount: int) -> Payee:
    return Payee(PublicKey(bytes([number]) * 74), bytes([number]) * 34, amount)


def test_the_limits_themselves_are_allowed_and_one_satoshi_more_is_not() -> None:
    assert limits.excess(LIMITS, (payee(1, 1_200_000), payee(2, 800_000))) is None
    assert "leave the treasury" in (limits.excess(LIMITS, (payee(1, 1_200_000), payee(2, 800_001))) or "")
    assert "one payee" in (limits.excess(LIMITS, (payee(1, 1_200_001),)) or "")
    assert "one payee" in (limits.excess(LIMITS, (payee(1, 1),), (payee(1, 1_200_000),)) or "")
    assert limits.excess(LIMITS, (payee(2, 1),), (payee(1, 1_200_000),)) is None


def test_zero_is_no_limit() -> None:
    assert limits.excess(Limits(BLOCKS, 0, 0), (payee(1, 10**15),)) is None


@pytest.mark.parametrize("lower", [True, False])
async def test_a_transaction_that_fits_two_proposals_counts_once_for_the_decided_one(
    careful: GroupTown, monkeypatch: pytest.MonkeyPatch, lower: bool
) -> None:
    monkeypatch.setattr(account, "LOCKTIME_BITS", 5)
    decided = await careful.approved(careful.farmer, 1_200_000)
    await careful.ground(careful.mechanic, decided, lower=lower)
    await careful.tell()
    assert await careful.step(careful.farmer) == []
    await careful.mine()
    await careful.step()
    await careful.tell()
    group, db = careful.baker.group(careful.id), careful.baker.ledger.db
    assert len(chronicle.unsettled(db, group)) == 2
    assert sum(each.total for each in limits.paid_since(db, group, 0)) == 1_200_000
    assert [each.id for each in limits.paid_since(db, group, 0)] == [decided]
    await careful.approved(careful.baker, 800_000, script=MASON, payee=careful.mechanic.key)
    assert await careful.step(careful.baker) == []
    assert len(await careful.mempool()) == 1


async def test_a_transaction_that_members_recorded_for_two_proposals_counts_once(careful: GroupTown) -> None:
    height = (await careful.mechanic.account(careful.id)).height
    for title in ("one", "another"):
        proposal = await careful.approved(careful.farmer, 1_200_000, title=title)
        for member in (careful.farmer, careful.baker):
            await member.say(RecordPayout(proposal, bytes(32), height + 1, ()))
    await careful.tell()
    group, db = careful.mechanic.group(careful.id), careful.mechanic.ledger.db
    assert sum(each.total for each in limits.paid_since(db, group, height)) == 1_200_000


async def test_what_the_chain_shows_counts_although_its_proposal_was_kept_from_a_signer(careful: GroupTown) -> None:
    farmer, baker, mechanic = careful.farmer, careful.baker, careful.mechanic
    first = await careful.propose(farmer, 1_200_000)
    await careful.tell(mechanic)
    for member in (farmer, baker):
        await member.vote(first)
    await careful.tell(mechanic)
    await careful.decide(first, mechanic)
    careful.lines.offline.add(mechanic.key)
    await careful.pay(farmer, first)
    careful.lines.offline.clear()
    await careful.mine()
    kept = {block.hash for member in careful.all for block in blocks.everything(member.ledger.db)}
    second = await careful.propose(baker, 900_000, script=MASON, payee=mechanic.key)

    async def tell_the_rest() -> None:
        said = [block for member in (farmer, baker) for block in blocks.everything(member.ledger.db)]
        for member in careful.all:
            await member.ledger.ingest([block for block in said if block.hash not in kept])

    await tell_the_rest()
    for member in (farmer, baker):
        await member.vote(second)
    await tell_the_rest()
    for member in (farmer, baker):
        await member.count(second)
    await tell_the_rest()
    account, asked, group = await mechanic.account(careful.id), mechanic.payment(second), mechanic.group(careful.id)
    raw = policy.build(asked, account, 1).raw
    assert mechanic.ledger.block(first) is None
    with pytest.raises(policy.Violation, match="it would be 2100000 sat"):
        policy.judge(mechanic.ledger.db, group, asked, raw, account, mechanic.key, careful.clock.now())
