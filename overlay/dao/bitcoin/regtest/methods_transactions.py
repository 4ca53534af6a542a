"""Methods about transactions and unspent outputs."""

from decimal import Decimal
from typing import Any

from overlay.dao.bitcoin.amounts import InvalidAmount, Sats, from_btc
from overlay.dao.bitcoin.regtest import descriptors, views
from overlay.dao.bitcoin.regtest.errors import (
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    MISC_ERROR,
    TYPE_ERROR,
    VERIFY_ALREADY_IN_CHAIN,
    VERIFY_ERROR,
    VERIFY_REJECTED,
    Refused,
    RpcError,
)
from overlay.dao.bitcoin.regtest.index import Outpoint
from overlay.dao.bitcoin.regtest.kernel import SpentCoin
from overlay.dao.bitcoin.regtest.mempool import MISSING
from overlay.dao.bitcoin.regtest.node import RegtestNode
from overlay.dao.bitcoin.regtest.table import METHODS, hash_argument, transaction_argument
from overlay.dao.bitcoin.transaction import Transaction, Txid, serialize

NOT_IN_MEMPOOL = (
    "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. "
    "Use gettransaction for wallet transactions."
)
MAX_FEE_RATE = Decimal("0.10")  # bitcoin per 1,000 virtual bytes, unless the caller says otherwise
MAX_TESTED = 25


@METHODS.add("getrawtransaction")
def raw_transaction(
    node: RegtestNode, txid: str, verbosity: int | bool = 0, blockhash: str | None = None
) -> str | dict[str, Any]:
    """A transaction from the mempool or the block named: as hex, or with verbosity 1 or 2 decoded."""
    wanted = Txid(hash_argument(txid, "txid"))
    named = None if blockhash is None else hash_argument(blockhash, "blockhash")
    found = _waiting(node, wanted) if named is None else _in_block(node, wanted, named)
    if int(verbosity) <= 0:
        return serialize(found).hex()
    shown = views.transaction(found)
    return shown if named is None else shown | _place(node, named)


@METHODS.add("gettxout")
def unspent_output(node: RegtestNode, txid: str, n: int, include_mempool: bool = True) -> dict[str, Any] | None:
    """An unspent output, or null if there is none. The mempool counts unless told otherwise."""
    outpoint = (Txid(hash_argument(txid, "txid")), n)
    coin = _unspent(node, outpoint, mempool=include_mempool)
    if coin is None:
        return None
    return {
        "bestblock": node.chain.tip,
        "confirmations": max(node.chain.height - coin.height + 1, 0),
        "value": views.money(coin.output.amount),
        "scriptPubKey": views.script(coin.output.script_pubkey),
        "coinbase": coin.coinbase,
    }


@METHODS.add("scantxoutset")
def scan(
    node: RegtestNode, action: str, scanobjects: list[str | dict[str, Any]] | None = None
) -> dict[str, Any] | bool | None:
    """Search the confirmed unspent outputs for raw(HEX) and addr(ADDRESS) descriptors."""
    if action in ("status", "abort"):
        return None if action == "status" else False  # A scan is over before another call is read.
    if action != "start":
        raise RpcError(INVALID_PARAMETER, f"Invalid action '{action[:80]}'")
    if scanobjects is None:
        raise RpcError(MISC_ERROR, "scanobjects argument is required for the start action")
    wanted = {descriptors.script_of(_descriptor(each)) for each in scanobjects}
    found = [each for each in node.chain.index.coins() if each[1].output.script_pubkey in wanted]
    return {
        "success": True,
        "txouts": len(node.chain.index),
        "height": node.chain.height,
        "bestblock": node.chain.tip,
        "unspents": [_unspent_view(node, outpoint, coin) for outpoint, coin in found],
        "total_amount": views.money(Sats(sum(coin.output.amount for _, coin in found))),
    }


@METHODS.add("sendrawtransaction")
def send_raw(node: RegtestNode, hexstring: str, maxfeerate: Decimal = MAX_FEE_RATE) -> str:
    """Take a transaction into the mempool; its id. One that waits already is no error."""
    transaction = transaction_argument(hexstring)
    limit = _limit(transaction, maxfeerate)
    if node.chain.mempool.get(transaction.txid) is not None:
        return transaction.txid
    try:
        entry = node.chain.mempool.test(transaction, node.time)
        if limit and entry.fee > limit:
            raise RpcError(VERIFY_ERROR, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)")
        node.chain.admit(entry)
    except Refused as refusal:
        raise _refusal(refusal) from refusal
    return entry.txid


@METHODS.add("testmempoolaccept")
def would_accept(node: RegtestNode, rawtxs: list[str], maxfeerate: Decimal = MAX_FEE_RATE) -> list[dict[str, Any]]:
    """Whether the mempool would take a transaction, and why not. One at a time here."""
    if not 1 <= len(rawtxs) <= MAX_TESTED:
        raise RpcError(INVALID_PARAMETER, f"Array must contain between 1 and {MAX_TESTED} transactions.")
    if len(rawtxs) > 1:
        raise RpcError(INVALID_PARAMETER, "this service tests one transaction at a time")
    transaction = transaction_argument(rawtxs[0])
    limit = _limit(transaction, maxfeerate)
    shown: dict[str, Any] = {"txid": transaction.txid, "wtxid": transaction.wtxid}
    try:
        entry = node.chain.mempool.test(transaction, node.time)
    except Refused as refusal:
        reason = "missing-inputs" if refusal.reason == MISSING else refusal.reason
        return [shown | {"allowed": False, "reject-reason": reason, "reject-details": str(refusal)}]
    if limit and entry.fee > limit:
        return [shown | {"allowed": False, "reject-reason": "max-fee-exceeded"}]
    return [shown | {"allowed": True, "vsize": entry.vsize, "fees": {"base": views.money(Sats(entry.fee))}}]


def _waiting(node: RegtestNode, txid: Txid) -> Transaction:
    entry = node.chain.mempool.get(txid)
    if entry is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, NOT_IN_MEMPOOL)
    return entry.transaction


def _in_block(node: RegtestNode, txid: Txid, blockhash: str) -> Transaction:
    if node.chain.kernel.find(blockhash) is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block hash not found")
    for transaction in node.chain.block(blockhash).transactions:
        if transaction.txid == txid:
            return transaction
    raise RpcError(INVALID_ADDRESS_OR_KEY, "No such transaction found in the provided block.")


def _place(node: RegtestNode, blockhash: str) -> dict[str, Any]:
    """Where a block stands, as its transactions tell it."""
    depth, time = node.chain.confirmations(blockhash), node.chain.block(blockhash).time
    return {
        "in_active_chain": depth > 0,
        "blockhash": blockhash,
        "confirmations": max(depth, 0),
        "time": time,
        "blocktime": time,
    }


def _unspent(node: RegtestNode, outpoint: Outpoint, *, mempool: bool) -> SpentCoin | None:
    if not mempool:
        return node.chain.index.coin(outpoint)
    if node.chain.mempool.spender(outpoint) is not None:
        return None
    return node.chain.mempool.coin(outpoint)


def _descriptor(each: str | dict[str, Any]) -> str:
    text = each if isinstance(each, str) else each.get("desc")
    if not isinstance(text, str):
        raise RpcError(INVALID_PARAMETER, "Descriptor needs to be provided in scan object")
    return text


def _unspent_view(node: RegtestNode, outpoint: Outpoint, coin: SpentCoin) -> dict[str, Any]:
    return {
        "txid": outpoint[0],
        "vout": outpoint[1],
        "scriptPubKey": coin.output.script_pubkey.hex(),
        "desc": descriptors.describe(coin.output.script_pubkey),
        "amount": views.money(coin.output.amount),
        "coinbase": coin.coinbase,
        "height": coin.height,
        "blockhash": node.chain.kernel.block_hash(coin.height),
        "confirmations": node.chain.height - coin.height + 1,
    }


def _limit(transaction: Transaction, maxfeerate: Decimal) -> int:
    """The fee that the caller would pay at most, in satoshis; 0 for any."""
    try:
        return -(-from_btc(maxfeerate) * transaction.vsize // 1000)
    except InvalidAmount as error:
        raise RpcError(TYPE_ERROR, "Invalid amount") from error


def _refusal(refusal: Refused) -> RpcError:
    if refusal.reason == MISSING:
        return RpcError(VERIFY_ERROR, refusal.reason)
    if refusal.reason == "txn-already-known":
        return RpcError(VERIFY_ALREADY_IN_CHAIN, "Transaction outputs already in utxo set")
    return RpcError(VERIFY_REJECTED, str(refusal))
