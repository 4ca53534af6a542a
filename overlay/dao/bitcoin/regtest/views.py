"""Blocks and transactions as Bitcoin Core's JSON shows them."""

from typing import Any

import msgspec
from bitcoin.core.script import CScript, CScriptInvalidError, CScriptOp

from overlay.dao.bitcoin import address, scripts
from overlay.dao.bitcoin.amounts import Sats, to_btc
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest import descriptors
from overlay.dao.bitcoin.regtest.blocks import EASIEST_TARGET, NULL_TXID, Block
from overlay.dao.bitcoin.regtest.chain import RegtestChain
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.bitcoin.transaction import (
    WITNESS_SCALE,
    Transaction,
    TxInput,
    TxOutput,
    serialize,
)

# The target of difficulty 1, relative to which difficulties are told.
DIFFICULTY_ONE = 0xFFFF << 8 * (0x1D - 3)
WORK_PER_BLOCK = 2**256 // (EASIEST_TARGET + 1)

Json = dict[str, Any]


def money(amount: Sats) -> msgspec.Raw:
    """A JSON number with eight decimals, exactly."""
    return msgspec.Raw(to_btc(amount).encode())


def difficulty() -> float:
    """How much harder than difficulty 1 a regtest block is: always the same tiny fraction."""
    return DIFFICULTY_ONE / EASIEST_TARGET


def chain_work(height: int) -> str:
    """Expected hashes up to `height`, 64 hex digits."""
    return f"{(height + 1) * WORK_PER_BLOCK:064x}"


def script(script_pubkey: bytes) -> Json:
    """A scriptPubKey."""
    shown: Json = {
        "asm": assembler(script_pubkey),
        "desc": descriptors.describe(script_pubkey),
        "hex": script_pubkey.hex(),
    }
    text = address.encode(script_pubkey, Network.REGTEST)
    if text is not None:
        shown["address"] = text
    kind = scripts.kind(script_pubkey)
    return shown | {"type": ScriptKind.NONSTANDARD.value if not script_pubkey else kind.value}


def assembler(script_bytes: bytes) -> str:
    """A script in words: pushed bytes in hex, small numbers in digits, operations by name."""
    words = []
    try:
        for opcode, data, _ in CScript(script_bytes).raw_iter():
            words.append(_word(CScriptOp(opcode), data))
    except CScriptInvalidError:
        words.append("[error]")
    return " ".join(words)


def transaction(shown: Transaction) -> Json:
    """A transaction without regard to where it stands."""
    return {
        "txid": shown.txid,
        "hash": shown.wtxid,
        "version": shown.version,
        "size": len(serialize(shown)),
        "vsize": shown.vsize,
        "weight": shown.weight,
        "locktime": shown.locktime,
        "vin": [_input(each) for each in shown.inputs],
        "vout": [_output(n, output) for n, output in enumerate(shown.outputs)],
        "hex": serialize(shown).hex(),
    }


def header(chain: RegtestChain, block: Block) -> Json:
    """A block's header and its place in the chain."""
    height = chain.kernel.find(block.block_hash) or 0
    confirmations = chain.confirmations(block.block_hash)
    shown: Json = {
        "hash": block.block_hash,
        "confirmations": confirmations,
        "height": height,
        "version": block.version,
        "versionHex": f"{block.version:08x}",
        "merkleroot": block.merkle_root,
        "time": block.time,
        "mediantime": chain.index.median_time(height) if confirmations > 0 else block.time,
        "nonce": block.nonce,
        "bits": f"{block.bits:08x}",
        "target": f"{EASIEST_TARGET:064x}",
        "difficulty": difficulty(),
        "chainwork": chain_work(height),
        "nTx": len(block.transactions),
    }
    if height > 0:
        shown["previousblockhash"] = block.previous
    if confirmations > 1:
        shown["nextblockhash"] = chain.kernel.block_hash(height + 1)
    return shown


def block(chain: RegtestChain, shown: Block, *, verbose: bool) -> Json:
    """A whole block: its transactions' ids, or with `verbose` themselves."""
    raw = chain.kernel.raw_block(shown.block_hash)
    stripped = 80 + _count(len(shown.transactions))
    stripped += sum(len(serialize(each, witness=False)) for each in shown.transactions)
    return header(chain, shown) | {
        "strippedsize": stripped,
        "size": len(raw),
        "weight": stripped * (WITNESS_SCALE - 1) + len(raw),
        "tx": [transaction(each) if verbose else each.txid for each in shown.transactions],
    }


def _count(number: int) -> int:
    """Bytes of a compact size; a block has fewer than 65,536 transactions."""
    return 1 if number < 0xFD else 3


def _word(opcode: CScriptOp, data: bytes | None) -> str:
    if data is not None:
        return data.hex() or "0"
    return str(opcode.decode_op_n()) if opcode.is_small_int() else str(opcode)


def _input(each: TxInput) -> Json:
    if each.txid == NULL_TXID:
        shown: Json = {"coinbase": each.script_sig.hex()}
    else:
        signature = {"asm": assembler(each.script_sig), "hex": each.script_sig.hex()}
        shown = {"txid": each.txid, "vout": each.vout, "scriptSig": signature}
    if each.witness:
        shown["txinwitness"] = [item.hex() for item in each.witness]
    return shown | {"sequence": each.sequence}


def _output(position: int, output: TxOutput) -> Json:
    return {"value": money(output.amount), "n": position, "scriptPubKey": script(output.script_pubkey)}
