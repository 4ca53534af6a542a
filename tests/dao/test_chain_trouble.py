"""A chain backend that lies, is unreachable or on another network, and a chain that changes its mind."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from overlay.dao import chronicle
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile
from overlay.dao.bitcoin.networks import Network as Chain
from overlay.dao.proposals import payouts
from overlay.dao.roast import TooFew
from overlay.dao.treasury import is_paid
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
