"""Methods about what waits, and about fees."""

from typing import Any

from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.regtest import views
from overlay.dao.bitcoin.regtest.entries import Entry
from overlay.dao.bitcoin.regtest.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from overlay.dao.bitcoin.regtest.mempool import MAX_MEMPOOL_VSIZE
from overlay.dao.bitcoin.regtest.node import RegtestNode
from overlay.dao.bitcoin.regtest.policy import MIN_RELAY_FEE_RATE
from overlay.dao.bitcoin.regtest.table import METHODS, hash_argument
from overlay.dao.bitcoin.transaction import Txid

MAX_CONFIRMATION_TARGET = 1008
RELAY_FEE = Sats(MIN_RELAY_FEE_RATE * 1000)  # per 1,000 virtual bytes


@METHODS.add("getmempoolinfo")
def mempool_info(node: RegtestNode) -> dict[str, Any]:
    """The size of the mempool, and what it takes at least."""
    mempool = node.chain.mempool
    return {
        "loaded": True,
        "size": len(mempool),
        "bytes": mempool.vsize,
        "total_fee": views.money(Sats(sum(entry.fee for entry in mempool))),
        "maxmempool": MAX_MEMPOOL_VSIZE,
        "mempoolminfee": views.money(RELAY_FEE),
        "minrelaytxfee": views.money(RELAY_FEE),
        "incrementalrelayfee": views.money(RELAY_FEE),
        "unbroadcastcount": 0,
        "fullrbf": True,
    }


@METHODS.add("getrawmempool")
def raw_mempool(node: RegtestNode, verbose: bool = False) -> list[str] | dict[str, Any]:
    """The ids of what waits, or with verbose everything about it by id."""
    if not verbose:
        return [entry.txid for entry in node.chain.mempool]
    return {entry.txid: _entry(node, entry) for entry in node.chain.mempool}


@METHODS.add("getmempoolentry")
def mempool_entry(node: RegtestNode, txid: str) -> dict[str, Any]:
    """What waits under that id."""
    entry = node.chain.mempool.get(Txid(hash_argument(txid, "txid")))
    if entry is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Transaction not in mempool")
    return _entry(node, entry)


@METHODS.add("estimatesmartfee")
def estimate_fee(node: RegtestNode, conf_target: int, estimate_mode: str = "unset") -> dict[str, Any]:
    """No estimate: nobody competes for the blocks of a regtest chain."""
    if not 1 <= conf_target <= MAX_CONFIRMATION_TARGET:
        limit = MAX_CONFIRMATION_TARGET
        raise RpcError(INVALID_PARAMETER, f"Invalid conf_target, must be between 1 and {limit}")
    if estimate_mode.lower() not in ("unset", "economical", "conservative"):
        raise RpcError(INVALID_PARAMETER, "Invalid estimate_mode parameter")
    return {"errors": ["Insufficient data or no feerate found"], "blocks": conf_target}


def _entry(node: RegtestNode, entry: Entry) -> dict[str, Any]:
    mempool = node.chain.mempool
    above = [mempool.get(txid) for txid in mempool.ancestors(entry.parents)]
    below = [mempool.get(txid) for txid in mempool.descendants(entry.txid)]
    ancestors = [entry, *(each for each in above if each)]
    descendants = [each for each in below if each]
    return {
        "vsize": entry.vsize,
        "weight": entry.transaction.weight,
        "time": entry.time,
        "height": entry.height,
        "ancestorcount": len(ancestors),
        "ancestorsize": sum(each.vsize for each in ancestors),
        "descendantcount": len(descendants),
        "descendantsize": sum(each.vsize for each in descendants),
        "wtxid": entry.transaction.wtxid,
        "fees": {
            "base": views.money(Sats(entry.fee)),
            "modified": views.money(Sats(entry.fee)),
            "ancestor": views.money(Sats(sum(each.fee for each in ancestors))),
            "descendant": views.money(Sats(sum(each.fee for each in descendants))),
        },
        "depends": sorted(entry.parents),
        "spentby": sorted(each.txid for each in descendants if entry.txid in each.parents),
        "bip125-replaceable": any(each.signals for each in ancestors),
        "unbroadcast": False,
    }
