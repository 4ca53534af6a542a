"""Bitcoin transactions in typed form, and their consensus serialisation (BIP144).

Raw transactions come from peers and chain backends, so `parse` is strict: it accepts exactly what `serialize`
writes, within a size limit. Transaction ids are 64 hex digits in the order that people see them.
"""

import re
from typing import Any, NewType

import msgspec
from bitcoin.core import (
    COutPoint,
    CScriptWitness,
    CTransaction,
    CTxIn,
    CTxInWitness,
    CTxOut,
    CTxWitness,
)
from bitcoin.core.script import CScript
from bitcoin.core.serialize import SerializationError

from overlay.dao.bitcoin.amounts import InvalidAmount, Sats, checked

Txid = NewType("Txid", str)

# Nodes relay up to 400,000 weight units; a witness byte weighs one, so no relayed transaction is longer in bytes.
MAX_TRANSACTION_BYTES = 400_000
WITNESS_SCALE = 4
# BIP125: lower than 0xfffffffe, so that a later decision may replace the payment by one with a higher fee.
REPLACEABLE = 0xFFFFFFFD
FINAL = 0xFFFFFFFF


class InvalidTransaction(ValueError):
    """Bytes that are no transaction; the message says why."""


class TxInput(msgspec.Struct, frozen=True):
    """Names the output it spends; `witness` is empty until signed."""

    txid: Txid
    vout: int
    script_sig: bytes = b""
    sequence: int = REPLACEABLE
    witness: tuple[bytes, ...] = ()


class TxOutput(msgspec.Struct, frozen=True):
    """An amount, and the script that whoever spends it must satisfy."""

    amount: Sats
    script_pubkey: bytes


class Transaction(msgspec.Struct, frozen=True):
    """A transaction, signed or not."""

    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    version: int = 2
    locktime: int = 0

    @property
    def txid(self) -> Txid:
        """Double SHA-256 without the witness, byte-reversed, in hex."""
        return Txid(to_library(self).GetTxid()[::-1].hex())

    @property
    def wtxid(self) -> str:
        """Double SHA-256 with the witness, byte-reversed, in hex."""
        return str(to_library(self).GetHash()[::-1].hex())

    @property
    def weight(self) -> int:
        """Weight units (BIP141): a witness byte counts one, any other four."""
        stripped = len(serialize(self, witness=False))
        return stripped * (WITNESS_SCALE - 1) + len(serialize(self))

    @property
    def vsize(self) -> int:
        """Virtual bytes: weight over four, rounded up."""
        return -(-self.weight // WITNESS_SCALE)


def parse_txid(text: str) -> Txid:
    """`text` as a transaction id; raises InvalidTransaction unless it is 64 lower-case hex digits."""
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise InvalidTransaction("a transaction id is 64 lower-case hexadecimal digits")
    return Txid(text)


def parse(raw: bytes, max_bytes: int = MAX_TRANSACTION_BYTES) -> Transaction:
    """The transaction of canonical bytes `raw`; raises InvalidTransaction.

    Whether it spends what exists, or any rule of the network beyond its form, is not looked at; but amounts are
    between 0 and 21 million bitcoin.
    """
    if len(raw) > max_bytes:
        raise InvalidTransaction(f"a transaction of {len(raw)} bytes is longer than {max_bytes}")
    try:
        library = CTransaction.deserialize(raw)
    except (SerializationError, ValueError) as error:
        raise InvalidTransaction(f"these {len(raw)} bytes are no transaction") from error
    transaction = from_library(library)
    # The library tolerates longer-than-needed lengths and empty witnesses; one transaction has one encoding here.
    if serialize(transaction) != raw:
        raise InvalidTransaction("the transaction is not in canonical form")
    return transaction


def serialize(transaction: Transaction, *, witness: bool = True) -> bytes:
    """Consensus bytes; with `witness` False those that the txid is made from."""
    library = to_library(transaction if witness else strip(transaction))
    raw: bytes = library.serialize()
    return raw


def strip(transaction: Transaction) -> Transaction:
    """The same transaction without any witness."""
    bare = tuple(msgspec.structs.replace(each, witness=()) for each in transaction.inputs)
    return msgspec.structs.replace(transaction, inputs=bare)


def outpoint(txid: Txid, vout: int) -> bytes:
    """36 bytes: how an input names the output it spends."""
    return bytes.fromhex(txid)[::-1] + vout.to_bytes(4, "little")


def from_library(library: Any) -> Transaction:
    """Our form of python-bitcoinlib's CTransaction; raises InvalidTransaction for an impossible amount."""
    witnesses = [tuple(each.scriptWitness.stack) for each in library.wit.vtxinwit]
    witnesses += [()] * (len(library.vin) - len(witnesses))
    return Transaction(
        tuple(_input(each, stack) for each, stack in zip(library.vin, witnesses, strict=True)),
        tuple(_output(each) for each in library.vout),
        library.nVersion,
        library.nLockTime,
    )


def _input(library: Any, witness: tuple[bytes, ...]) -> TxInput:
    txid = Txid(library.prevout.hash[::-1].hex())
    return TxInput(txid, library.prevout.n, bytes(library.scriptSig), library.nSequence, witness)


def _output(library: Any) -> TxOutput:
    try:
        return TxOutput(checked(library.nValue), bytes(library.scriptPubKey))
    except InvalidAmount as error:
        raise InvalidTransaction(str(error)) from error


def to_library(transaction: Transaction) -> Any:
    """python-bitcoinlib's CTransaction, which serialises and hashes."""
    stacks = [CTxInWitness(CScriptWitness(each.witness)) for each in transaction.inputs]
    return CTransaction(
        [_to_input(each) for each in transaction.inputs],
        [CTxOut(each.amount, CScript(each.script_pubkey)) for each in transaction.outputs],
        transaction.locktime,
        transaction.version,
        CTxWitness(stacks if any(each.witness for each in transaction.inputs) else ()),
    )


def _to_input(each: TxInput) -> Any:
    previous = COutPoint(bytes.fromhex(each.txid)[::-1], each.vout)
    return CTxIn(previous, CScript(each.script_sig), each.sequence)
