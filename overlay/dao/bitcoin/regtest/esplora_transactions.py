"""Esplora's routes about transactions, what waits, and fees."""

import msgspec

from overlay.dao.bitcoin.regtest import esplora_views as show
from overlay.dao.bitcoin.regtest.errors import RpcError
from overlay.dao.bitcoin.regtest.esplora_table import Answer, Problem, number_in_path, route, txid_in_path
from overlay.dao.bitcoin.regtest.explorer import Sighting
from overlay.dao.bitcoin.regtest.node import RegtestNode
from overlay.dao.bitcoin.regtest.table import METHODS
from overlay.dao.bitcoin.transaction import MAX_TRANSACTION_BYTES, serialize

# A transaction in hex, and room for a line end.
MAX_BROADCAST = 2 * MAX_TRANSACTION_BYTES + 2


@route("/tx/{txid}")
def transaction(node: RegtestNode, txid: str) -> Answer:
    """A transaction."""
    return show.transaction(node.chain, _sighting(node, txid))


@route("/tx/{txid}/hex")
def transaction_hex(node: RegtestNode, txid: str) -> Answer:
    """A transaction in hex."""
    return serialize(_sighting(node, txid).transaction).hex()


@route("/tx/{txid}/raw")
def raw_transaction(node: RegtestNode, txid: str) -> Answer:
    """A transaction in consensus bytes."""
    return serialize(_sighting(node, txid).transaction)


@route("/tx/{txid}/status")
def transaction_status(node: RegtestNode, txid: str) -> Answer:
    """Where a transaction stands. Like Esplora, this tells an unknown one to be unconfirmed."""
    return show.status(node.chain, node.chain.history.height(txid_in_path(txid)))


@route("/tx/{txid}/merkle-proof")
def merkle_proof(node: RegtestNode, txid: str) -> Answer:
    """That a transaction is in its block."""
    found = node.explorer.proof(txid_in_path(txid))
    if found is None:
        raise Problem(404, "Transaction not found or is unconfirmed")
    return show.proof(found)


@route("/tx/{txid}/outspend/{vout}")
def output_spending(node: RegtestNode, txid: str, vout: str) -> Answer:
    """Who spends an output."""
    number = number_in_path(vout, 0xFFFFFFFF, "no such output")
    return show.spending(node.chain, node.explorer, (txid_in_path(txid), number))


@route("/tx/{txid}/outspends")
def output_spendings(node: RegtestNode, txid: str) -> Answer:
    """Who spends each output of a transaction."""
    found, look = _sighting(node, txid).transaction, node.explorer
    return [show.spending(node.chain, look, (found.txid, vout)) for vout in range(len(found.outputs))]


@route("/tx", "POST")
def broadcast(node: RegtestNode, body: str) -> Answer:
    """Take a transaction, in hex, into the mempool; its id."""
    if len(body) > MAX_BROADCAST:
        raise Problem(413, "the transaction is too long")
    try:
        return str(METHODS.call(node, "sendrawtransaction", [body.strip()]))
    except RpcError as error:
        told = msgspec.json.encode({"code": error.code, "message": error.message}).decode()
        raise Problem(400, f"sendrawtransaction RPC error: {told}") from error
    except OSError as error:
        # What was told may no longer be what is on disk: like bitcoind, go down rather than on.
        node.stopping.set()
        raise Problem(500, f"the data folder failed: {error.strerror}") from error


@route("/mempool")
def mempool(node: RegtestNode) -> Answer:
    """How much waits, and at which fee rates."""
    entries = sorted(node.chain.mempool, key=lambda each: -each.fee / each.vsize)
    return {
        "count": len(entries),
        "vsize": node.chain.mempool.vsize,
        "total_fee": sum(each.fee for each in entries),
        "fee_histogram": [[each.fee / each.vsize, each.vsize] for each in entries],
    }


@route("/mempool/txids")
def mempool_txids(node: RegtestNode) -> Answer:
    """The ids of what waits."""
    return [each.txid for each in node.chain.mempool]


@route("/fee-estimates")
def fee_estimates(node: RegtestNode) -> Answer:
    """No estimate: nobody competes for the blocks of a regtest chain."""
    return {}


def _sighting(node: RegtestNode, txid: str) -> Sighting:
    found = node.explorer.find(txid_in_path(txid))
    if found is None:
        raise Problem(404, "Transaction not found")
    return found
