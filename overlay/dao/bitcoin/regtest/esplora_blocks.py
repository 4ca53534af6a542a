"""Esplora's routes about blocks."""

from overlay.dao.bitcoin.headers import HEADER_BYTES
from overlay.dao.bitcoin.regtest import esplora_views as show
from overlay.dao.bitcoin.regtest.blocks import Block
from overlay.dao.bitcoin.regtest.chain import RegtestChain
from overlay.dao.bitcoin.regtest.esplora_table import CHAIN_PAGE, Answer, Problem, hash_in_path, number_in_path, route
from overlay.dao.bitcoin.regtest.node import RegtestNode

BLOCKS_PAGE = 10


@route("/blocks/tip/height")
def tip_height(node: RegtestNode) -> Answer:
    """Height of the best block."""
    return str(node.chain.height)


@route("/blocks/tip/hash")
def tip_hash(node: RegtestNode) -> Answer:
    """Hash of the best block."""
    return node.chain.tip


@route("/blocks")
@route("/blocks/{height}")
def newest_blocks(node: RegtestNode, height: str | None = None) -> Answer:
    """Ten blocks, downwards from the tip or a height."""
    start = node.chain.height if height is None else _height(node.chain, height)
    hashes = [node.chain.kernel.block_hash(each) for each in range(start, max(start - BLOCKS_PAGE, -1), -1)]
    return [show.block(node.chain, node.chain.block(each)) for each in hashes]


@route("/block-height/{height}")
def block_at(node: RegtestNode, height: str) -> Answer:
    """Hash of the block at a height."""
    return node.chain.kernel.block_hash(_height(node.chain, height))


@route("/block/{block_hash}")
def block(node: RegtestNode, block_hash: str) -> Answer:
    """A block without its transactions."""
    return show.block(node.chain, _block(node.chain, block_hash))


@route("/block/{block_hash}/header")
def block_header(node: RegtestNode, block_hash: str) -> Answer:
    """The 80 bytes of a header, in hex."""
    return _raw_block(node.chain, block_hash)[:HEADER_BYTES].hex()


@route("/block/{block_hash}/raw")
def raw_block(node: RegtestNode, block_hash: str) -> Answer:
    """A block in consensus bytes."""
    return _raw_block(node.chain, block_hash)


@route("/block/{block_hash}/status")
def block_status(node: RegtestNode, block_hash: str) -> Answer:
    """Whether a block is in the best chain, and what follows it there."""
    found = _known(node.chain, block_hash)
    depth = node.chain.confirmations(found)
    if depth < 1:
        return {"in_best_chain": False}
    height = node.chain.height - depth + 1
    following = node.chain.kernel.block_hash(height + 1) if depth > 1 else None
    return {"in_best_chain": True, "height": height, "next_best": following}


@route("/block/{block_hash}/txids")
def block_txids(node: RegtestNode, block_hash: str) -> Answer:
    """The ids of a block's transactions."""
    return [each.txid for each in _block(node.chain, block_hash).transactions]


@route("/block/{block_hash}/txid/{index}")
def block_txid(node: RegtestNode, block_hash: str, index: str) -> Answer:
    """The id of one of a block's transactions."""
    txids = [each.txid for each in _block(node.chain, block_hash).transactions]
    return txids[number_in_path(index, len(txids) - 1, "tx index out of range")]


@route("/block/{block_hash}/txs")
@route("/block/{block_hash}/txs/{start}")
def block_transactions(node: RegtestNode, block_hash: str, start: str = "0") -> Answer:
    """Twenty-five transactions of a block of the best chain, from a multiple of that on."""
    depth = node.chain.confirmations(_known(node.chain, block_hash))
    if depth < 1:
        raise Problem(404, "Block not in the best chain")
    sightings = node.explorer.block(node.chain.height - depth + 1)
    first = number_in_path(start, len(sightings) - 1, "start index out of range")
    if first % CHAIN_PAGE:
        raise Problem(400, f"start index must be a multiple of {CHAIN_PAGE}")
    return show.transactions(node.chain, sightings[first : first + CHAIN_PAGE])


def _block(chain: RegtestChain, text: str) -> Block:
    return chain.block(_known(chain, text))


def _raw_block(chain: RegtestChain, text: str) -> bytes:
    return chain.kernel.raw_block(_known(chain, text))


def _known(chain: RegtestChain, text: str) -> str:
    """`text` as the hash of a known block."""
    wanted = hash_in_path(text)
    if chain.kernel.find(wanted) is None:
        raise Problem(404, "Block not found")
    return wanted


def _height(chain: RegtestChain, text: str) -> int:
    return number_in_path(text, chain.height, "Block not found")
