"""A member's node signs the one transaction that was decided, and no other (invariant 8)."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin, PaymentError, UnsignedPayment
from overlay.dao.bitcoin.transaction import Txid, TxOutput, parse, serialize
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account, tag
from overlay.dao.funds.policy import Violation
from overlay.dao.keyring.messages import MAX_INPUTS, AskCommitments
from overlay.keys import PublicKey
from overlay.network.messages import encode
from overlay.network.network import Refusal
from overlay.trustchain.block import BlockHash
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import GroupTown, Member
from tests.dao.mutations import ATTACKS, THIEF, flipped, legitimate, mutated

TREASURY, PAYEE = Purse("treasury").script, Purse("welder").script
MUTATIONS = 3_000
SENT = 100


def asked_for(amount: int = 1_500_000, fee_cap: int = 10_000, script: bytes = PAYEE) -> Payment:
    id_, key = BlockHash(bytes(range(32))), PublicKey(bytes(74))
    return Payment(id_, BlockHash(bytes(32)), key, "weld", "", key, script, amount, fee_cap, 0)


def holding(*amounts: int) -> Account:
    coins = [Coin(Txid(f"{n:064x}"), 0, Sats(a), TREASURY, n) for n, a in enumerate(amounts, 1)]
    return Account(TREASURY, 200, tuple(coins))


@pytest.fixture
async def case(five: GroupTown) -> tuple[Member, Payment, Account]:
    """A signer that sees a decided payment, and its account with three coins."""
    await five.fund(1_000_000, 700_000)
    proposal = await five.approved(five.engineer)
    return five.baker, five.baker.payment(proposal), await five.baker.account(five.id)


def judged(case: tuple[Member, Payment, Account], raw: bytes) -> UnsignedPayment:
    member, asked, account = case
    group = member.group(asked.group)
    return policy.judge(member.ledger.db, group, asked, raw, account, member.key, member.clock.now())


async def test_the_transaction_that_was_decided_passes(case: tuple[Member, Payment, Account]) -> None:
    _, asked, account = case
    for raw in legitimate(asked, account):
        assert judged(case, raw).raw == raw


async def test_of_thousands_of_changed_transactions_none_passes(case: tuple[Member, Payment, Account]) -> None:
    _, asked, account = case
    rng, original, allowed = random.Random(20261121), policy.build(asked, account, 2), legitimate(asked, account)
    tried = 0
    for _ in range(MUTATIONS):
        raw = mutated(original.transaction, rng) if rng.random() < 0.8 else flipped(original.raw, rng)
        if raw not in allowed:
            tried += 1
            with pytest.raises(Violation):
                judged(case, raw)
    assert tried > MUTATIONS * 0.99


async def test_each_attack_alone_fails(case: tuple[Member, Payment, Account]) -> None:
    _, asked, account = case
    original = policy.build(asked, account, 2).transaction
    for name, attack in ATTACKS.items():
        with pytest.raises(Violation):
            judged(case, serialize(attack(original, random.Random(name))))


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_change_to_any_field_fails(case: tuple[Member, Payment, Account], data: st.DataObject) -> None:
    _, asked, account = case
    original = policy.build(asked, account, 2).transaction
    amount = st.integers(0, 21 * 10**14).map(Sats)
    outputs = st.lists(st.builds(TxOutput, amount, st.sampled_from((PAYEE, TREASURY, THIEF))), max_size=4)
    made = msgspec.structs.replace(
        original,
        outputs=data.draw(st.just(original.outputs) | outputs.map(tuple)),
        version=data.draw(st.just(2) | st.integers(0, 2**31 - 1)),
        locktime=data.draw(st.just(original.locktime) | st.integers(0, 2**32 - 1)),
        inputs=data.draw(st.just(original.inputs) | st.permutations(original.inputs * 2).map(tuple)),
    )
    raw = serialize(made)
    if raw not in legitimate(asked, account):
        with pytest.raises(Violation):
            judged(case, raw)


async def test_a_signer_commits_to_none_of_them_and_promises_nothing(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    asked, account = five.baker.payment(proposal), await five.baker.account(five.id)
    rng, original = random.Random(7), policy.build(asked, account, 2)
    allowed = legitimate(asked, account)
    for number in range(SENT):
        raw = mutated(original.transaction, rng)
        if raw not in allowed:
            ask = AskCommitments(proposal, number.to_bytes(16), raw)
            with pytest.raises(Refusal):
                await five.baker.signer.commit(five.engineer.key, encode(ask))
    assert policy.versions(five.baker.ledger.db, proposal) == []


async def test_below_the_threshold_of_votes_nothing_passes(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", baker="yes", mechanic="abstain", engineer="no")
    await five.decide(proposal)
    asked, account = five.baker.payment(proposal), await five.baker.account(five.id)
    with pytest.raises(Violation, match="2 of 3 yes votes"):
        judged((five.baker, asked, account), policy.build(asked, account, 1).raw)


async def test_before_enough_nodes_have_counted_it_nothing_passes(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", baker="yes", mechanic="yes")
    await five.decide(proposal, five.farmer, five.engineer, five.welder)
    asked, account = five.baker.payment(proposal), await five.baker.account(five.id)
    with pytest.raises(Violation, match="counted by 2 of 3"):
        judged((five.baker, asked, account), policy.build(asked, account, 1).raw)


async def test_a_member_that_said_no_gives_no_share_though_the_others_decided(five: GroupTown) -> None:
    proposal = await five.propose(five.engineer)
    await five.vote(proposal, farmer="yes", mechanic="yes", engineer="yes", baker="no", welder="abstain")
    await five.decide(proposal)
    asked, account = five.baker.payment(proposal), await five.baker.account(five.id)
    raw = policy.build(asked, account, 1).raw
    with pytest.raises(Violation, match="said no"):
        judged((five.baker, asked, account), raw)
    assert judged((five.welder, asked, account), raw).raw == raw


async def test_a_proposal_of_a_stranger_or_of_another_group_never_passes(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    asked, account = five.baker.payment(proposal), await five.baker.account(five.id)
    raw = policy.build(asked, account, 1).raw
    for lie in (replace(asked, proposer=bytes(74)), replace(asked, id=BlockHash(bytes(32)))):
        with pytest.raises(Violation):
            judged((five.baker, lie, account), raw)


def test_every_member_makes_the_same_bytes_whatever_the_order_of_its_coins() -> None:
    account = holding(50_000, 4_000_000, 9_000_000, 9_000_000)
    made = policy.build(asked_for(), account, 3)
    newest_first = Account(TREASURY, 200, (account.coins[0], *account.coins[:0:-1]))
    assert policy.build(asked_for(), newest_first, 3).raw == made.raw
    assert [coin.amount for coin in made.coins] == [50_000, 9_000_000]
    assert made.transaction.locktime == tag(asked_for().id)
    assert (made.fee, made.change) == (3 * made.vsize, 9_050_000 - 1_500_000 - made.fee)


def test_the_virtual_size_is_that_of_the_signed_payment() -> None:
    made = policy.build(asked_for(), holding(1_000_000, 1_000_000, 1_000_000), 1)
    assert made.vsize == policy.vsize(len(made.coins), asked_for(), TREASURY)
    assert parse(made.raw) == made.transaction


@pytest.mark.parametrize(
    ("asked", "account", "rate", "sentence"),
    [
        (asked_for(), holding(), 1, "only 0 sat can be spent"),
        (asked_for(), holding(1_500_000), 1, "only 1500000 sat can be spent"),
        (asked_for(fee_cap=100), holding(5_000_000), 1, "the members allowed 100 sat"),
        (asked_for(amount=329), holding(5_000_000), 1, "would not be relayed"),
        (asked_for(), holding(5_000_000), 0, "would not be relayed"),
        (asked_for(amount=2_000 * MAX_INPUTS), holding(*[2_000] * 200), 1, "only 100000 sat can be spent"),
    ],
    ids=["empty", "not enough", "fee cap", "dust", "no fee", "too many small coins"],
)
def test_what_cannot_be_paid_is_told_in_one_sentence(
    asked: Payment, account: Account, rate: int, sentence: str
) -> None:
    with pytest.raises(PaymentError, match=sentence):
        policy.build(asked, account, rate)


def test_a_payment_leaves_at_least_a_change_that_shows_it() -> None:
    least = scripts.dust_limit(TREASURY)
    fee = policy.vsize(1, asked_for(), TREASURY)
    made = policy.build(asked_for(), holding(1_500_000 + fee + least), 1)
    assert (made.change, len(made.transaction.outputs)) == (least, 2)
    with pytest.raises(PaymentError, match="can be spent"):
        policy.build(asked_for(), holding(1_500_000 + fee + least - 1), 1)


def leased(db: sqlite3.Connection, asked: Payment, now: int, span: int = policy.SESSION_LEASE) -> bool:
    """Whether a node gives its only coin to a payment at some time."""
    unsigned = policy.build(asked, holding(9_000_000), 1)
    try:
        policy.check_promises(db, asked, unsigned, now)
    except Violation:
        return False
    policy.record_promise(db, asked, unsigned, now, span)
    return True


@pytest.fixture
def promises() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(policy.SCHEMA)
        yield db


def test_a_coin_serves_one_payment_at_a_time(promises: sqlite3.Connection) -> None:
    june, july = asked_for(), replace(asked_for(), id=BlockHash(bytes(32)))
    assert leased(promises, june, 0)
    assert leased(promises, june, 1_000)
    assert not leased(promises, july, policy.SESSION_LEASE - 1)
    assert leased(promises, july, policy.SESSION_LEASE)
    assert not leased(promises, june, policy.SESSION_LEASE + 1)


def test_a_coin_is_kept_anew_for_a_payment_that_nobody_competed_with(promises: sqlite3.Connection) -> None:
    june, july = asked_for(), replace(asked_for(), id=BlockHash(bytes(32)))
    again = policy.SESSION_LEASE + policy.REST
    assert leased(promises, june, 0)
    assert leased(promises, june, again)
    assert not leased(promises, july, again + 1)


def test_a_coordinator_that_asks_for_ever_keeps_a_coin_from_nobody(promises: sqlite3.Connection) -> None:
    greedy, patient = asked_for(), replace(asked_for(), id=BlockHash(bytes(32)))
    for span in (policy.SESSION_LEASE, policy.SIGNED_LEASE):
        promises.execute("DELETE FROM treasury_lease")
        granted = []
        for now in range(0, 4 * (policy.SIGNED_LEASE + policy.REST), 1_000):
            leased(promises, greedy, now, span)
            if now % 37_000 == 0 and leased(promises, patient, now):
                granted.append(now)
        assert granted


def test_two_versions_of_a_payment_without_a_common_coin_are_not_both_promised(promises: sqlite3.Connection) -> None:
    asked, first, second = asked_for(), holding(9_000_000), holding(1_000, 8_000_000)
    second = replace(second, coins=second.coins[1:])
    assert leased(promises, asked, 0)
    with pytest.raises(Violation, match="which can still be mined"):
        policy.check_promises(promises, asked, policy.build(asked, second, 1), policy.SIGNED_LEASE * 9)
    promises.execute("INSERT INTO treasury_spent VALUES (?,?,?)", (first.coins[0].txid, 0, bytes(32)))
    policy.check_promises(promises, asked, policy.build(asked, second, 1), policy.SIGNED_LEASE * 9)
