"""Esplora's routes about scripts, named by address or by hash."""

from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.address import InvalidAddress
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest import esplora_views as show
from overlay.dao.bitcoin.regtest.esplora_table import CHAIN_PAGE, Answer, Problem, hash_in_path, route, txid_in_path
from overlay.dao.bitcoin.regtest.history import script_hash
from overlay.dao.bitcoin.regtest.node import RegtestNode

MEMPOOL_PAGE = 50


@route("/{kind:address|scripthash}/{name}")
def script(node: RegtestNode, kind: str, name: str) -> Answer:
    """What a script was given and has spent."""
    look, digest = node.explorer, _digest(kind, name)
    return {
        kind: name,
        "chain_stats": show.totals(look.confirmed(digest), digest),
        "mempool_stats": show.totals(look.waiting(digest), digest),
    }


@route("/{kind:address|scripthash}/{name}/utxo")
def script_unspent(node: RegtestNode, kind: str, name: str) -> Answer:
    """The coins of a script, waiting ones included."""
    return [show.unspent(node.chain, each) for each in node.explorer.unspent(_digest(kind, name))]


@route("/{kind:address|scripthash}/{name}/txs")
def script_transactions(node: RegtestNode, kind: str, name: str) -> Answer:
    """What waits and the newest of what is confirmed."""
    look, digest = node.explorer, _digest(kind, name)
    return show.transactions(
        node.chain, [*look.waiting(digest, MEMPOOL_PAGE), *look.confirmed(digest, limit=CHAIN_PAGE)]
    )


@route("/{kind:address|scripthash}/{name}/txs/chain")
@route("/{kind:address|scripthash}/{name}/txs/chain/{last}")
def script_confirmed(node: RegtestNode, kind: str, name: str, last: str | None = None) -> Answer:
    """Confirmed transactions, the newest first, a page after the last one seen."""
    after = None if last is None else txid_in_path(last)
    return show.transactions(node.chain, node.explorer.confirmed(_digest(kind, name), after, CHAIN_PAGE))


@route("/{kind:address|scripthash}/{name}/txs/mempool")
def script_waiting(node: RegtestNode, kind: str, name: str) -> Answer:
    """Transactions that wait."""
    return show.transactions(node.chain, node.explorer.waiting(_digest(kind, name), MEMPOOL_PAGE))


def _digest(kind: str, name: str) -> bytes:
    if kind == "scripthash":
        return bytes.fromhex(hash_in_path(name))
    try:
        return script_hash(address.decode(name, Network.REGTEST))
    except InvalidAddress as error:
        raise Problem(400, f"Invalid Bitcoin address: {error}") from error
