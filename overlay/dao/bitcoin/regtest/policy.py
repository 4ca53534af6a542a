"""What a transaction must be on its own: the context-free rules of consensus, and the relay policy of Bitcoin Core.

The reasons are Bitcoin Core's words. One thing is narrower here: versions above 2 are not standard.
"""

from bitcoin.core.script import CScript, CScriptInvalidError

from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import MAX_MONEY
from overlay.dao.bitcoin.regtest.blocks import NULL_TXID, NULL_VOUT
from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.bitcoin.transaction import WITNESS_SCALE, Transaction, TxInput, TxOutput, serialize

MIN_RELAY_FEE_RATE = 1  # satoshis per virtual byte
MAX_STANDARD_WEIGHT = 400_000
MIN_STANDARD_SIZE = 65  # without witness; 64 bytes could pass for an inner node of a merkle tree
MAX_STANDARD_SIGOPS_COST = 80_000 // 5
MAX_P2SH_SIGOPS = 15
MAX_SCRIPT_SIG = 1_650
MAX_DATA_CARRIER = 83
MAX_WITNESS_SCRIPT = 3_600
STANDARD_VERSIONS = (1, 2)


def check_form(transaction: Transaction) -> None:
    """CheckTransaction of consensus; amounts were bounded when it was parsed. Raises Refused."""
    if not transaction.inputs:
        raise Refused("bad-txns-vin-empty")
    if not transaction.outputs:
        raise Refused("bad-txns-vout-empty")
    if sum(output.amount for output in transaction.outputs) > MAX_MONEY:
        raise Refused("bad-txns-txouttotal-toolarge")
    spent = {(each.txid, each.vout) for each in transaction.inputs}
    if len(spent) != len(transaction.inputs):
        raise Refused("bad-txns-inputs-duplicate")
    if (NULL_TXID, NULL_VOUT) in spent:
        raise Refused("coinbase" if len(spent) == 1 else "bad-txns-prevout-null")


def check_standard(transaction: Transaction) -> None:
    """IsStandardTx, and the least size. Raises Refused."""
    if transaction.version not in STANDARD_VERSIONS:
        raise Refused("version")
    if transaction.weight > MAX_STANDARD_WEIGHT:
        raise Refused("tx-size")
    for each in transaction.inputs:
        _check_script_sig(each.script_sig)
    for output in transaction.outputs:
        _check_output(output)
    kinds = [scripts.kind(output.script_pubkey) for output in transaction.outputs]
    if kinds.count(ScriptKind.NULL_DATA) > 1:
        raise Refused("multi-op-return")
    if len(serialize(transaction, witness=False)) < MIN_STANDARD_SIZE:
        raise Refused("tx-size-small")


def check_spending(transaction: Transaction, spent: list[TxOutput]) -> int:
    """AreInputsStandard, the witness limits, and the limit on signature operations. Raises Refused.

    Returns the cost of its signature operations.
    """
    for each, output in zip(transaction.inputs, spent, strict=True):
        _check_input(each, output)
    cost = sigops_cost(transaction, spent)
    if cost > MAX_STANDARD_SIGOPS_COST:
        raise Refused("bad-txns-too-many-sigops", str(cost))
    return cost


def check_fee(fee: int, vsize: int) -> None:
    """At least the relay fee rate; raises Refused with both figures."""
    least = vsize * MIN_RELAY_FEE_RATE
    if fee < least:
        raise Refused("min relay fee not met", f"{fee} < {least}")


def sigops_cost(transaction: Transaction, spent: list[TxOutput]) -> int:
    """GetTransactionSigOpCost (BIP141): four for one in a script, one for one in a witness; taproot has none."""
    legacy = sum(_sigops(each.script_sig) for each in transaction.inputs)
    legacy += sum(_sigops(output.script_pubkey) for output in transaction.outputs)
    cost = legacy * WITNESS_SCALE
    for each, output in zip(transaction.inputs, spent, strict=True):
        redeem = redeem_script(each, output)
        if redeem is not None:
            cost += _sigops(redeem, accurate=True) * WITNESS_SCALE
        cost += _witness_sigops(each, output.script_pubkey if redeem is None else redeem)
    return cost


def redeem_script(each: TxInput, output: TxOutput) -> bytes | None:
    """The script that a pay-to-script-hash input reveals: the last push of its scriptSig."""
    if scripts.kind(output.script_pubkey) is not ScriptKind.SCRIPT_HASH:
        return None
    return _last_push(each.script_sig)


def _check_script_sig(script_sig: bytes) -> None:
    if len(script_sig) > MAX_SCRIPT_SIG:
        raise Refused("scriptsig-size")
    if not CScript(script_sig).is_push_only():
        raise Refused("scriptsig-not-pushonly")


def _check_output(output: TxOutput) -> None:
    kind = scripts.kind(output.script_pubkey)
    if kind is ScriptKind.NONSTANDARD:
        raise Refused("scriptpubkey")
    if kind is ScriptKind.NULL_DATA and len(output.script_pubkey) > MAX_DATA_CARRIER:
        raise Refused("datacarrier")
    if output.amount < scripts.dust_limit(output.script_pubkey):
        raise Refused("dust")


def _check_input(each: TxInput, output: TxOutput) -> None:
    kind = scripts.kind(output.script_pubkey)
    if kind in (ScriptKind.NONSTANDARD, ScriptKind.NULL_DATA):
        raise Refused("bad-txns-nonstandard-inputs")
    redeem = redeem_script(each, output)
    if redeem is not None and _sigops(redeem, accurate=True) > MAX_P2SH_SIGOPS:
        raise Refused("bad-txns-nonstandard-inputs")
    if kind is ScriptKind.WITNESS_SCRIPT_HASH and each.witness and len(each.witness[-1]) > MAX_WITNESS_SCRIPT:
        raise Refused("bad-witness-nonstandard")


def _witness_sigops(each: TxInput, program: bytes) -> int:
    match scripts.kind(program):
        case ScriptKind.WITNESS_PUBKEY_HASH:
            return 1
        case ScriptKind.WITNESS_SCRIPT_HASH if each.witness:
            return _sigops(each.witness[-1], accurate=True)
        case _:
            return 0


def _sigops(script: bytes, *, accurate: bool = False) -> int:
    """Signature operations of a script; a script that ends inside a push counts as far as it can be read."""
    try:
        return int(CScript(script).GetSigOpCount(accurate))
    except CScriptInvalidError:
        # Whatever stands behind the break can never run. The count of what is before it is bounded by the length.
        return len(script)


def _last_push(script_sig: bytes) -> bytes:
    try:
        pushes = [data for _, data, _ in CScript(script_sig).raw_iter()]
    except CScriptInvalidError:
        return b""
    return bytes(pushes[-1] or b"") if pushes else b""
