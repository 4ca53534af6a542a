"""What members see of a treasury, what a dry run shows, and payments handed about as PSBTs."""

import base64

import pytest

from overlay.dao.bitcoin import address
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.backend import ChainBackend, TransactionStatus
from overlay.dao.bitcoin.bitcoind import MAX_WAITING_READ
from overlay.dao.bitcoin.esplora import EsploraBackend
from overlay.dao.bitcoin.networks import Network as Chain
from overlay.dao.bitcoin.payment import InsufficientFunds, PaymentError
from overlay.dao.bitcoin.psbt import Psbt
from overlay.dao.bitcoin.psbt_maps import InvalidPsbt
from overlay.dao.bitcoin.transaction import Txid, parse, serialize, strip
from overlay.dao.funds import handover, labels, policy, rehearsal, wallet
from overlay.dao.funds.policy import Violation
from overlay.dao.funds.rehearsal import Rehearsal
from overlay.dao.funds.treasury import Signed, signed
from overlay.trustchain.block import BlockHash
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import GroupTown, Member


def place_of(town: GroupTown) -> str:
    return address.encode(town.script, Chain.REGTEST) or ""


def bare(done: Signed) -> bytes:
    return serialize(strip(parse(done.raw)))


async def listed(town: GroupTown, member: Member) -> list[wallet.Entry]:
    group, account = member.group(town.id), await member.account(town.id)
    return await wallet.history(member.ledger.db, group, account, member.backend)


async def rehearsed(town: GroupTown, member: Member, proposal: BlockHash) -> Rehearsal:
    group, account = member.group(town.id), await member.account(town.id)
    asked, now = member.payment(proposal), member.clock.now()
    return await rehearsal.rehearse(member.ledger.db, group, asked, account, member.backend, member.key, now)


async def exported(town: GroupTown, member: Member, proposal: BlockHash) -> bytes:
    asked, account = member.payment(proposal), await member.account(town.id)
    return handover.export(policy.build(asked, account, 2), member.share(town.id).internal_key)


async def test_the_history_tells_what_came_and_what_was_paid_at_which_fee(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    await three.step(three.farmer)
    await three.mine()
    await three.step()
    paid, second, first = await listed(three, three.baker)
    assert (first.amount, second.amount, first.proposal) == (5_000_000, 4_000_000, None)
    assert (paid.amount, paid.proposal, paid.height) == (1_500_000, proposal, second.height + 1)
    account = await three.baker.account(three.id)
    assert paid.fee == 9_000_000 - 1_500_000 - sum(coin.amount for coin in account.coins)


async def test_a_new_device_finds_what_its_chain_shows_and_says_what_it_does_not_know(three: GroupTown) -> None:
    await three.approved(three.farmer)
    await three.step(three.farmer)
    await three.mine()
    await three.step()
    await three.stop(three.baker)
    (three.folder / "baker.db").unlink()
    recovery = three.farmer.ledger.db.execute("SELECT * FROM custody_recovery").fetchone()
    await three.restart_from_nothing(three.baker)
    insert = "INSERT OR REPLACE INTO custody_recovery VALUES (?,?)"
    await three.baker.ledger.transact(lambda tx: tx.db.execute(insert, recovery).rowcount)
    paid, *received = await listed(three, three.baker)
    assert (paid.amount, paid.fee) == (1_500_000, 154)
    assert [each.amount for each in received] == [4_000_000, 5_000_000]
    find = three.baker.backend.transaction

    async def forgetful(txid: Txid, since: int | None = None) -> TransactionStatus | None:
        return None if txid == received[-1].txid else await find(txid, since)

    three.baker.backend.transaction = forgetful  # type: ignore[method-assign]
    paid, *received = await listed(three, three.baker)
    assert (paid.amount, paid.fee) == (1_500_000, None)
    assert [each.amount for each in received] == [4_000_000]


async def test_what_waits_is_shown_apart_from_what_is_held(three: GroupTown) -> None:
    script, backend = three.script, three.baker.backend
    account = await three.baker.account(three.id)
    await three.rpc("sendtoaddress", place_of(three), "0.00700000")
    coming = await backend.waiting(script)
    assert coming is not None
    assert wallet.unconfirmed(account.coins, coming, script) == 700_000
    proposal = await three.approved(three.farmer)
    await three.step(three.farmer)
    both = await backend.waiting(script)
    assert both is not None
    done = signed(three.farmer.ledger.db, proposal)
    assert done is not None
    fee = payments.read(bare(done), account.coins, script).fee
    assert wallet.unconfirmed(account.coins, both, script) == 700_000 - 1_500_000 - fee
    await three.mine()
    assert await backend.waiting(script) == []


async def test_both_backends_show_the_same_that_waits(three: GroupTown) -> None:
    await three.rpc("sendtoaddress", place_of(three), "0.00700000")
    await three.rpc("sendtoaddress", Purse("stranger").address, "0.00100000")
    other: ChainBackend = EsploraBackend(three.service.esplora_url, Chain.REGTEST)
    found = await other.waiting(three.script)
    assert found is not None
    assert len(found) == 1
    assert found == await three.baker.backend.waiting(three.script)
    await other.close()


async def test_a_full_mempool_is_not_gone_through(three: GroupTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overlay.dao.bitcoin.bitcoind.MAX_WAITING_READ", 0)
    await three.rpc("sendtoaddress", place_of(three), "0.00700000")
    assert await three.baker.backend.waiting(three.script) is None
    assert MAX_WAITING_READ == 200


async def test_an_estimate_is_what_the_payment_then_costs(three: GroupTown) -> None:
    account = await three.baker.account(three.id)
    told = wallet.estimate(1_500_000, account, 3)
    made = policy.build(three.baker.payment(await three.propose(three.baker)), account, 3)
    assert (told.inputs, told.vsize, told.fee) == (len(made.coins), made.vsize, made.fee)
    with pytest.raises(InsufficientFunds, match="only 9000000 sat can be spent"):
        wallet.estimate(9_000_000, account, 3)


async def test_a_dry_run_shows_what_is_then_signed_to_the_byte(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    run = await rehearsed(three, three.baker, proposal)
    assert [each.problem for each in run.checks] == [""] * 4
    assert policy.versions(three.baker.ledger.db, proposal) == []
    done = await three.pay(three.farmer, proposal)
    assert bare(done) == run.unsigned.raw


async def test_a_dry_run_names_what_is_missing(three: GroupTown) -> None:
    proposal = await three.propose(three.farmer)
    run = await rehearsed(three, three.farmer, proposal)
    assert "0 of 2 yes votes" in run.checks[0].problem
    assert [each.problem for each in run.checks[1:]] == ["", "", ""]


async def test_a_dry_run_tells_what_the_bitcoin_node_finds_wrong(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    await three.pay(three.farmer, proposal)
    run = await rehearsed(three, three.baker, proposal)
    assert run.checks[3].problem == "this very payment has been signed and waits to be mined"


async def test_a_dry_run_tells_what_the_network_would_not_take(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    await three.pay(three.farmer, proposal)

    async def dearer() -> int:
        return 2

    three.baker.backend.fee_rate = dearer  # type: ignore[method-assign]
    assert (await rehearsed(three, three.baker, proposal)).checks[3].problem == ""
    later = await three.approved(three.farmer, 900_000)
    three.baker.backend.fee_rate = three.mechanic.backend.fee_rate  # type: ignore[method-assign]
    run = await rehearsed(three, three.baker, later)
    assert "promised to another payment" in run.checks[2].problem
    assert "insufficient fee" in run.checks[3].problem


async def test_a_dry_run_of_what_cannot_be_paid_says_why(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer, fee_cap=1)
    with pytest.raises(PaymentError, match="the members allowed 1 sat"):
        await rehearsed(three, three.baker, proposal)


async def test_a_psbt_of_the_decided_payment_is_told_from_any_other(three: GroupTown) -> None:
    first, other = await three.approved(three.farmer), await three.approved(three.farmer, 900_000)
    raw = await exported(three, three.farmer, first)
    baker, account = three.baker, await three.baker.account(three.id)

    def judged(proposal: BlockHash, told: Psbt) -> bytes:
        group, asked = baker.group(three.id), baker.payment(proposal)
        return handover.judge(baker.ledger.db, group, asked, told, account, baker.key, baker.clock.now()).raw

    told = handover.read(raw)
    assert parse(judged(first, told)) == told.transaction
    assert handover.read(base64.b64encode(raw) + b"\n") == told
    with pytest.raises(Violation, match="does not pay exactly what was approved"):
        judged(other, told)


async def test_a_psbt_that_lies_about_a_coin_is_refused(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    raw = await exported(three, three.farmer, proposal)
    baker, account = three.baker, await three.baker.account(three.id)
    amount = account.coins[0].amount
    lie = raw.replace(amount.to_bytes(8, "little"), Sats(amount - 1).to_bytes(8, "little"))
    assert lie != raw
    group, asked = baker.group(three.id), baker.payment(proposal)
    with pytest.raises(Violation, match="tells other amounts"):
        handover.judge(baker.ledger.db, group, asked, handover.read(lie), account, baker.key, baker.clock.now())


async def test_a_signed_payment_travels_as_a_psbt_and_is_sent_by_another(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    send = three.farmer.backend.broadcast

    async def unplugged(raw: bytes) -> str:
        return "lost"

    three.farmer.backend.broadcast = unplugged  # type: ignore[method-assign,assignment]
    done = await three.pay(three.farmer, proposal)
    three.farmer.backend.broadcast = send  # type: ignore[method-assign]
    assert await three.mempool() == []
    account, share = await three.farmer.account(three.id), three.farmer.share(three.id)
    told = handover.read(handover.export_signed(done.raw, account, share.internal_key))
    baker = three.baker
    group, asked = baker.group(three.id), baker.payment(proposal)
    seen = await baker.account(three.id)
    unsigned = handover.judge(baker.ledger.db, group, asked, told, seen, baker.key, baker.clock.now())
    await baker.treasury.send(asked, Signed(unsigned.txid, handover.finish(told, unsigned), ()))
    assert await three.mempool() == [done.txid]


async def test_a_psbt_without_signatures_is_not_finished(three: GroupTown) -> None:
    proposal = await three.approved(three.farmer)
    raw = await exported(three, three.farmer, proposal)
    account = await three.farmer.account(three.id)
    unsigned = policy.build(three.farmer.payment(proposal), account, 2)
    with pytest.raises(InvalidPsbt, match="1 of 1 inputs are not signed"):
        handover.finish(handover.read(raw), unsigned)


@pytest.mark.parametrize("given", [b"", b"no psbt!", b"psbt\xff", base64.b64encode(b"psbt\xff\x00"), b"\xff" * 40])
def test_what_is_no_psbt_is_refused(given: bytes) -> None:
    with pytest.raises(InvalidPsbt):
        handover.read(given)


async def test_a_label_is_ones_own_and_can_be_taken_away(three: GroupTown) -> None:
    db = three.baker.ledger.db
    for text in ("rent", "rent of the hall", ""):
        await three.baker.ledger.transact(lambda tx, text=text: labels.write(tx.db, three.id, text))  # type: ignore[misc]
        assert labels.label(db, three.id) == text
    assert labels.label(three.farmer.ledger.db, three.id) == ""
