"""What was decided is paid, once, whoever is silent, stopped or early."""

import asyncio

import pytest

from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.turns import BUMP_SECONDS, LAST_WAIT, TURN_SECONDS
from overlay.dao.funds import policy
from overlay.dao.funds.roast import TooFew
from overlay.dao.funds.signer import COMMIT, SIGN
from overlay.dao.funds.treasury import is_paid, signed
from overlay.keys import PublicKey
from overlay.network.network import CallFailed
from overlay.trustchain.block import BlockHash
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import MINUTE, ROLES, GroupTown, Member

WELDER = Purse("welder").script


async def settle(town: GroupTown, proposal: BlockHash) -> None:
    """The payment is mined, and all nodes see it."""
    await town.mine()
    assert await town.step() == []
    assert all(is_paid(member.ledger.db, proposal) for member in town.all)


def wait(town: GroupTown, seconds: float) -> None:
    town.clock.time += int(seconds * 1000)  # type: ignore[attr-defined]


async def test_a_decided_payment_is_signed_mined_and_recorded_by_all(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    assert await five.step(five.engineer) == []
    (txid,) = await five.mempool()
    await settle(five, proposal)
    await five.tell()
    assert await five.received(WELDER) == 1_500_000
    for member in five.all:
        found = payouts(member.ledger.db, member.group(five.id), proposal)
        assert found[0].txid.hex() == txid
        assert len(found[0].signers) == 3


async def test_nodes_that_only_look_at_their_own_ledgers_come_to_a_payment_by_themselves(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", baker="yes")
    assert await five.step() == []
    await five.tell()
    assert await five.step() == []
    assert await five.mempool() == []
    await five.vote(proposal, mechanic="yes")
    await five.step()
    await five.tell()
    await five.step()
    assert len(await five.mempool()) == 1


@pytest.mark.parametrize("dead", ROLES)
async def test_any_one_of_five_can_be_killed_before_signing(five: GroupTown, dead: str) -> None:
    proposal = await five.approved(five.engineer)
    five.lines.offline.add(five.members[dead].key)
    alive = [member for member in five.all if member.role != dead]
    for _ in alive:
        await five.step(*alive)
        wait(five, TURN_SECONDS)
    assert len(await five.mempool()) == 1
    five.lines.offline.clear()
    await settle(five, proposal)


async def test_two_of_three_that_are_needed_never_pay(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    five.lines.offline |= {five.farmer.key, five.baker.key, five.mechanic.key}
    with pytest.raises(TooFew, match="waits for 3 members"):
        await five.pay(five.engineer, proposal)
    assert signed(five.engineer.ledger.db, proposal) is None
    five.lines.offline.clear()
    await five.pay(five.engineer, proposal)
    assert len(await five.mempool()) == 1


@pytest.mark.parametrize("service", [COMMIT, SIGN])
@pytest.mark.parametrize("how", ["silent", "refusing"])
async def test_members_that_stop_at_any_round_are_replaced(five: GroupTown, service: str, how: str) -> None:
    proposal = await five.approved(five.engineer)
    away = {five.farmer.key, five.baker.key}
    forever = asyncio.Event()

    async def stops(asker: PublicKey, peer: PublicKey, asked: str, payload: bytes) -> bytes | None:
        if peer in away and asked == service:
            if how == "silent":
                await forever.wait()
            raise CallFailed(peer, "not today")
        return None

    five.lines.instead = stops
    done = await five.pay(five.engineer, proposal)
    assert {five.all[number].key for number in done.signers}.isdisjoint(away)


@pytest.mark.parametrize("at", range(6))
async def test_a_signer_may_restart_between_any_two_steps(five: GroupTown, at: int) -> None:
    proposal = await five.approved(five.engineer)
    calls = 0

    async def restarts(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            await five.restart(next(member for member in five.all if member.key == peer))
        return None

    five.lines.instead = restarts
    await five.pay(five.engineer, proposal)
    five.lines.instead = None
    assert calls > at
    await settle(five, proposal)
    assert await five.received(WELDER) == 1_500_000


@pytest.mark.parametrize("at", range(6))
async def test_a_coordinator_may_die_between_any_two_steps_and_another_pays(five: GroupTown, at: int) -> None:
    proposal = await five.approved(five.engineer)
    calls, died = 0, asyncio.Event()

    async def dies(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        if calls > at:
            died.set()
            await asyncio.Event().wait()
        return None

    five.lines.instead = dies
    paying = asyncio.create_task(five.pay(five.engineer, proposal))
    await died.wait()
    paying.cancel()
    await asyncio.gather(paying, return_exceptions=True)
    five.lines.instead = None
    await five.restart(five.engineer)
    for member in five.all:
        await five.restart(member)  # promises are on disk, and bind to nothing that could not be done again
    await five.pay(five.baker, proposal)
    await settle(five, proposal)
    assert await five.received(WELDER) == 1_500_000


async def test_a_coordinator_that_restarts_after_signing_sends_its_transaction_again(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    rejected = five.engineer.backend.broadcast

    async def lost(raw: bytes) -> str:
        return "lost"

    five.engineer.backend.broadcast = lost  # type: ignore[method-assign,assignment]
    await five.pay(five.engineer, proposal)
    assert await five.mempool() == []
    five.engineer.backend.broadcast = rejected  # type: ignore[method-assign]
    await five.restart(five.engineer)
    assert await five.step(five.engineer) == []
    assert len(await five.mempool()) == 1


async def test_two_coordinators_at_once_pay_once(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    outcomes = await asyncio.gather(
        five.pay(five.engineer, proposal), five.pay(five.baker, proposal), return_exceptions=True
    )
    assert any(not isinstance(outcome, BaseException) for outcome in outcomes)
    assert len(await five.mempool()) == 1
    await settle(five, proposal)
    assert await five.received(WELDER) == 1_500_000


async def test_a_promise_is_on_disk_before_a_nonce_commitment_leaves(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    promised: list[int] = []

    async def looks(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        if service == COMMIT:
            member = next(member for member in five.all if member.key == peer)
            answer = await five.lines.services[peer][service](asker, payload)
            promised.append(len(policy.versions(member.ledger.db, proposal)))
            return answer
        return None

    five.lines.instead = looks
    await five.pay(five.engineer, proposal)
    assert promised
    assert set(promised) == {1}


async def test_two_decided_payments_are_paid_one_after_the_other_and_share_no_coin(five: GroupTown) -> None:
    await five.fund(2_000_000)
    first = await five.approved(five.engineer, deadline=five.clock.now() + 5 * MINUTE)
    second = await five.approved(five.baker, 700_000, deadline=five.clock.now() + 6 * MINUTE)
    assert await five.step(five.engineer, five.baker) == []
    assert len(await five.mempool()) == 1
    with pytest.raises(TooFew, match="promised to another payment"):
        await five.pay(five.baker, second)
    await settle(five, first)
    wait(five, LAST_WAIT)
    await five.step()
    assert len(await five.mempool()) == 1
    await settle(five, second)
    assert await five.received(WELDER) == 2_200_000


async def test_what_cannot_be_paid_keeps_nothing_else_waiting(five: GroupTown) -> None:
    await five.approved(five.engineer, 6_000_000, deadline=five.clock.now() + MINUTE)
    await five.approved(five.engineer, fee_cap=1, deadline=five.clock.now() + 2 * MINUTE)
    last = await five.approved(five.engineer, 400_000, deadline=five.clock.now() + 3 * MINUTE)
    (failures,) = await five.step(five.engineer)
    assert "only 5000000 sat can be spent" in failures
    assert "the members allowed 1 sat" in failures
    await settle_all_but_failures(five)
    assert is_paid(five.farmer.ledger.db, last)


async def settle_all_but_failures(town: GroupTown) -> None:
    await town.mine()
    await town.step()


async def test_a_decision_made_in_time_is_paid_after_the_deadline(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    wait(five, 3600)
    assert await five.step(five.engineer) == []
    await settle(five, proposal)


async def test_enough_votes_that_too_few_nodes_counted_in_time_lapse(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", baker="yes", mechanic="yes")
    await five.decide(proposal, five.farmer, five.baker, five.mechanic)
    wait(five, 3600)
    await five.decide(proposal)
    assert {member.tally(proposal).outcome.value for member in five.all} == {"lapsed"}
    assert await five.step() == []
    assert await five.mempool() == []


async def test_a_payment_that_nobody_mines_is_made_again_when_fees_have_risen(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    assert await five.step(five.engineer) == []
    (cheap,) = await five.mempool()
    for member in five.all:
        await dearer(member)
    await five.step(five.engineer)
    assert await five.mempool() == [cheap]
    wait(five, BUMP_SECONDS)
    assert await five.step(five.engineer) == []
    (dear,) = await five.mempool()
    assert dear != cheap
    await settle(five, proposal)
    assert await five.received(WELDER) == 1_500_000


async def dearer(member: Member) -> None:
    async def rate() -> int:
        return 7

    member.backend.fee_rate = rate  # type: ignore[method-assign]
