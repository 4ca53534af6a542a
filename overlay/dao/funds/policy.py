"""What a member's node checks before it signs anything: docs/treasury.md, the treasury's last line of defence.

Nothing here believes the coordinator: the approval comes from our own view of the ledger, the coins and their
amounts from our own chain backend, the payee and the amount from the proposal that was voted on. From these every
node makes the payment itself, and signs only a transaction that is the same to the byte; all that a coordinator
chooses is a whole number of satoshis per virtual byte, up to the fee cap.

**Why nothing is paid twice**, even where a coordinator and all but one of the signers conspire: two sets of signers
need not have an honest member in common, so what one of them promised cannot bind the other. The chain does. Every
payment spends the oldest coin, so two payments signed at one state of the chain exclude each other, and a state in
which the oldest coin is gone shows by its change which proposal the coin went to (`account`).
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from overlay.dao.assembly import chronicle, limits
from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.proposals import Payment
from overlay.dao.assembly.tallies import Tally, tally
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin, InsufficientFunds, PaymentError, UnsignedPayment
from overlay.dao.bitcoin.transaction import WITNESS_SCALE, InvalidTransaction, TxInput, TxOutput, parse, serialize
from overlay.dao.bitcoin.transaction import Transaction as BitcoinTransaction
from overlay.dao.funds.account import Account, mined_as_another, tag
from overlay.dao.keyring.messages import MAX_INPUTS
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash

PROMISES = """
CREATE TABLE IF NOT EXISTS treasury_version (
    proposal BLOB NOT NULL, txid TEXT NOT NULL, raw BLOB NOT NULL, PRIMARY KEY (proposal, txid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS treasury_lease (
    txid TEXT NOT NULL, vout INTEGER NOT NULL, proposal BLOB NOT NULL, since INTEGER NOT NULL, span INTEGER NOT NULL,
    PRIMARY KEY (txid, vout)) WITHOUT ROWID;
"""
SCHEMA = chronicle.SCHEMA + PROMISES

# How long (milliseconds) a coin is kept for one payment: a session, and once a share has left, until the transaction is
# surely in the mempool. Then another payment has as long to take it, so that none can be starved.
SESSION_LEASE, SIGNED_LEASE, REST = 15_000, 60_000, 60_000


class Violation(Exception):
    """A transaction that this node does not sign; the message says what was not decided."""


@dataclass(frozen=True, slots=True)
class _Lease:
    """Whom a coin was promised to, and from when until when (milliseconds)."""

    proposal: bytes
    since: int
    span: int

    @property
    def until(self) -> int:
        return self.since + self.span


def build(asked: Payment, account: Account, fee_rate: int) -> UnsignedPayment:
    """The payment of a proposal: the same bytes at every member that sees the same coins.

    It spends the oldest coin, then the largest as far as they are needed. Raises PaymentError when that cannot be
    done: for lack of coins, for the fee cap, for an amount that is not relayed.
    """
    dust = [each.amount for each in asked.payees if each.amount < scripts.dust_limit(each.script)]
    if dust or not 1 <= fee_rate <= payments.MAX_FEE_RATE:
        told = dust[0] if dust else asked.amount
        raise PaymentError(f"{told} sat at {fee_rate} sat/vB would not be relayed to this payee")
    chosen, fee = _select(asked, account, fee_rate)
    if fee > asked.fee_cap:
        raise PaymentError(f"the fee would be {fee} sat, and the members allowed {asked.fee_cap} sat")
    return _lay_out(asked, chosen, account.script, sum(coin.amount for coin in chosen) - asked.total - fee)


def outputs(asked: Payment) -> tuple[TxOutput, ...]:
    """What the payees get, in the order in which the proposal names them; the change follows them."""
    return tuple(TxOutput(Sats(each.amount), each.script) for each in asked.payees)


def judge(
    db: sqlite3.Connection, group: Charter, asked: Payment, raw: bytes, account: Account, me: PublicKey, now: int
) -> UnsignedPayment:
    """Check a transaction that a coordinator sent against our own view; returns what would be signed.

    Raises Violation.
    """
    check_approved(db, group, asked, me, now)
    try:
        found = payments.read(raw, account.coins, account.script)
        if found.transaction.outputs[:-1] != outputs(asked):
            raise Violation("the transaction does not pay exactly what was approved")
        expected = build(asked, account, found.fee // found.vsize)
    except (InvalidTransaction, PaymentError) as error:
        raise Violation(f"the transaction is not one of this treasury: {error}") from error
    if expected.raw != raw:
        raise Violation("the transaction is not the one that this node makes for what was approved")
    check_limits(db, group, asked, account.height)
    check_promises(db, asked, expected, now)
    return expected


def check_approved(db: sqlite3.Connection, group: Charter, asked: Payment, me: PublicKey, now: int) -> Tally:
    """Raises Violation unless our own ledger calls this decided, our chain unpaid, and we have not said no."""
    stands = tally(db, group, asked, now)
    if not stands.final:
        raise Violation(
            f"my ledger shows {stands.count('yes')} of {stands.needed} yes votes, counted by {len(stands.deciders)} of"
            f" {group.threshold} members' nodes: this is {stands.outcome.value}, and not decided"
        )
    if stands.choice_of(me) == "no":
        raise Violation("this member said no, and so gives no share")
    if now < stands.due:
        raise Violation(
            "the charter lets some time pass between the decision and the payment, and it has not passed yet"
        )
    if chronicle.mined(db, asked.id) is not None or mined_as_another(db, group, asked) is not None:
        raise Violation("this has been paid already")
    return stands


def check_limits(db: sqlite3.Connection, group: Charter, asked: Payment, height: int) -> None:
    """Raises Violation when our chain, at `height`, has shown so many payments that this one breaks the charter."""
    beyond = limits.excess_of(db, group, asked, height)
    if beyond is not None:
        raise Violation(beyond)


def record_promise(db: sqlite3.Connection, asked: Payment, unsigned: UnsignedPayment, now: int, span: int) -> None:
    """On disk before a nonce commitment leaves: which version we may sign, and that its coins are taken for a while."""
    db.execute("INSERT OR IGNORE INTO treasury_version VALUES (?,?,?)", (asked.id, unsigned.txid, unsigned.raw))
    for coin in unsigned.coins:
        lease = _lease(db, coin.txid, coin.vout)
        since = lease.since if lease and lease.proposal == asked.id and now < lease.until + REST else now
        row = (coin.txid, coin.vout, asked.id, since, span if lease is None or since == now else max(span, lease.span))
        db.execute("INSERT OR REPLACE INTO treasury_lease VALUES (?,?,?,?,?)", row)


def versions(db: sqlite3.Connection, proposal: bytes) -> list[BitcoinTransaction]:
    """The transactions that this node has promised to sign for a proposal."""
    rows = db.execute("SELECT raw FROM treasury_version WHERE proposal = ? ORDER BY txid", (proposal,))
    return [parse(raw) for (raw,) in rows]


def check_promises(db: sqlite3.Connection, asked: Payment, unsigned: UnsignedPayment, now: int) -> None:
    """Versions of one payment exclude each other by a common coin; a coin serves one payment at a time.

    Raises Violation.
    """
    coins = {(coin.txid, coin.vout) for coin in unsigned.coins}
    for version in versions(db, asked.id):
        spends = {(each.txid, each.vout) for each in version.inputs}
        if not spends & coins and not any(chronicle.is_spent(db, *each) for each in spends):
            raise Violation("this member has promised another transaction for this proposal, which can still be mined")
    for lease in (found for coin in coins if (found := _lease(db, *coin))):
        if lease.proposal != asked.id and now < lease.until:
            raise Violation("a coin of this transaction is promised to another payment, which comes first")


def promised_to(db: sqlite3.Connection, coin: Coin, now: int) -> BlockHash | None:
    """The proposal that this node keeps a coin for at the moment, if any."""
    lease = _lease(db, coin.txid, coin.vout)
    return BlockHash(lease.proposal) if lease is not None and now < lease.until else None


def _lease(db: sqlite3.Connection, txid: str, vout: int) -> _Lease | None:
    query = "SELECT proposal, since, span FROM treasury_lease WHERE txid = ? AND vout = ?"
    row = db.execute(query, (txid, vout)).fetchone()
    return _Lease(*row) if row else None


def _select(asked: Payment, account: Account, fee_rate: int) -> tuple[tuple[Coin, ...], int]:
    """The coins, and the fee. The change is never too small to be relayed: it shows every member what was paid."""
    oldest, rest = account.coins[:1], account.coins[1:]
    ordered = (*oldest, *sorted(rest, key=lambda coin: (-coin.amount, coin.height, coin.txid, coin.vout)))
    least, fee = scripts.dust_limit(account.script), 0
    for count in range(1, min(len(ordered), MAX_INPUTS) + 1):
        chosen = ordered[:count]
        fee, held = fee_rate * vsize(count, asked, account.script), sum(coin.amount for coin in chosen)
        if held >= asked.total + fee + least:
            return chosen, fee
    raise InsufficientFunds(asked.total + least, fee, sum(coin.amount for coin in ordered[:MAX_INPUTS]))


def vsize(inputs: int, asked: Payment, change: bytes) -> int:
    """Virtual bytes of a signed payment: 10 and a half for the frame, 8 and one for each output beside its script."""
    stripped = 4 + 4 + 1 + 1 + sum(8 + 1 + len(script) for script in (*(each.script for each in asked.payees), change))
    return -(-(stripped * WITNESS_SCALE + 2 + inputs * payments.INPUT_WEIGHT) // WITNESS_SCALE)


def _lay_out(asked: Payment, chosen: Sequence[Coin], script: bytes, change: int) -> UnsignedPayment:
    inputs, paid = (
        tuple(TxInput(coin.txid, coin.vout) for coin in chosen),
        (*outputs(asked), TxOutput(Sats(change), script)),
    )
    return payments.read(serialize(BitcoinTransaction(inputs, paid, locktime=tag(asked.id))), chosen, script)
