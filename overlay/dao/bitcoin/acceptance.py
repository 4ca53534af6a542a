"""Whether the network would take a payment, judged from what is known of it, without asking anybody to judge.

The reasons are Bitcoin Core's words. Scripts are checked where they are taproot key paths, as those of a treasury;
what unlocks any other script, and relative lock times (BIP68), which no payment here has, are for the network to judge.
"""

from collections.abc import Sequence
from typing import NamedTuple

from overlay.dao.bitcoin import scripts, taproot
from overlay.dao.bitcoin.answers import COINBASE_MATURITY
from overlay.dao.bitcoin.backend import Rejected
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.bitcoin.taproot import SighashType
from overlay.dao.bitcoin.transaction import FINAL, MAX_TRANSACTION_BYTES, Transaction, TxOutput

MIN_RELAY_FEE_RATE = 1  # satoshis per virtual byte
# Below this a lock time is a height, from it on seconds since the epoch.
LOCKTIME_THRESHOLD = 500_000_000
SIGNATURE_BYTES = 64


class Spent(NamedTuple):
    """An output that the transaction spends; `height` is None while its own transaction waits."""

    output: TxOutput
    height: int | None
    coinbase: bool


class Rival(NamedTuple):
    """A waiting transaction that spends one of the same outputs."""

    fee: int
    vsize: int


class Surroundings(NamedTuple):
    """What a transaction meets: what it spends, its rivals, and the height and median time of the best block."""

    spent: Sequence[Spent]
    rivals: Sequence[Rival]
    height: int
    median_time: int


def check(transaction: Transaction, around: Surroundings) -> None:
    """Raises Rejected where the network would not take `transaction`."""
    _check_form(transaction)
    _check_final(transaction, around)
    fee = _check_amounts(transaction, around)
    vsize = transaction.vsize
    if fee < vsize * MIN_RELAY_FEE_RATE:
        raise Rejected("min relay fee not met")
    _check_rivals(fee, vsize, around.rivals)
    outputs = [each.output for each in around.spent]
    for index in range(len(outputs)):
        if not _unlocks(transaction, outputs, index):
            raise Rejected("mandatory-script-verify-flag-failed (Invalid Schnorr signature)")


def _check_form(transaction: Transaction) -> None:
    outpoints = {(each.txid, each.vout) for each in transaction.inputs}
    if not outpoints or len(outpoints) != len(transaction.inputs):
        raise Rejected("bad-txns-inputs-duplicate" if outpoints else "bad-txns-vin-empty")
    if not transaction.outputs:
        raise Rejected("bad-txns-vout-empty")
    if transaction.weight > MAX_TRANSACTION_BYTES:
        raise Rejected("tx-size")
    if any(each.amount < scripts.dust_limit(each.script_pubkey) for each in transaction.outputs):
        raise Rejected("dust")


def _check_final(transaction: Transaction, around: Surroundings) -> None:
    limit = around.height + 1 if transaction.locktime < LOCKTIME_THRESHOLD else around.median_time
    if transaction.locktime >= limit and any(each.sequence != FINAL for each in transaction.inputs):
        raise Rejected("non-final")


def _check_amounts(transaction: Transaction, around: Surroundings) -> int:
    for each in around.spent:
        if each.coinbase and (each.height is None or around.height + 1 - each.height < COINBASE_MATURITY):
            raise Rejected("bad-txns-premature-spend-of-coinbase")
    fee = sum(each.output.amount for each in around.spent) - sum(each.amount for each in transaction.outputs)
    if fee < 0:
        raise Rejected("bad-txns-in-belowout")
    return fee


def _check_rivals(fee: int, vsize: int, rivals: Sequence[Rival]) -> None:
    """BIP125 as nodes apply it now: a higher rate than each, and more than all of them and its own relay."""
    if any(fee * each.vsize <= each.fee * vsize for each in rivals):
        raise Rejected("insufficient fee")
    if rivals and fee < sum(each.fee for each in rivals) + vsize * MIN_RELAY_FEE_RATE:
        raise Rejected("insufficient fee")


def _unlocks(transaction: Transaction, outputs: Sequence[TxOutput], index: int) -> bool:
    """Whether an input's witness fits its output, as far as that is looked at."""
    script, witness = outputs[index].script_pubkey, transaction.inputs[index].witness
    if scripts.kind(script) is not ScriptKind.TAPROOT or len(witness) > 1:
        return True
    if not witness or len(witness[0]) not in (SIGNATURE_BYTES, SIGNATURE_BYTES + 1):
        return False
    signature, named = witness[0][:SIGNATURE_BYTES], witness[0][SIGNATURE_BYTES:]
    if named and named[0] not in set(SighashType) - {SighashType.DEFAULT}:
        return False
    hash_type = SighashType(named[0]) if named else SighashType.DEFAULT
    if hash_type & taproot.OUTPUT_MASK == SighashType.SINGLE and index >= len(transaction.outputs):
        return False
    return taproot.verify(script[2:], taproot.signature_hash(transaction, outputs, index, hash_type), signature)
