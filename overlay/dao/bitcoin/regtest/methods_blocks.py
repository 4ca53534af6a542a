"""Methods about the chain and its blocks."""

from typing import Any

from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest import views
from overlay.dao.bitcoin.regtest.blocks import EASIEST_BITS, EASIEST_TARGET, Block
from overlay.dao.bitcoin.regtest.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from overlay.dao.bitcoin.regtest.node import RegtestNode
from overlay.dao.bitcoin.regtest.table import METHODS, hash_argument

HEADER_BYTES = 80


@METHODS.add("getblockchaininfo")
def chain_info(node: RegtestNode) -> dict[str, Any]:
    """The state of the chain."""
    chain = node.chain
    return {
        "chain": Network.REGTEST.value,
        "blocks": chain.height,
        "headers": chain.height,
        "bestblockhash": chain.tip,
        "bits": f"{EASIEST_BITS:08x}",
        "target": f"{EASIEST_TARGET:064x}",
        "difficulty": views.difficulty(),
        "time": chain.block(chain.tip).time,
        "mediantime": chain.index.median_time(chain.height),
        "verificationprogress": 1,
        "initialblockdownload": False,
        "chainwork": views.chain_work(chain.height),
        "pruned": False,
        "warnings": [],
    }


@METHODS.add("getblockcount")
def block_count(node: RegtestNode) -> int:
    """The height of the best block."""
    return node.chain.height


@METHODS.add("getbestblockhash")
def best_block_hash(node: RegtestNode) -> str:
    """The hash of the best block."""
    return node.chain.tip


@METHODS.add("getblockhash")
def block_hash(node: RegtestNode, height: int) -> str:
    """The hash of the block at that height of the best chain."""
    if not 0 <= height <= node.chain.height:
        raise RpcError(INVALID_PARAMETER, "Block height out of range")
    return node.chain.kernel.block_hash(height)


@METHODS.add("getblock")
def block(node: RegtestNode, blockhash: str, verbosity: int | bool = 1) -> str | dict[str, Any]:
    """A block: as hex (0), with the ids of its transactions (1), or with the transactions (2)."""
    block = _block(node, blockhash)
    if int(verbosity) <= 0:
        return node.chain.kernel.raw_block(block.block_hash).hex()
    return views.block(node.chain, block, verbose=int(verbosity) >= 2)


@METHODS.add("getblockheader")
def block_header(node: RegtestNode, blockhash: str, verbose: bool = True) -> str | dict[str, Any]:
    """A block's header, as hex unless verbose."""
    block = _block(node, blockhash)
    if not verbose:
        return node.chain.kernel.raw_block(block.block_hash)[:HEADER_BYTES].hex()
    return views.header(node.chain, block)


def _block(node: RegtestNode, blockhash: str) -> Block:
    wanted = hash_argument(blockhash, "blockhash")
    if node.chain.kernel.find(wanted) is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found")
    return node.chain.block(wanted)
