"""Payments out of taproot key-path coins: chosen, priced and laid out so that every signer gets the same bytes.

Coin selection is largest first (ties: older, then by outpoint): a threshold signature is needed for each input, so
the fewest inputs mean the fewest signing sessions. Coins that cost more to spend than they hold stay where they
are. Outputs are the payees in their given order, then change; change too small to be relayed goes to the fee.
Signatures are BIP340 under SIGHASH_DEFAULT.
"""

from collections.abc import Iterable, Sequence

import msgspec

from overlay.dao.bitcoin import scripts, taproot
from overlay.dao.bitcoin.amounts import InvalidAmount, Sats, checked
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.bitcoin.transaction import (
    MAX_TRANSACTION_BYTES,
    WITNESS_SCALE,
    InvalidTransaction,
    Transaction,
    Txid,
    TxInput,
    TxOutput,
    parse,
    serialize,
    strip,
)

SIGNATURE_BYTES = 64
# A signed key-path input: outpoint 36, empty script 1, sequence 4, four units a byte; witness: count 1, length 1,
# signature 64, one unit a byte.
INPUT_WEIGHT = (36 + 1 + 4) * WITNESS_SCALE + 1 + 1 + SIGNATURE_BYTES
# Bitcoin Core refuses by default to send what pays more than 0.1 bitcoin per 1,000 virtual bytes.
MAX_FEE_RATE = 10_000
# Nodes relay at most 400,000 weight units.
MAX_WEIGHT = MAX_TRANSACTION_BYTES
# Every input is a threshold signing session of its own; 250 also keep the count in one byte.
MAX_INPUTS = 250


class Coin(msgspec.Struct, frozen=True):
    """A confirmed output that can be spent: what BIP341 calls a prevout. `height` is that of its block."""

    txid: Txid
    vout: int
    amount: Sats
    script_pubkey: bytes
    height: int

    @property
    def output(self) -> TxOutput:
        """Amount and script alone, as signature hashes want them."""
        return TxOutput(self.amount, self.script_pubkey)


class Payee(msgspec.Struct, frozen=True):
    """Who is paid, and how much."""

    script_pubkey: bytes
    amount: Sats


class PaymentError(ValueError):
    """A payment that can't be made or does not add up; one sentence says why."""


class InsufficientFunds(PaymentError):
    """The coins do not cover amount and fee. All figures in satoshis."""

    def __init__(self, amount: int, fee: int, available: int) -> None:
        self.amount, self.fee, self.available = amount, fee, available
        super().__init__(
            f"the payment takes {amount + fee} sat ({amount} sat and a fee of {fee} sat), "
            f"and only {available} sat can be spent"
        )


class UnsignedPayment(msgspec.Struct, frozen=True):
    """A transaction that lacks only its signatures, and everything a signer needs to judge it.

    `sighashes[i]` is what the output key of `coins[i]` signs. `change` is 0 where there is no change output;
    otherwise the change is the last output.
    """

    transaction: Transaction
    coins: tuple[Coin, ...]
    fee: Sats
    change: Sats
    sighashes: tuple[bytes, ...]

    @property
    def raw(self) -> bytes:
        """The unsigned transaction in consensus bytes."""
        return serialize(self.transaction)

    @property
    def txid(self) -> Txid:
        """Final already: a witness does not change it."""
        return self.transaction.txid

    @property
    def vsize(self) -> int:
        """Virtual bytes once signed."""
        return signed_vsize(len(self.coins), self.transaction.outputs)


def build(coins: Iterable[Coin], payees: Sequence[Payee], fee_rate: int, change_script: bytes) -> UnsignedPayment:
    """Pay `payees` from `coins` at `fee_rate` satoshis per virtual byte, the rest back to `change_script`.

    The same arguments give the same bytes, whatever the order of `coins`. Raises PaymentError, and InsufficientFunds
    with its figures where the coins do not suffice.
    """
    _check_request(payees, fee_rate)
    outputs = tuple(TxOutput(payee.amount, payee.script_pubkey) for payee in payees)
    chosen = _select(spendable(coins, fee_rate), outputs, fee_rate)
    change = _change(chosen, outputs, fee_rate, change_script)
    if change:
        outputs += (TxOutput(change, change_script),)
    inputs = tuple(TxInput(coin.txid, coin.vout) for coin in chosen)
    return lay_out(Transaction(inputs, outputs), chosen, change)


def read(raw: bytes, coins: Iterable[Coin], change_script: bytes) -> UnsignedPayment:
    """What the unsigned transaction `raw`, made by somebody else, would do to `coins`, our own view of the chain.

    Raises InvalidTransaction for bytes that are none, PaymentError where it spends what is not among `coins` or
    more than they hold. Whether payees, amounts and fee are those that were decided is for the caller to compare.
    """
    transaction = parse(raw)
    if transaction != strip(transaction) or any(each.script_sig for each in transaction.inputs):
        raise InvalidTransaction("the transaction that is to be signed carries signatures already")
    ours = {(coin.txid, coin.vout): coin for coin in coins}
    spent = [ours.get((each.txid, each.vout)) for each in transaction.inputs]
    known = tuple(coin for coin in spent if coin is not None)
    if len(known) != len(spent) or len(set(known)) != len(spent):
        raise PaymentError("the transaction spends a coin that is not ours, or the same coin twice")
    _check_coins(known)
    last = transaction.outputs[-1:] or (TxOutput(Sats(0), b""),)
    change = last[0].amount if last[0].script_pubkey == change_script else Sats(0)
    return lay_out(transaction, known, change)


def attach_signatures(payment: UnsignedPayment, signatures: Sequence[bytes]) -> bytes:
    """The transaction ready to broadcast; one 64-byte signature per coin, in order.

    Raises PaymentError, naming the input, where a signature does not verify under its coin's output key.
    """
    if len(signatures) != len(payment.coins):
        raise PaymentError(f"{len(payment.coins)} inputs need as many signatures, not {len(signatures)}")
    for index, signature in enumerate(signatures):
        key = payment.coins[index].script_pubkey[2:]
        if not taproot.verify(key, payment.sighashes[index], signature):
            raise PaymentError(f"the signature for input {index} does not fit its coin")
    return serialize(_with_witnesses(payment.transaction, signatures))


def with_placeholders(payment: UnsignedPayment) -> bytes:
    """The transaction with 64 zero bytes where each signature belongs: of the right size, and never valid."""
    return serialize(_with_witnesses(payment.transaction, [bytes(SIGNATURE_BYTES)] * len(payment.coins)))


def lay_out(transaction: Transaction, coins: tuple[Coin, ...], change: Sats) -> UnsignedPayment:
    """`transaction`, which spends `coins` in their order, with its fee and what is signed; raises PaymentError."""
    fee = _total(coins) - sum(output.amount for output in transaction.outputs)
    if fee < 0:
        raise PaymentError(f"the transaction pays out {-fee} sat more than its coins hold")
    spent = [coin.output for coin in coins]
    sighashes = tuple(taproot.signature_hash(transaction, spent, index) for index in range(len(coins)))
    return UnsignedPayment(transaction, coins, Sats(fee), change, sighashes)


def _with_witnesses(transaction: Transaction, signatures: Sequence[bytes]) -> Transaction:
    pairs = zip(transaction.inputs, signatures, strict=True)
    signed = tuple(msgspec.structs.replace(each, witness=(signature,)) for each, signature in pairs)
    return msgspec.structs.replace(transaction, inputs=signed)


def _check_request(payees: Sequence[Payee], fee_rate: int) -> None:
    if not payees:
        raise PaymentError("a payment needs somebody to pay")
    check_fee_rate(fee_rate)
    for payee in payees:
        _check_payee(payee)
    _checked_total(payee.amount for payee in payees)


def check_fee_rate(fee_rate: int) -> None:
    """Raises PaymentError for a rate that nodes would not relay, or nobody means."""
    if not 1 <= fee_rate <= MAX_FEE_RATE:
        raise PaymentError(f"a fee rate is between 1 and {MAX_FEE_RATE} sat/vB, not {fee_rate}")


def _check_payee(payee: Payee) -> None:
    least = scripts.dust_limit(payee.script_pubkey)
    if payee.amount < least:
        raise PaymentError(f"{payee.amount} sat would not be relayed: this payee takes at least {least} sat")


def _checked_total(amounts: Iterable[int]) -> Sats:
    try:
        return checked(sum(checked(amount) for amount in amounts))
    except InvalidAmount as error:
        raise PaymentError(str(error)) from error


def _check_coins(coins: Sequence[Coin]) -> None:
    if len({(coin.txid, coin.vout) for coin in coins}) != len(coins):
        raise PaymentError("the same coin was given twice")
    if any(scripts.kind(coin.script_pubkey) is not ScriptKind.TAPROOT for coin in coins):
        raise PaymentError("only taproot coins can be spent by the treasury")
    _checked_total(coin.amount for coin in coins)


def spendable(coins: Iterable[Coin], fee_rate: int) -> list[Coin]:
    """Coins worth more than their own input costs, in the order of selection."""
    given = list(coins)
    _check_coins(given)
    worth = [coin for coin in given if coin.amount * WITNESS_SCALE > INPUT_WEIGHT * fee_rate]
    return sorted(worth, key=lambda coin: (-coin.amount, coin.height, coin.txid, coin.vout))


def _select(coins: Sequence[Coin], outputs: Sequence[TxOutput], fee_rate: int) -> tuple[Coin, ...]:
    wanted = _total(outputs)
    for count in range(1, len(coins) + 1):
        if _total(coins[:count]) >= wanted + signed_vsize(count, outputs) * fee_rate:
            return tuple(coins[:count])
    fee = signed_vsize(max(1, len(coins)), outputs) * fee_rate
    raise InsufficientFunds(wanted, fee, _total(coins))


def _change(chosen: Sequence[Coin], outputs: Sequence[TxOutput], fee_rate: int, change_script: bytes) -> Sats:
    with_change = (*outputs, TxOutput(Sats(0), change_script))
    rest = _total(chosen) - _total(outputs) - signed_vsize(len(chosen), with_change) * fee_rate
    return Sats(rest if rest >= scripts.dust_limit(change_script) else 0)


def _total(parts: Iterable[Coin | TxOutput]) -> int:
    return sum(part.amount for part in parts)


def signed_vsize(inputs: int, outputs: Sequence[TxOutput]) -> int:
    """Virtual bytes of a signed payment with so many inputs; raises PaymentError beyond what nodes relay."""
    stripped = 4 + 4 + 1 + (1 if len(outputs) < 0xFD else 3)
    stripped += sum(len(taproot.serialize_output(output)) for output in outputs)
    weight = stripped * WITNESS_SCALE + 2 + inputs * INPUT_WEIGHT
    if weight > MAX_WEIGHT or inputs > MAX_INPUTS:
        raise PaymentError(f"the payment has {inputs} inputs and {len(outputs)} payees, more than fit into one")
    return -(-weight // WITNESS_SCALE)
