"""Taproot key-path spending: output keys and signature hashes (BIP341).

Keys are x-only, 32 bytes. A treasury commits to no script, so its merkle root is empty; the functions take one all
the same, because the BIP's vectors do and because a recovery path may come later.
"""

import hashlib
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from typing import NamedTuple, TypeVar

from bitcoin.core.serialize import BytesSerializer
from coincurve import PrivateKey, PublicKeyXOnly

from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.transaction import Transaction, TxInput, TxOutput, outpoint

T = TypeVar("T")

KEY_BYTES = 32
GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
EPOCH = b"\x00"
KEY_PATH = b"\x00"  # spend_type: ext_flag 0 (key path), no annex.
ANYONE_CAN_PAY = 0x80
OUTPUT_MASK = 3


class InvalidTaproot(ValueError):
    """A key, merkle root, input or hash type that BIP341 does not allow; the message says which."""


class SighashType(IntEnum):
    """What a signature covers. DEFAULT covers everything and saves the byte that names it."""

    DEFAULT = 0x00
    ALL = 0x01
    NONE = 0x02
    SINGLE = 0x03
    ALL_ANYONE_CAN_PAY = 0x81
    NONE_ANYONE_CAN_PAY = 0x82
    SINGLE_ANYONE_CAN_PAY = 0x83


class OutputKey(NamedTuple):
    """The tweaked key Q = P + tG: its x coordinate, and whether its y is odd."""

    key: bytes
    parity: int


@cache
def _tag(tag: str) -> bytes:
    return hashlib.sha256(tag.encode()).digest() * 2


def tagged_hash(tag: str, message: bytes) -> bytes:
    """BIP340: SHA256(SHA256(tag) || SHA256(tag) || message)."""
    return hashlib.sha256(_tag(tag) + message).digest()


def tap_tweak(internal_key: bytes, merkle_root: bytes = b"") -> bytes:
    """The scalar t that is added to the internal key; `merkle_root` is 32 bytes or empty."""
    if len(internal_key) != KEY_BYTES or len(merkle_root) not in (0, 32):
        raise InvalidTaproot("an internal key is 32 bytes, a merkle root 32 bytes or none")
    return tagged_hash("TapTweak", internal_key + merkle_root)


def output_key(internal_key: bytes, merkle_root: bytes = b"") -> OutputKey:
    """taproot_tweak_pubkey of BIP341; raises InvalidTaproot if `internal_key` is not on the curve."""
    tweak = tap_tweak(internal_key, merkle_root)
    try:
        point = PublicKeyXOnly(internal_key)
        point.tweak_add(tweak)
    except ValueError as error:
        raise InvalidTaproot(f"{internal_key.hex()} is not the x coordinate of a public key") from error
    return OutputKey(point.format(), int(point.parity))


def script_pubkey(key: bytes) -> bytes:
    """OP_1 and the output key."""
    return scripts.witness_program(1, key)


def tweak_secret(secret: bytes, merkle_root: bytes = b"") -> bytes:
    """taproot_tweak_seckey of BIP341: the 32-byte secret that signs for the output key of `secret`'s public key."""
    key = PrivateKey(secret)
    even = key if key.public_key.format()[0] == 2 else PrivateKey(_negate(secret))
    return even.add(tap_tweak(key.public_key_xonly.format(), merkle_root)).secret


def _negate(secret: bytes) -> bytes:
    # Multiplying by n - 1 keeps the secret inside libsecp256k1, which does it in constant time.
    return PrivateKey(secret).multiply((GROUP_ORDER - 1).to_bytes(32)).secret


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is a valid BIP340 signature of the x-only `key` over the 32-byte `message`."""
    if len(key) != KEY_BYTES or len(signature) != 64:
        return False
    try:
        return bool(PublicKeyXOnly(key).verify(signature, message))
    except ValueError:
        return False


def signature_hash(
    transaction: Transaction,
    spent: Sequence[TxOutput],
    index: int,
    hash_type: SighashType = SighashType.DEFAULT,
) -> bytes:
    """The 32 bytes that the key of input `index` signs. `spent` are the outputs of all inputs, in their order."""
    return tagged_hash("TapSighash", signature_message(transaction, spent, index, hash_type))


def signature_message(transaction: Transaction, spent: Sequence[TxOutput], index: int, hash_type: SighashType) -> bytes:
    """SigMsg of BIP341 for a key path, with the epoch byte before it; raises InvalidTaproot."""
    if len(spent) != len(transaction.inputs) or not 0 <= index < len(spent):
        raise InvalidTaproot("a signature hash needs the spent output of every input, and an input to sign for")
    outputs = hash_type & OUTPUT_MASK
    message = EPOCH + bytes([hash_type]) + _int(transaction.version) + _int(transaction.locktime)
    if not hash_type & ANYONE_CAN_PAY:
        message += _all_inputs(transaction, spent)
    if outputs not in (SighashType.NONE, SighashType.SINGLE):
        message += _sha(transaction.outputs, serialize_output)
    message += KEY_PATH + _this_input(transaction.inputs[index], spent[index], index, hash_type)
    if outputs == SighashType.SINGLE:
        message += _matching_output(transaction, index)
    return message


def serialize_output(output: TxOutput) -> bytes:
    """Amount and script, as in a transaction."""
    script: bytes = BytesSerializer.serialize(output.script_pubkey)
    return _amount(output.amount) + script


def _all_inputs(transaction: Transaction, spent: Sequence[TxOutput]) -> bytes:
    """sha_prevouts, sha_amounts, sha_scriptpubkeys, sha_sequences."""
    return (
        _sha(transaction.inputs, lambda each: outpoint(each.txid, each.vout))
        + _sha(spent, lambda each: _amount(each.amount))
        + _sha(spent, lambda each: BytesSerializer.serialize(each.script_pubkey))
        + _sha(transaction.inputs, lambda each: _int(each.sequence))
    )


def _this_input(each: TxInput, spent: TxOutput, index: int, hash_type: SighashType) -> bytes:
    if not hash_type & ANYONE_CAN_PAY:
        return _int(index)
    return outpoint(each.txid, each.vout) + serialize_output(spent) + _int(each.sequence)


def _matching_output(transaction: Transaction, index: int) -> bytes:
    if index >= len(transaction.outputs):
        raise InvalidTaproot(f"SIGHASH_SINGLE: input {index} has no output of the same number")
    return hashlib.sha256(serialize_output(transaction.outputs[index])).digest()


def _sha(parts: Sequence[T], encode: Callable[[T], bytes]) -> bytes:
    return hashlib.sha256(b"".join(map(encode, parts))).digest()


def _int(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, "little")


def _amount(amount: Sats) -> bytes:
    return amount.to_bytes(8, "little")
