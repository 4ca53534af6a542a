"""No coordinator, with all but one of the signers on its side, gets one approval paid twice.

In a group of which two of three sign, the mechanic conspires with nobody in particular: it asks the baker for one
payment and the farmer for another. Neither of them need ever hear of the other.
"""

from dataclasses import replace
from typing import Any

import pytest

from overlay.dao.assembly import chronicle
from overlay.dao.bitcoin.backend import Rejected
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.transaction import parse
from overlay.dao.funds import account, policy
from overlay.dao.funds.treasury import is_paid, signed
from overlay.dao.keyring.messages import AskCommitments
from overlay.network.messages import encode
from overlay.network.network import Refusal
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import RecordPayout
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import BTC, GroupTown

FROM_OLDEST = slice(None)
WELDER = Purse("welder").script


async def sign_with(town: GroupTown, role: str, proposal: BlockHash, fee_rate: int = 1) -> bytes:
    """The mechanic and one other sign; nothing is sent to the Bitcoin network."""
    others = {member.key for member in town.all if member.role not in ("mechanic", role)}
    town.lines.offline |= others
    mechanic, keep = town.mechanic, list[bytes]()

    async def keeps(raw: bytes) -> Any:
        keep.append(raw)

    async def rate() -> int:
        return fee_rate

    mechanic.backend.broadcast, mechanic.backend.fee_rate = keeps, rate  # type: ignore[method-assign]
    try:
        await town.pay(mechanic, proposal)
    finally:
        await mechanic.backend.close()
        mechanic.start(town.lines.line(mechanic.key), town.new_backend())
        town.lines.offline -= others
    return keep[0]


async def send(town: GroupTown, raw: bytes, count: int = 1) -> None:
    await town.rpc("sendrawtransaction", raw.hex())
    await town.mine(count)


async def ask_farmer(town: GroupTown, proposal: BlockHash, coins: slice = FROM_OLDEST) -> None:
    """The mechanic asks the farmer for a commitment to a payment of the proposal from these coins."""
    account = await town.mechanic.account(town.id)
    account = replace(account, coins=account.coins[coins])
    raw = policy.build(town.mechanic.payment(proposal), account, 1).raw
    await town.farmer.signer.commit(town.mechanic.key, encode(AskCommitments(proposal, bytes(16), raw)))


async def test_two_sets_of_signers_get_no_two_transactions_that_can_both_be_mined(three: GroupTown) -> None:
    proposal = await three.approved(three.mechanic)
    first = await sign_with(three, "baker", proposal)
    await three.fund(6_000_000)
    second = await sign_with(three, "farmer", proposal, fee_rate=2)
    await send(three, first)
    with pytest.raises(Rejected):
        await three.farmer.backend.broadcast(second)
    assert await three.received(WELDER) == 1_500_000


async def test_a_payment_from_any_coin_but_the_oldest_is_refused(three: GroupTown) -> None:
    proposal = await three.approved(three.mechanic)
    await sign_with(three, "baker", proposal)
    with pytest.raises(Refusal, match="not the one that this node makes"):
        await ask_farmer(three, proposal, slice(1, None))
    await ask_farmer(three, proposal)


async def test_who_took_no_part_sees_in_the_chain_that_it_is_paid(three: GroupTown) -> None:
    proposal = await three.approved(three.mechanic)
    await send(three, await sign_with(three, "baker", proposal))
    # The baker is never heard of again, and nothing was recorded on the ledger.
    with pytest.raises(Refusal, match="paid already"):
        await ask_farmer(three, proposal)
    assert is_paid(three.farmer.ledger.db, proposal)


async def test_it_sees_so_through_the_payments_that_came_after(three: GroupTown) -> None:
    amounts = (1_500_000, 700_000, 800_000, 900_000)
    proposals = [await three.approved(three.mechanic, amount) for amount in amounts]
    for proposal in proposals:
        await send(three, await sign_with(three, "baker", proposal), 7)
    with pytest.raises(Refusal, match="paid already"):
        await ask_farmer(three, proposals[0])
    assert [is_paid(three.farmer.ledger.db, each) for each in proposals] == [True] * 4


async def test_twins_of_one_amount_and_payee_are_each_paid_once(three: GroupTown) -> None:
    june, july = await three.approved(three.mechanic, title="June"), await three.approved(three.mechanic, title="July")
    await send(three, await sign_with(three, "baker", june))
    farmer = three.farmer
    await farmer.account(three.id)
    assert (is_paid(farmer.ledger.db, june), is_paid(farmer.ledger.db, july)) == (True, False)
    await send(three, await sign_with(three, "farmer", july))
    await farmer.account(three.id)
    assert is_paid(farmer.ledger.db, july)
    assert await three.received(WELDER) == 3_000_000


async def test_a_liars_payout_neither_stops_a_payment_nor_ends_one(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    somebodys = await three.rpc("sendtoaddress", Purse("welder").address, "0.015")
    await three.mine()
    height = await three.rpc("getblockcount")
    for txid in (bytes.fromhex(somebodys), bytes(32)):
        await three.mechanic.say(RecordPayout(proposal, txid, height, (0, 1)))
    await three.tell()
    assert await three.step(three.farmer, three.baker) == []
    assert not is_paid(three.baker.ledger.db, proposal)
    (txid,) = await three.mempool()
    assert signed(three.farmer.ledger.db, proposal).txid == txid  # type: ignore[union-attr]


async def test_a_deposit_that_looks_like_a_payment_of_another_amount_pays_nothing(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    await three.fund(BTC // 100, BTC // 100)
    await three.step(three.baker)
    assert not is_paid(three.baker.ledger.db, proposal)


@pytest.fixture
def short_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock times that a test finds twice at once, as somebody with some minutes finds the real ones twice."""
    monkeypatch.setattr(account, "LOCKTIME_BITS", 5)


@pytest.mark.usefixtures("short_tags")
@pytest.mark.parametrize("lower", [True, False])
async def test_no_proposal_made_to_look_alike_takes_the_payment_from_the_one_that_was_decided(
    three: GroupTown, lower: bool
) -> None:
    decided = await three.approved(three.mechanic)
    alike = await three.ground(three.mechanic, decided, lower=lower)
    await three.tell()
    assert account.tag(alike) == account.tag(decided)
    await send(three, await sign_with(three, "baker", decided))
    with pytest.raises(Refusal, match="paid already"):
        await ask_farmer(three, decided)
    three.clock.time += 100_000  # type: ignore[attr-defined]
    assert await three.step() == []
    assert await three.mempool() == []
    assert is_paid(three.farmer.ledger.db, decided)
    assert await three.received(WELDER) == 1_500_000


@pytest.mark.usefixtures("short_tags")
async def test_whoever_knew_only_the_one_that_looks_alike_when_it_was_paid_does_not_pay_again(three: GroupTown) -> None:
    """The farmer hears of the decision when no reorganisation can undo the payment any more."""
    farmer, mechanic = three.farmer, three.mechanic
    decided = await three.propose(mechanic)
    await three.tell(farmer)
    for member in (three.baker, mechanic):
        await member.vote(decided)
    await three.tell(farmer)
    await three.decide(decided, farmer)
    alike = blocks.by_hash(mechanic.ledger.db, await three.ground(mechanic, decided, lower=True))
    assert alike is not None
    await farmer.ledger.ingest([alike])
    await send(three, await sign_with(three, "baker", decided), chronicle.SETTLED_DEPTH)
    await farmer.account(three.id)
    assert is_paid(farmer.ledger.db, alike.hash)
    await three.tell()
    assert farmer.tally(decided).final
    with pytest.raises(Refusal, match="paid already"):
        await ask_farmer(three, decided)
    assert await three.step() == []
    assert await three.step() == []
    assert await three.mempool() == []
    assert is_paid(farmer.ledger.db, decided)


async def test_a_payment_behind_a_later_one_is_known_when_its_proposal_is_heard_of_at_last(three: GroupTown) -> None:
    """The farmer does not know the first, and no reorganisation can undo the third, which spends its change."""
    farmer, baker, mechanic = three.farmer, three.baker, three.mechanic
    later, last = await three.approved(mechanic, 800_000), await three.approved(mechanic, 900_000)
    first = await three.propose(baker)
    await three.tell(farmer)
    for member in (baker, mechanic):
        await member.vote(first)
    await three.tell(farmer)
    await three.decide(first, farmer)
    await send(three, await sign_with(three, "baker", first))
    for each in (later, last):
        await send(three, await sign_with(three, "baker", each), chronicle.SETTLED_DEPTH)
    await farmer.account(three.id)
    assert is_paid(farmer.ledger.db, last)
    await three.tell()
    assert farmer.tally(first).final
    with pytest.raises(Refusal, match="paid already"):
        await ask_farmer(three, first)
    assert await three.step() == []
    assert await three.mempool() == []
    assert is_paid(farmer.ledger.db, first)


async def test_a_payment_whose_change_is_not_shown_any_more_is_known_by_its_proposal_when_that_is_heard_of(
    three: GroupTown,
) -> None:
    """An Esplora server lists fifty of the transactions that wait, and hides the coins that the others spend."""
    farmer, baker, mechanic = three.farmer, three.baker, three.mechanic
    proposal = await three.propose(baker)
    await three.tell(farmer)
    for member in (baker, mechanic):
        await member.vote(proposal)
    await three.tell(farmer)
    await three.decide(proposal, farmer)
    raw = await sign_with(three, "baker", proposal)
    await send(three, raw)
    await three.fund(6_000_000)
    await farmer.account(three.id)
    shown, paid = farmer.backend.coins, parse(raw).txid

    async def hidden(script: bytes) -> list[Coin]:
        return [coin for coin in await shown(script) if coin.txid != paid]

    farmer.backend.coins = hidden  # type: ignore[method-assign]
    await three.mine()
    three.clock.time += 100_000  # type: ignore[attr-defined]
    await three.tell()
    account = await farmer.account(three.id)
    again = policy.build(farmer.payment(proposal), account, 1).raw
    with pytest.raises(Refusal, match="paid already"):
        await farmer.signer.commit(mechanic.key, encode(AskCommitments(proposal, bytes(16), again)))
    await three.step(farmer)
    assert is_paid(farmer.ledger.db, proposal) or chronicle.mined(farmer.ledger.db, proposal) is not None
    assert not chronicle.is_settled_as_paid(farmer.ledger.db, proposal)
