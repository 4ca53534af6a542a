"""Blocks and transactions as Esplora's JSON shows them: amounts in whole satoshis, places in a `status`."""

from collections.abc import Iterable
from typing import Any

from bitcoin.core.script import CScript, CScriptInvalidError, CScriptOp

from overlay.dao.bitcoin import address, scripts
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest import explorer, views
from overlay.dao.bitcoin.regtest.blocks import NULL_TXID, Block
from overlay.dao.bitcoin.regtest.chain import RegtestChain
from overlay.dao.bitcoin.regtest.explorer import Explorer, Proof, Sighting, Unspent
from overlay.dao.bitcoin.regtest.index import Outpoint
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.bitcoin.transaction import TxInput, TxOutput, serialize

Json = dict[str, Any]

KINDS = {
    ScriptKind.PUBKEY_HASH: "p2pkh",
    ScriptKind.SCRIPT_HASH: "p2sh",
    ScriptKind.WITNESS_PUBKEY_HASH: "v0_p2wpkh",
    ScriptKind.WITNESS_SCRIPT_HASH: "v0_p2wsh",
    ScriptKind.TAPROOT: "v1_p2tr",
    ScriptKind.NULL_DATA: "op_return",
    ScriptKind.NONSTANDARD: "unknown",
}
# Opcodes up to this one push as many bytes as they say.
LAST_DIRECT_PUSH = 75


def status(chain: RegtestChain, height: int | None) -> Json:
    """Whether and where something is confirmed."""
    if height is None:
        return {"confirmed": False}
    block_hash = chain.kernel.block_hash(height)
    return {
        "confirmed": True,
        "block_height": height,
        "block_hash": block_hash,
        "block_time": chain.index.time(height),
    }


def transaction(chain: RegtestChain, sighting: Sighting) -> Json:
    """A transaction with what it spends and where it stands."""
    shown = sighting.transaction
    coinbase = shown.inputs[0].txid == NULL_TXID
    spent = [None] if coinbase else list(sighting.spent)
    return {
        "txid": shown.txid,
        "version": shown.version,
        "locktime": shown.locktime,
        "vin": [_input(each, coin) for each, coin in zip(shown.inputs, spent, strict=True)],
        "vout": [_output(each) for each in shown.outputs],
        "size": len(serialize(shown)),
        "weight": shown.weight,
        "fee": sighting.fee,
        "status": status(chain, sighting.height),
    }


def transactions(chain: RegtestChain, sightings: Iterable[Sighting]) -> list[Json]:
    """Some transactions."""
    return [transaction(chain, each) for each in sightings]


def block(chain: RegtestChain, shown: Block) -> Json:
    """A block without its transactions."""
    core = views.block(chain, shown, verbose=False)
    told = {
        "id": shown.block_hash,
        "height": core["height"],
        "version": shown.version,
        "timestamp": shown.time,
        "tx_count": len(shown.transactions),
        "size": core["size"],
        "weight": core["weight"],
        "merkle_root": shown.merkle_root,
        "mediantime": core["mediantime"],
        "nonce": shown.nonce,
        "bits": shown.bits,
        "difficulty": core["difficulty"],
    }
    return told if core["height"] == 0 else told | {"previousblockhash": shown.previous}


def unspent(chain: RegtestChain, each: Unspent) -> Json:
    """One coin of a script."""
    txid, vout = each.outpoint
    return {"txid": txid, "vout": vout, "status": status(chain, each.height), "value": each.output.amount}


def spending(chain: RegtestChain, look: Explorer, outpoint: Outpoint) -> Json:
    """Who spends an output, if anybody does."""
    found = look.spender(outpoint)
    if found is None:
        return {"spent": False}
    sighting, vin = found
    return {
        "spent": True,
        "txid": sighting.transaction.txid,
        "vin": vin,
        "status": status(chain, sighting.height),
    }


def proof(shown: Proof) -> Json:
    """A merkle branch as Electrum has it."""
    return {
        "block_height": shown.height,
        "merkle": [each[::-1].hex() for each in shown.branch],
        "pos": shown.position,
    }


def totals(sightings: list[Sighting], digest: bytes) -> Json:
    """What a script was given and has spent."""
    counted = explorer.stats(sightings, digest)
    return {
        "tx_count": counted.transactions,
        "funded_txo_count": len(counted.funded),
        "funded_txo_sum": sum(counted.funded),
        "spent_txo_count": len(counted.spent),
        "spent_txo_sum": sum(counted.spent),
    }


def assembler(script: bytes) -> str:
    """A script in the words of rust-bitcoin, which Esplora uses."""
    words = []
    try:
        for opcode, data, _ in CScript(script).raw_iter():
            words += _words(CScriptOp(opcode), data)
    except CScriptInvalidError:
        words.append("<unexpected end>")
    return " ".join(words)


def _words(opcode: CScriptOp, data: bytes | None) -> list[str]:
    if 0 < opcode <= LAST_DIRECT_PUSH:
        return [f"OP_PUSHBYTES_{int(opcode)}", (data or b"").hex()]
    if opcode.is_small_int() and opcode:
        return [f"OP_PUSHNUM_{opcode.decode_op_n()}"]
    return [str(opcode), *([data.hex()] if data else [])]


def _input(each: TxInput, spent: TxOutput | None) -> Json:
    shown = {
        "txid": each.txid,
        "vout": each.vout,
        "prevout": None if spent is None else _output(spent),
        "scriptsig": each.script_sig.hex(),
        "scriptsig_asm": assembler(each.script_sig),
        "is_coinbase": spent is None,
        "sequence": each.sequence,
    }
    return shown | {"witness": [item.hex() for item in each.witness]} if each.witness else shown


def _output(output: TxOutput) -> Json:
    shown = {
        "scriptpubkey": output.script_pubkey.hex(),
        "scriptpubkey_asm": assembler(output.script_pubkey),
        "scriptpubkey_type": KINDS[scripts.kind(output.script_pubkey)] if output.script_pubkey else "empty",
        "value": output.amount,
    }
    text = address.encode(output.script_pubkey, Network.REGTEST)
    return shown if text is None else shown | {"scriptpubkey_address": text}
