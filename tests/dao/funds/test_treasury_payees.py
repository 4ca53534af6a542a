"""Several payees of one transaction: each gets exactly what was approved, in the approved order, or nobody anything."""

import random

import msgspec
import pytest

from overlay.dao.assembly import governance
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin.amounts import MAX_MONEY, Sats
from overlay.dao.bitcoin.transaction import Transaction, TxOutput, parse, serialize
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account
from overlay.dao.funds.policy import Violation
from overlay.dao.funds.treasury import is_paid
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import StatementTooLong
from overlay.trustchain.statements import (
    MAX_FURTHER_PAYEES,
    FurtherPayee,
    MalformedStatement,
    ProposePayment,
    ProposePayments,
    decode,
    encode,
)
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import MINUTE, GroupTown, Member

WELDER, BAKER, MASON, THIEF = (Purse(role).script for role in ("welder", "baker's purse", "mason", "thief"))


async def propose(town: GroupTown, *more: tuple[bytes, int], **changes: object) -> BlockHash:
    """1,500,000 sat to the welder, and so much to others."""
    fields = {
        "group": town.id,
        "title": "Build the pier",
        "reason": "",
        "payee": town.engineer.key,
        "script": WELDER,
        "amount": 1_500_000,
        "fee_cap": 10_000,
        "deadline": town.clock.now() + 10 * MINUTE,
        "more": tuple(FurtherPayee(town.baker.key, script, amount) for script, amount in more),
    }
    said = ProposePayments(**(fields | changes))  # type: ignore[arg-type]
    return (await town.engineer.ledger.transact(lambda tx: governance.propose_payment(tx, said))).hash


async def approved(town: GroupTown, *more: tuple[bytes, int]) -> BlockHash:
    proposal = await propose(town, *more)
    await town.vote(proposal, farmer="yes", baker="yes", mechanic="yes")
    await town.decide(proposal)
    return proposal


async def seen_by(member: Member, town: GroupTown, proposal: BlockHash) -> tuple[Payment, Account]:
    return member.payment(proposal), await member.account(town.id)


def judge(member: Member, asked: Payment, account: Account, raw: bytes) -> None:
    group = member.group(asked.group)
    policy.judge(member.ledger.db, group, asked, raw, account, member.key, member.clock.now())


async def test_all_payees_are_paid_by_one_transaction_that_all_nodes_know_again(five: GroupTown) -> None:
    proposal = await approved(five, (BAKER, 700_000), (MASON, 400_000))
    await five.step(five.engineer)
    (txid,) = await five.mempool()
    made = parse(bytes.fromhex(await five.rpc("getrawtransaction", txid)))
    await five.mine()
    assert await five.step() == []
    received = [await five.received(script) for script in (WELDER, BAKER, MASON)]
    assert received == [1_500_000, 700_000, 400_000]
    assert all(is_paid(member.ledger.db, proposal) for member in five.all)
    assert [each.script_pubkey for each in made.outputs] == [WELDER, BAKER, MASON, five.script]


async def test_payments_to_one_and_to_several_follow_each_other(five: GroupTown) -> None:
    first = await approved(five, (BAKER, 700_000))
    await five.step(five.engineer)
    await five.mine()
    await five.step()
    second = await five.approved(five.engineer, 300_000)
    assert await five.step(five.engineer) == []
    await five.mine()
    await five.step()
    await five.restart(five.welder)  # what it knows is on disk
    third = await approved(five, (MASON, 600_000))
    await five.step(five.engineer)
    await five.mine()
    assert await five.step() == []
    for member in five.all:
        assert all(is_paid(member.ledger.db, each) for each in (first, second, third))


def swapped(made: Transaction, rng: random.Random) -> Transaction:
    """Something else done to the outputs: another payee, another order, one left out, one more, one halved."""
    outputs = list(made.outputs)
    at = rng.randrange(len(outputs))
    match rng.randrange(6):
        case 0:
            outputs[at] = TxOutput(outputs[at].amount, THIEF)
        case 1:
            outputs[at] = TxOutput(Sats(outputs[at].amount - rng.choice((1, 546, 100_000))), outputs[at].script_pubkey)
        case 2:
            other = rng.choice([each for each in range(len(outputs)) if each != at])
            outputs[at], outputs[other] = outputs[other], outputs[at]
        case 3:
            del outputs[at]
        case 4:
            outputs.insert(at, TxOutput(Sats(rng.choice((1, 330, 10_000))), THIEF))
        case _:
            half = Sats(outputs[at].amount // 2)
            outputs[at : at + 1] = [TxOutput(half, outputs[at].script_pubkey)] * 2
    return msgspec.structs.replace(made, outputs=tuple(outputs))


async def test_a_coordinator_that_changes_any_of_several_outputs_gets_no_share(five: GroupTown) -> None:
    proposal = await approved(five, (BAKER, 700_000), (MASON, 400_000))
    asked, account = await seen_by(five.baker, five, proposal)
    original = policy.build(asked, account, 3)
    judge(five.baker, asked, account, original.raw)
    rng = random.Random(20261121)
    for _ in range(1_000):
        raw = serialize(swapped(original.transaction, rng))
        with pytest.raises(Violation):
            judge(five.baker, asked, account, raw)


async def test_what_cannot_be_paid_to_one_of_them_is_refused_at_once(five: GroupTown) -> None:
    for script, amount, sentence in (
        (BAKER, 329, "between 330 and"),
        (BAKER, MAX_MONEY + 1, "between 330 and"),
        (b"\x6a\x02hi", 1_000, "no address that can be paid"),
        (WELDER, 1_000, "the same address"),
    ):
        with pytest.raises(NotAllowed, match=sentence):
            await propose(five, (MASON, 5_000), (script, amount))


async def test_as_many_payees_as_may_be_fit_into_a_block_and_one_more_does_not(five: GroupTown) -> None:
    many = [(Purse(f"hand {number}").script, 10_000) for number in range(MAX_FURTHER_PAYEES)]
    await propose(five, *many, title="t" * 60, reason="r" * 130)
    with pytest.raises(MalformedStatement):
        await propose(five, *many, (Purse("one more").script, 10_000))
    with pytest.raises(StatementTooLong, match="use shorter texts"):
        await propose(five, *many, reason="ä" * 280)


def test_bytes_of_payments_to_one_stay_as_they_were() -> None:
    key = bytes(74)
    said = ProposePayment(bytes(32), "weld", "", key, WELDER, 1_000, 100, 7)
    kind, raw = encode(said)
    assert decode(kind, raw) == said
    assert raw.startswith(b"\x99\xa7payment")
    with pytest.raises(MalformedStatement):
        encode(ProposePayments(bytes(32), "weld", "", key, WELDER, 1_000, 100, 7, ()))
