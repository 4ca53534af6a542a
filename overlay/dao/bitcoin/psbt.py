"""Payments as partially signed transactions (BIP174, taproot fields of BIP371), for other people's wallets.

Of the format's fields those are read that a taproot key path needs. The others that the two BIPs name are passed
over, whatever they say; unknown ones are refused, because they may change what is meant.
"""

from collections.abc import Sequence

import msgspec

from overlay.dao.bitcoin import taproot
from overlay.dao.bitcoin.amounts import InvalidAmount, checked
from overlay.dao.bitcoin.payment import SIGNATURE_BYTES, UnsignedPayment
from overlay.dao.bitcoin.psbt_maps import InvalidPsbt, Map, Reader, compact_size, write_map
from overlay.dao.bitcoin.transaction import (
    MAX_TRANSACTION_BYTES,
    InvalidTransaction,
    Transaction,
    TxOutput,
    parse,
    strip,
)

MAGIC = b"psbt\xff"
# Each input may bring the whole transaction that it spends: ten of the greatest size, as hardware wallets want it.
MAX_PSBT_BYTES = 10 * MAX_TRANSACTION_BYTES
# Global fields.
UNSIGNED_TX, VERSION = 0x00, 0xFB
# Fields of an input.
NON_WITNESS_UTXO, WITNESS_UTXO, SIGHASH_TYPE, FINAL_WITNESS = 0x00, 0x01, 0x03, 0x08
TAP_KEY_SIG, TAP_INTERNAL_KEY, TAP_MERKLE_ROOT = 0x13, 0x17, 0x18
# A field of an output.
OUT_TAP_INTERNAL_KEY = 0x05
# All that BIP174 version 0 and BIP371 name, and the proprietary ones.
GLOBAL_FIELDS = {UNSIGNED_TX, 0x01, VERSION, 0xFC}
INPUT_FIELDS = {*range(0x0E), *range(0x13, 0x19), 0xFC}
OUTPUT_FIELDS = {*range(0x03), *range(0x05, 0x08), 0xFC}
# Those that are read have a bare key, so none comes twice.
GLOBAL_SINGLE = {UNSIGNED_TX, VERSION}
INPUT_SINGLE = {
    NON_WITNESS_UTXO, WITNESS_UTXO, SIGHASH_TYPE, FINAL_WITNESS, TAP_KEY_SIG, TAP_INTERNAL_KEY, TAP_MERKLE_ROOT,
}  # fmt: skip
OUTPUT_SINGLE = {OUT_TAP_INTERNAL_KEY}


class PsbtInput(msgspec.Struct, frozen=True):
    """What is told of one input: the output it spends, and key and signature if they are there."""

    spent: TxOutput
    internal_key: bytes | None = None
    signature: bytes | None = None


class Psbt(msgspec.Struct, frozen=True):
    """An unsigned transaction and its inputs. Nothing of it is true before it was compared with one's own view."""

    transaction: Transaction
    inputs: tuple[PsbtInput, ...]


def to_psbt(unsigned: UnsignedPayment, internal_key: bytes, signatures: Sequence[bytes] = ()) -> bytes:
    """`unsigned` for the signer whose x-only `internal_key` is under all its coins, with `signatures` or none.

    Raises InvalidPsbt where that key is not theirs.
    """
    script = taproot.script_pubkey(taproot.output_key(internal_key).key)
    if any(coin.script_pubkey != script for coin in unsigned.coins):
        raise InvalidPsbt("the key is not that of the coins")
    if len(signatures) not in (0, len(unsigned.coins)):
        raise InvalidPsbt(f"{len(unsigned.coins)} inputs need as many signatures, not {len(signatures)}")
    parts = [MAGIC, write_map([(UNSIGNED_TX, unsigned.raw)])]
    for index, coin in enumerate(unsigned.coins):
        fields = [(WITNESS_UTXO, taproot.serialize_output(coin.output)), (TAP_INTERNAL_KEY, internal_key)]
        fields += [(TAP_KEY_SIG, signatures[index])] if signatures else []
        parts.append(write_map(fields))
    ours = [(OUT_TAP_INTERNAL_KEY, internal_key)]
    parts += [write_map(ours if each.script_pubkey == script else []) for each in unsigned.transaction.outputs]
    return b"".join(parts)


def from_psbt(raw: bytes) -> Psbt:
    """What `raw` says; raises InvalidPsbt for anything that is not one whole PSBT of version 0."""
    if len(raw) > MAX_PSBT_BYTES or not raw.startswith(MAGIC):
        raise InvalidPsbt("these bytes are no partially signed transaction")
    reader = Reader(raw, len(MAGIC))
    transaction = _transaction(reader.map(GLOBAL_FIELDS, GLOBAL_SINGLE))
    count = len(transaction.inputs)
    inputs = tuple(_input(reader.map(INPUT_FIELDS, INPUT_SINGLE), transaction, index) for index in range(count))
    for _ in transaction.outputs:
        reader.map(OUTPUT_FIELDS, OUTPUT_SINGLE)
    reader.end()
    return Psbt(transaction, inputs)


def signatures_for(psbt: Psbt, unsigned: UnsignedPayment) -> list[bytes]:
    """The signatures that somebody put into a PSBT of `unsigned`, for `payment.attach_signatures`, which checks them.

    Raises InvalidPsbt where it is of another transaction, tells other coins, or lacks one.
    """
    if psbt.transaction != unsigned.transaction:
        raise InvalidPsbt("the partially signed transaction is another one")
    if tuple(each.spent for each in psbt.inputs) != tuple(coin.output for coin in unsigned.coins):
        raise InvalidPsbt("the partially signed transaction tells other amounts of its coins")
    found = [each.signature for each in psbt.inputs if each.signature is not None]
    if len(found) != len(psbt.inputs):
        raise InvalidPsbt(f"{len(psbt.inputs) - len(found)} of {len(psbt.inputs)} inputs are not signed")
    return found


def _transaction(fields: Map) -> Transaction:
    version = fields.get(bytes([VERSION]), bytes(4))
    if version != bytes(4):
        raise InvalidPsbt("only version 0 of partially signed transactions is understood")
    transaction = _parsed(fields.get(bytes([UNSIGNED_TX]), b""))
    if not transaction.inputs:
        raise InvalidPsbt("the transaction that is to be signed spends nothing")
    if transaction != strip(transaction) or any(each.script_sig for each in transaction.inputs):
        raise InvalidPsbt("the transaction that is to be signed carries signatures already")
    return transaction


def _input(fields: Map, transaction: Transaction, index: int) -> PsbtInput:
    spent = _spent(fields, transaction, index)
    if fields.get(bytes([SIGHASH_TYPE]), bytes(4)) != bytes(4):
        raise InvalidPsbt(f"input {index} asks for another kind of signature than one over everything")
    if bytes([TAP_MERKLE_ROOT]) in fields:
        raise InvalidPsbt(f"input {index} commits to scripts, and no treasury does")
    internal_key = _sized(fields.get(bytes([TAP_INTERNAL_KEY])), taproot.KEY_BYTES, "key")
    signature = _sized(fields.get(bytes([TAP_KEY_SIG])), SIGNATURE_BYTES, "signature")
    final = fields.get(bytes([FINAL_WITNESS]))
    return PsbtInput(spent, internal_key, signature if final is None else _final(final))


def _spent(fields: Map, transaction: Transaction, index: int) -> TxOutput:
    """The output that input `index` spends, told once or twice the same."""
    told, source = fields.get(bytes([WITNESS_UTXO])), transaction.inputs[index]
    whole = None if (raw := fields.get(bytes([NON_WITNESS_UTXO]))) is None else _parsed(raw)
    if whole is not None and (whole.txid != source.txid or source.vout >= len(whole.outputs)):
        raise InvalidPsbt(f"input {index} shows another transaction than the one it spends from")
    outputs = [] if told is None else [_output(told)]
    outputs += [] if whole is None else [whole.outputs[source.vout]]
    if not outputs or outputs[0] != outputs[-1]:
        raise InvalidPsbt(f"input {index} does not say what it spends")
    return outputs[0]


def _output(raw: bytes) -> TxOutput:
    script = raw[8 + len(compact_size(max(len(raw) - 9, 0))) :]
    try:
        output = TxOutput(checked(int.from_bytes(raw[:8], "little")), script)
    except InvalidAmount as error:
        raise InvalidPsbt(str(error)) from error
    # Whatever was cut wrongly above does not come out the same.
    if taproot.serialize_output(output) != raw:
        raise InvalidPsbt("an output that is to be spent is malformed")
    return output


def _parsed(raw: bytes) -> Transaction:
    try:
        return parse(raw)
    except InvalidTransaction as error:
        raise InvalidPsbt(f"the partially signed transaction holds a malformed one: {error}") from error


def _sized(value: bytes | None, size: int, what: str) -> bytes | None:
    if value is not None and len(value) != size:
        raise InvalidPsbt(f"a {what} in the partially signed transaction has {len(value)} bytes instead of {size}")
    return value


def _final(raw: bytes) -> bytes:
    """The signature of a finished key path: a witness of one item."""
    signature = raw[2:]
    if raw[:2] != bytes([1, SIGNATURE_BYTES]) or len(signature) != SIGNATURE_BYTES:
        raise InvalidPsbt("an input is finished otherwise than by one signature")
    return signature
