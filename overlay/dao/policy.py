"""What a member's node checks before it signs anything: DESIGN 7, the treasury's last line of defence.

Nothing here believes the coordinator: the approval comes from our own view of the ledger, the coins and their
amounts from our own chain backend, the payee and the amount from the proposal that was voted on.
"""

import sqlite3
from collections.abc import Sequence

from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin, Payee, PaymentError, UnsignedPayment
from overlay.dao.bitcoin.transaction import REPLACEABLE, InvalidTransaction, TxOutput
from overlay.dao.governance import Outcome, tally
from overlay.dao.groups import Charter, Payment

SCHEMA = """
CREATE TABLE IF NOT EXISTS treasury_promise (
    proposal BLOB PRIMARY KEY, txid TEXT NOT NULL, raw BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS treasury_paid (proposal BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS treasury_coin (
    txid TEXT NOT NULL, vout INTEGER NOT NULL, proposal BLOB NOT NULL, PRIMARY KEY (txid, vout)) WITHOUT ROWID;
"""


class Violation(Exception):
    """A transaction that this node does not sign; the message says what was not decided."""


def build(asked: Payment, coins: Sequence[Coin], fee_rate: int, script: bytes) -> UnsignedPayment:
    """The transaction for an approved payment, the same at every member with the same coins and fee rate.

    Raises PaymentError when the coins do not suffice or the fee cap is too low for the fee rate.
    """
    unsigned = payments.build(coins, [Payee(asked.script, Sats(asked.amount))], fee_rate, script)
    if unsigned.fee > asked.fee_cap:
        raise PaymentError(f"the fee would be {unsigned.fee} sat, and the members allowed {asked.fee_cap} sat")
    return unsigned


def judge(
    db: sqlite3.Connection, group: Charter, asked: Payment, raw: bytes, coins: Sequence[Coin], script: bytes, now: int
) -> UnsignedPayment:
    """Check a transaction that a coordinator sent against our own view; returns what would be signed.

    Raises Violation.
    """
    check_approved(db, group, asked, now)
    try:
        unsigned = payments.read(raw, coins, script)
    except (InvalidTransaction, PaymentError) as error:
        raise Violation(f"the transaction is not one of this treasury: {error}") from error
    payee = TxOutput(Sats(asked.amount), asked.script)
    outputs = unsigned.transaction.outputs
    change = outputs[1:]
    if outputs[:1] != (payee,) or len(change) > 1 or any(each.script_pubkey != script for each in change):
        raise Violation("the transaction does not pay exactly what was approved, with the change to the treasury")
    if not 0 < unsigned.fee <= asked.fee_cap:
        raise Violation(f"the fee of {unsigned.fee} sat is over the cap of {asked.fee_cap} sat")
    _check_form(unsigned)
    check_promises(db, asked, unsigned)
    return unsigned


def check_approved(db: sqlite3.Connection, group: Charter, asked: Payment, now: int) -> None:
    """Raises Violation unless our own ledger says that this was approved and not paid."""
    stands = tally(db, group, asked, now)
    if stands.outcome is not Outcome.APPROVED:
        raise Violation(
            f"my ledger shows {stands.count('yes')} of {stands.needed} yes votes: this is {stands.outcome.value}"
        )
    if db.execute("SELECT 1 FROM treasury_paid WHERE proposal = ?", (asked.id,)).fetchone():
        raise Violation("this has been paid already")


def _check_form(unsigned: UnsignedPayment) -> None:
    transaction = unsigned.transaction
    if transaction.version != 2 or transaction.locktime or any(i.sequence != REPLACEABLE for i in transaction.inputs):
        raise Violation("the transaction has a version, lock time or sequence number that was not asked for")


def check_promises(db: sqlite3.Connection, asked: Payment, unsigned: UnsignedPayment) -> None:
    """Raises Violation when another transaction was promised for this proposal, or a coin to another proposal."""
    promised = promise(db, asked.id)
    if promised is not None and promised != unsigned.raw:
        raise Violation("this member has promised another transaction for this proposal")
    for coin in unsigned.coins:
        row = db.execute(
            "SELECT proposal FROM treasury_coin WHERE txid = ? AND vout = ?", (coin.txid, coin.vout)
        ).fetchone()
        if row is not None and row[0] != asked.id:
            raise Violation("a coin of this transaction is promised to another payment")


def promise(db: sqlite3.Connection, proposal: bytes) -> bytes | None:
    """The unsigned transaction that this node promised for a proposal."""
    row = db.execute("SELECT raw FROM treasury_promise WHERE proposal = ?", (proposal,)).fetchone()
    return bytes(row[0]) if row else None


def record_promise(db: sqlite3.Connection, asked: Payment, unsigned: UnsignedPayment) -> None:
    """Bind this node to one transaction per proposal and one proposal per coin, before any share leaves."""
    db.execute(
        "INSERT OR IGNORE INTO treasury_promise VALUES (?,?,?)",
        (asked.id, unsigned.txid, unsigned.raw),
    )
    db.executemany(
        "INSERT OR IGNORE INTO treasury_coin VALUES (?,?,?)",
        [(coin.txid, coin.vout, asked.id) for coin in unsigned.coins],
    )


def free_coins(db: sqlite3.Connection, asked: Payment, coins: Sequence[Coin]) -> list[Coin]:
    """The coins that are promised to no other payment."""
    rows = db.execute("SELECT txid, vout FROM treasury_coin WHERE proposal != ?", (asked.id,))
    taken = {(txid, vout) for txid, vout in rows}
    return [coin for coin in coins if (coin.txid, coin.vout) not in taken]
