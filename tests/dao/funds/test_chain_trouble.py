"""A chain backend that lies, is unreachable or on another network, and a chain that changes its mind."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.turns import BUMP_SECONDS, LAST_WAIT
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile
from overlay.dao.bitcoin.networks import Network as Chain
from overlay.dao.bitcoin.payment import PaymentError
from overlay.dao.funds import policy
from overlay.dao.funds.roast import TooFew
from overlay.dao.funds.treasury import is_paid
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import GroupTown, Member

WELDER = Purse("welder").script
Coins = Callable[[bytes], Awaitable[Any]]


def lie(member: Member, amount: int) -> None:
    """Let a member's Bitcoin node report another amount for each coin."""
    truth = member.backend.coins

    async def coins(script: bytes) -> Any:
        return [msgspec.structs.replace(coin, amount=Sats(coin.amount + amount)) for coin in await truth(script)]

    member.backend.coins = coins  # type: ignore[method-assign]


def fail(member: Member) -> None:
    """Let a member's Bitcoin node be unreachable."""

    async def height() -> int:
        raise BackendError("the Bitcoin node cannot be reached")

    member.backend.height = height  # type: ignore[method-assign]


@pytest.mark.parametrize("amount", [-1, 1, 1_000_000])
async def test_signers_whose_chain_lies_about_amounts_only_take_themselves_out(five: GroupTown, amount: int) -> None:
    proposal = await five.approved(five.engineer)
    for liar in (five.farmer, five.baker):
        lie(liar, amount)
    done = await five.pay(five.engineer, proposal)
    assert done.signers == (2, 3, 4)


async def test_a_coordinator_whose_chain_lies_gets_nothing_signed(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    lie(five.engineer, 1_000_000)
    with pytest.raises(TooFew):
        await five.pay(five.engineer, proposal)
    assert await five.mempool() == []
    await five.pay(five.baker, proposal)
    assert len(await five.mempool()) == 1


async def test_a_member_that_cannot_see_the_chain_signs_nothing_and_says_why(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    for member in (five.farmer, five.baker, five.mechanic):
        fail(member)
    with pytest.raises(TooFew, match="the Bitcoin node cannot be reached"):
        await five.pay(five.engineer, proposal)
    assert await five.step(five.farmer) == ["bridge group: the Bitcoin node cannot be reached"]


async def test_a_bitcoin_node_of_another_network_is_told_in_one_sentence(five: GroupTown) -> None:
    await five.approved(five.engineer)
    elsewhere = BitcoindBackend(five.service.url, CookieFile(five.service.cookie_path), Chain.SIGNET)
    await five.engineer.backend.close()
    five.engineer.start(five.lines.line(five.engineer.key), elsewhere)
    (failure,) = await five.step(five.engineer)
    assert "this treasury is on signet" in failure.lower()


async def test_a_reorganisation_takes_back_the_payout_and_it_is_mined_again(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    await five.step(five.engineer)
    await five.mine()
    await five.step()
    await five.tell()
    mined = chronicle.mined(five.farmer.ledger.db, proposal)
    assert mined is not None
    await five.reorganise()
    await five.step()
    assert not any(is_paid(member.ledger.db, proposal) for member in five.all)
    assert len(await five.mempool()) == 1
    await five.mine()
    await five.step()
    await five.tell()
    again = chronicle.mined(five.farmer.ledger.db, proposal)
    assert again is not None
    assert (again.txid, again.height) == (mined.txid, mined.height + 2)
    for member in five.all:
        found = payouts(member.ledger.db, member.group(five.id), proposal)
        assert found[0].height == again.height
    assert await five.received(WELDER) == 1_500_000


async def test_a_deep_payment_is_settled_and_looked_for_no_more(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    await five.step(five.engineer)
    await five.mine(chronicle.SETTLED_DEPTH - 1)
    await five.step()
    assert chronicle.unfinished(five.farmer.ledger.db, five.clock.now()) == [proposal]
    await five.mine()
    await five.step()
    assert chronicle.unfinished(five.farmer.ledger.db, five.clock.now()) == []
    assert is_paid(five.farmer.ledger.db, proposal)


async def test_six_blocks_that_change_take_a_payout_back_and_it_is_made_good(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    await five.step(five.engineer)
    await five.mine(6)
    await five.step()
    await five.tell()
    mined = chronicle.mined(five.farmer.ledger.db, proposal)
    assert mined is not None
    await five.reorganise(length=7, depth=6)
    assert await five.received(WELDER) == 0
    await five.step()
    assert not any(is_paid(member.ledger.db, proposal) for member in five.all)
    await five.mine()
    assert await five.step() == []
    again = chronicle.mined(five.farmer.ledger.db, proposal)
    assert again is not None
    assert (again.txid, again.height) == (mined.txid, mined.height + 7)
    assert await five.received(WELDER) == 1_500_000


def charging(member: Member, rate: int) -> None:
    """Let a member's Bitcoin node recommend this many satoshis per virtual byte."""

    async def fee_rate() -> int:
        return rate

    member.backend.fee_rate = fee_rate  # type: ignore[method-assign]


async def test_in_a_fee_spike_beyond_the_cap_nothing_is_signed_and_it_is_paid_when_it_is_over(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer, fee_cap=1_000)
    charging(five.engineer, 500)
    (failure,) = await five.step(five.engineer)
    assert "the members allowed 1000 sat" in failure
    assert [policy.versions(member.ledger.db, proposal) for member in five.all] == [[]] * 5
    charging(five.engineer, 6)
    five.clock.time += int(LAST_WAIT) * 1_000  # type: ignore[attr-defined]
    assert await five.step(five.engineer) == []
    assert len(await five.mempool()) == 1


async def test_a_waiting_payment_is_replaced_up_to_the_cap_and_its_versions_exclude_each_other(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer, fee_cap=2_000)
    assert await five.step(five.engineer) == []
    (cheap,) = await five.mempool()
    assert await five.step(five.engineer) == []  # from now on it is waited for
    five.clock.time += int(BUMP_SECONDS) * 1_000  # type: ignore[attr-defined]
    charging(five.engineer, 100)
    (failure,) = await five.step(five.engineer)
    assert "the members allowed 2000 sat" in failure
    assert await five.mempool() == [cheap]
    charging(five.engineer, 12)
    five.clock.time += int(LAST_WAIT) * 1_000  # type: ignore[attr-defined]
    assert await five.step(five.engineer) == []
    (dear,) = await five.mempool()
    assert dear != cheap
    first, second = policy.versions(five.farmer.ledger.db, proposal)
    assert {(each.txid, each.vout) for each in first.inputs} & {(each.txid, each.vout) for each in second.inputs}
    await five.mine()
    assert await five.step() == []
    assert await five.received(WELDER) == 1_500_000


@pytest.mark.parametrize("how", ["invented", "hidden", "another script"])
async def test_coins_that_a_chain_invents_or_hides_only_take_its_own_member_out(five: GroupTown, how: str) -> None:
    await five.fund(900_000)
    proposal = await five.approved(five.engineer)
    truth = five.farmer.backend.coins

    async def coins(script: bytes) -> Any:
        told = await truth(script)
        if how == "invented":
            return [msgspec.structs.replace(told[0], vout=told[0].vout + 7, height=1), *told]
        return told[1:] if how == "hidden" else [msgspec.structs.replace(told[0], script_pubkey=WELDER), *told[1:]]

    five.farmer.backend.coins = coins  # type: ignore[method-assign]
    done = await five.pay(five.engineer, proposal)
    assert 0 not in done.signers
    with pytest.raises((TooFew, PaymentError)):
        await five.pay(five.farmer, proposal)
    assert await five.mempool() == [done.txid]
