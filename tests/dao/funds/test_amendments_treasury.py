"""A treasury pays on when its charter has changed: shares stay where they are, votes do not."""

import pytest

from overlay.dao.assembly.amendments import propose_amendment
from overlay.dao.assembly.charters import current
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.shares import custodians, threshold_key
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import AmendCharter
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import MINUTE, GroupTown

AMOUNT = 1_500_000


async def changed(town: GroupTown, admit: tuple[PublicKey, ...] = (), remove: tuple[PublicKey, ...] = ()) -> BlockHash:
    """A change of the charter on which everybody else agrees."""
    said = AmendCharter(town.id, "change", "", admit, remove, 0, (), town.clock.now() + 10 * MINUTE)
    change = (await town.farmer.ledger.transact(lambda tx: propose_amendment(tx, said))).hash
    await town.vote(change, **{member.role: "yes" for member in town.all if member.key not in (*remove, *admit)})
    assert await town.step() == []
    await town.tell()
    found = current(town.farmer.ledger.db, town.id)
    assert found is not None
    assert found.version == change
    return change


async def paid(town: GroupTown, proposal: BlockHash) -> None:
    """The nodes pay by themselves, and all of them see it in the chain."""
    for _ in range(2):
        assert await town.step() == []
        await town.tell()
    assert len(await town.mempool()) == 1
    await town.mine()
    assert await town.step() == []
    await town.tell()
    db, group = town.farmer.ledger.db, town.farmer.group(town.id)
    assert payouts(db, group, proposal)


async def test_what_was_decided_before_the_change_is_paid_after_it(five: GroupTown) -> None:
    proposal = await five.approved(five.welder, AMOUNT)
    await changed(five, remove=(five.welder.key,))
    await five.mine()
    assert five.farmer.tally(proposal).final
    assert await five.received(Purse("welder").script) == AMOUNT


async def test_members_who_hold_no_share_decide_and_those_who_hold_one_sign(five: GroupTown) -> None:
    tailor = five.add("tailor")
    await five.tell()
    change = await changed(five, admit=(tailor.key,), remove=(five.welder.key,))
    group = current(five.baker.ledger.db, five.id)
    assert group is not None
    assert custodians(five.baker.ledger.db, group).version == five.id
    assert threshold_key(five.baker.ledger.db, group) is not None
    with pytest.raises(NotAllowed, match="not a member"):
        await five.propose(five.welder, AMOUNT, group=change)
    with pytest.raises(NotAllowed, match="the charter has been changed"):
        await five.propose(five.farmer, AMOUNT)
    proposal = await five.propose(tailor, AMOUNT, group=change)
    await five.vote(proposal, tailor="yes", farmer="yes", baker="yes")
    await paid(five, proposal)
    assert await five.received(Purse("welder").script) == AMOUNT
