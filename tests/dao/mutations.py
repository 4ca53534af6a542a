"""What a coordinator may try with a payment, one thing at a time or several: changed transactions and PSBTs."""

import random
from collections.abc import Callable

import msgspec

from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin import psbt, taproot
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.bitcoin.psbt_maps import Reader, compact_size
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput, serialize
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account
from tests.dao.bitcoin.helpers import Purse

THIEF = Purse("thief").script
Mutation = Callable[[Transaction, random.Random], Transaction]
Fields = list[tuple[bytes, bytes]]


def pick(rng: random.Random, transaction: Transaction) -> int:
    return rng.randrange(len(transaction.inputs))


def with_input(transaction: Transaction, at: int, **changes: object) -> Transaction:
    inputs = list(transaction.inputs)
    inputs[at] = msgspec.structs.replace(inputs[at], **changes)
    return msgspec.structs.replace(transaction, inputs=tuple(inputs))


def with_output(transaction: Transaction, at: int, **changes: object) -> Transaction:
    outputs = list(transaction.outputs)
    outputs[at] = msgspec.structs.replace(outputs[at], **changes)
    return msgspec.structs.replace(transaction, outputs=tuple(outputs))


def moved(amount: int, rng: random.Random) -> Sats:
    return Sats(max(0, amount + rng.choice((-1, 1)) * rng.choice((1, 2, 546, 9_999, 10**6))))


def other_script(rng: random.Random) -> bytes:
    return rng.choice((THIEF, bytes([0x6A, 4]) + rng.randbytes(4), rng.randbytes(34), b""))


# What a coordinator may try, one thing at a time; a test does several.
ATTACKS: dict[str, Mutation] = {
    "payee": lambda t, r: with_output(t, 0, script_pubkey=other_script(r)),
    "amount": lambda t, r: with_output(t, 0, amount=moved(t.outputs[0].amount, r)),
    "fee": lambda t, r: with_output(t, -1, amount=moved(t.outputs[-1].amount, r)),
    "change": lambda t, r: with_output(t, -1, script_pubkey=other_script(r)),
    "no change": lambda t, _: msgspec.structs.replace(t, outputs=t.outputs[:-1]),
    "one output more": lambda t, r: msgspec.structs.replace(
        t, outputs=(*t.outputs, TxOutput(Sats(r.randrange(10_000)), other_script(r)))
    ),
    "outputs turned": lambda t, _: msgspec.structs.replace(t, outputs=t.outputs[::-1]),
    "version": lambda t, r: msgspec.structs.replace(t, version=r.choice((0, 1, 3, 2**31 - 1))),
    "lock time": lambda t, r: msgspec.structs.replace(t, locktime=r.choice((0, 1, 499_999_999, 2**32 - 1, 2**30))),
    "sequence": lambda t, r: with_input(t, pick(r, t), sequence=r.choice((0, 1, 0xFFFFFFFE, 0xFFFFFFFF))),
    "foreign coin": lambda t, r: with_input(t, pick(r, t), txid=Txid(r.randbytes(32).hex())),
    "other output": lambda t, r: with_input(t, pick(r, t), vout=r.randrange(1, 5)),
    "one coin more": lambda t, r: msgspec.structs.replace(
        t, inputs=(*t.inputs, TxInput(Txid(r.randbytes(32).hex()), 0))
    ),
    "a coin twice": lambda t, r: msgspec.structs.replace(t, inputs=(*t.inputs, t.inputs[pick(r, t)])),
    "a signature": lambda t, r: with_input(t, pick(r, t), witness=(r.randbytes(64),)),
    "a script": lambda t, r: with_input(t, pick(r, t), script_sig=r.randbytes(3)),
}


def mutated(transaction: Transaction, rng: random.Random) -> bytes:
    """One to three attacks at once. After one that leaves nothing to change the others are left out."""
    for name in rng.sample(sorted(ATTACKS), rng.choice((1, 1, 1, 2, 3))):
        if transaction.outputs:
            transaction = ATTACKS[name](transaction, rng)
    return serialize(transaction)


def flipped(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]


def legitimate(asked: Payment, account: Account) -> set[bytes]:
    """Everything that a coordinator may choose: a whole fee rate, as far as the cap allows."""
    smallest = policy.build(asked, account, 1)
    return {policy.build(asked, account, rate).raw for rate in range(1, asked.fee_cap // smallest.vsize + 1)}


def mutated_psbt(unsigned: UnsignedPayment, internal_key: bytes, rng: random.Random) -> bytes:
    """A PSBT of a changed transaction, or one whose fields lie, or bytes that have been cut, turned or doubled."""
    raw = psbt.to_psbt(unsigned, internal_key)
    match rng.randrange(5):
        case 0:
            return flipped(raw, rng)
        case 1:
            at = rng.randrange(len(raw))
            return rng.choice((raw[:at], raw[:at] + rng.randbytes(2) + raw[at:], raw + raw[at:]))
        case 2:
            return _assembled(_lying(_maps(raw, unsigned), unsigned, rng))
        case _:
            maps = _maps(raw, unsigned)
            maps[0] = [(bytes([psbt.UNSIGNED_TX]), mutated(unsigned.transaction, rng))]
            return _assembled(maps)


def _maps(raw: bytes, unsigned: UnsignedPayment) -> list[Fields]:
    reader, count = Reader(raw, len(psbt.MAGIC)), 1 + len(unsigned.coins) + len(unsigned.transaction.outputs)
    known = set(range(256))
    return [list(reader.map(known, set()).items()) for _ in range(count)]


def _lying(maps: list[Fields], unsigned: UnsignedPayment, rng: random.Random) -> list[Fields]:
    """Another amount or script of a coin, another kind of signature, a script path, a foreign field, a map too few."""
    at = 1 + rng.randrange(len(unsigned.coins))
    coin = unsigned.coins[at - 1]
    match rng.randrange(6):
        case 0:
            lie = TxOutput(moved(coin.amount, rng), coin.script_pubkey)
            maps[at] = _set(maps[at], psbt.WITNESS_UTXO, taproot.serialize_output(lie))
        case 1:
            lie = TxOutput(coin.amount, other_script(rng))
            maps[at] = _set(maps[at], psbt.WITNESS_UTXO, taproot.serialize_output(lie))
        case 2:
            kind = rng.choice((1, 2, 3, 0x81, 0x82, 0x83))
            maps[at] = _set(maps[at], psbt.SIGHASH_TYPE, kind.to_bytes(4, "little"))
        case 3:
            maps[at] = _set(maps[at], psbt.TAP_MERKLE_ROOT, rng.randbytes(32))
        case 4:
            maps[rng.randrange(len(maps))].append((bytes([0xF0, rng.randrange(256)]), rng.randbytes(4)))
        case _:
            del maps[rng.randrange(len(maps))]
    return maps


def _set(fields: Fields, field: int, value: bytes) -> Fields:
    return [each for each in fields if each[0] != bytes([field])] + [(bytes([field]), value)]


def _assembled(maps: list[Fields]) -> bytes:
    parts = [psbt.MAGIC]
    for fields in maps:
        parts += [compact_size(len(k)) + k + compact_size(len(v)) + v for k, v in fields]
        parts.append(b"\x00")
    return b"".join(parts)
