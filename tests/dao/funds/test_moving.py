"""A group moves its funds to a key that a member who left has no part of; the ledger says which key follows which."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overlay.dao.assembly import governance
from overlay.dao.assembly.addressees import treasury_script
from overlay.dao.assembly.bylaws import seat
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin, InsufficientFunds
from overlay.dao.funds import moving, policy
from overlay.dao.funds.account import Account
from overlay.dao.funds.treasury import is_paid
from overlay.dao.keyring import custody
from overlay.dao.keyring.messages import MAX_INPUTS
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import FoundGroup, ProposePayment
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import MINUTE, GroupTown, town

THIEF = Purse("thief").script


@pytest.fixture
async def left(tmp_path: Path) -> AsyncIterator[GroupTown]:
    """Three members with a funded treasury, one of whom has left."""
    async with town(tmp_path) as made:
        await made.found(2, 2, ("farmer", "baker", "mechanic"))
        await made.generate()
        await made.fund(3_000_000, 2_000_000, 1_000_000)
        yield made


async def anew(made: GroupTown, *, with_key: bool = True) -> BlockHash:
    """The two who stay found a group of their own, and make its key."""
    keepers, old = (made.farmer, made.baker), made.id
    said = FoundGroup("bridge group anew", "", tuple(each.key for each in keepers), 2, 2)
    new = (await made.farmer.ledger.transact(lambda tx: governance.found_group(tx, said))).hash
    await made.tell()
    for each in keepers:
        key = custody.host_key(each.identity, new)
        await each.ledger.transact(lambda tx, key=key: governance.sign_charter(tx, new, key))  # type: ignore[misc]
    await made.tell()
    if with_key:
        await made.farmer.keygen.coordinate(made.farmer.group(new))
        await made.tell()
    made.id = old
    return new


async def test_all_that_a_treasury_holds_goes_to_the_key_of_those_who_stay(left: GroupTown) -> None:
    new = await anew(left)
    script = treasury_script(left.mechanic.ledger.db, new)
    assert script is not None
    planned = moving.plan(await left.farmer.account(left.id), script, 1)
    moved = {"payee": seat(new), "script": script, "amount": planned.amount, "fee_cap": planned.fee_cap}
    proposal = await left.approved(left.farmer, **moved)
    await left.pay(left.farmer, proposal)
    await left.mine(2)
    await left.step()
    await left.tell()
    assert all(is_paid(member.ledger.db, proposal) for member in left.all)
    assert await left.received(script) == planned.amount
    assert 0 < await left.received(left.script) <= planned.left_at_most < 1_000
    assert left.mechanic.payment(proposal).payee == seat(new)


async def test_money_for_a_group_goes_to_its_treasury_and_nowhere_else(left: GroupTown) -> None:
    new = await anew(left)
    with pytest.raises(NotAllowed, match="does not pay to that group's treasury"):
        await left.propose(left.mechanic, payee=seat(new), script=THIEF)
    fields: dict[str, Any] = {"group": left.id, "title": "Move the treasury", "reason": "", "fee_cap": 10_000}
    fields |= {"payee": seat(new), "script": THIEF, "amount": 1_000_000}
    forged = ProposePayment(**fields, deadline=left.clock.now() + 10 * MINUTE)
    proposal = (await left.mechanic.say(forged)).hash
    await left.tell()
    with pytest.raises(NotAllowed, match="does not pay to that group's treasury"):
        await left.farmer.vote(proposal)
    group, me = left.farmer.group(left.id), left.farmer.key
    with pytest.raises(policy.Violation):
        policy.check_approved(left.farmer.ledger.db, group, left.farmer.payment(proposal), me, left.clock.now())


async def test_who_does_not_know_the_new_key_yet_signs_nothing(left: GroupTown) -> None:
    new = await anew(left, with_key=False)
    assert treasury_script(left.farmer.ledger.db, new) is None
    assert treasury_script(left.farmer.ledger.db, b"n" * 32) is None
    with pytest.raises(NotAllowed, match="as this node knows it"):
        await left.propose(left.farmer, payee=seat(new), script=left.script)


# What one payment can move -------------------------------------------------------------------------------------------

GROUP_SCRIPT, OTHER = Purse("old").script, Purse("new").script


def account(*amounts: int) -> Account:
    coins = (Coin(f"{at:064x}", 1, Sats(amount), GROUP_SCRIPT, 100 + at) for at, amount in enumerate(amounts))
    return Account(GROUP_SCRIPT, 1_000, tuple(coins))


@pytest.mark.parametrize("rate", [1, 7, 500])
@pytest.mark.parametrize("amounts", [(5_000_000,), (1_000, 3_000_000, 2_000_000), (400_000,) * MAX_INPUTS])
def test_what_is_planned_can_be_paid_until_the_fee_has_doubled(amounts: tuple[int, ...], rate: int) -> None:
    planned, nobody = moving.plan(account(*amounts), OTHER, rate), PublicKey(bytes(74))
    for now in (1, rate, 2 * rate):
        asked = Payment(
            BlockHash(bytes(32)),
            BlockHash(b""),
            nobody,
            "",
            "",
            seat(bytes(32)),
            OTHER,
            planned.amount,
            planned.fee_cap,
            0,
        )
        made = policy.build(asked, account(*amounts), now)
        assert made.change + made.fee == sum(coin.amount for coin in made.coins) - planned.amount
        assert sum(amounts) - planned.amount == planned.left_at_most
        assert (made.fee <= planned.fee_cap, made.change >= scripts.dust_limit(GROUP_SCRIPT)) == (True, True)


def test_coins_beyond_what_one_payment_spends_wait_the_smallest_first() -> None:
    amounts = (5_000, *range(10_000, 10_000 + 100 * MAX_INPUTS, 100), 9_000)
    planned = moving.plan(account(*amounts), OTHER, 1)
    assert planned.coins_left == 2
    assert planned.amount + planned.left_at_most == sum(amounts)


def test_what_the_fee_would_eat_is_not_moved() -> None:
    for amounts in ((), (scripts.dust_limit(OTHER),), (900,)):
        with pytest.raises(InsufficientFunds):
            moving.plan(account(*amounts), OTHER, 1)
