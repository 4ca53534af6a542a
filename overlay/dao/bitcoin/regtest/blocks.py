"""Blocks: read from consensus bytes, and made from a list of transactions (BIP34, BIP141)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from bitcoin.core import CBlock, CBlockHeader
from bitcoin.core.script import CScript
from bitcoin.core.serialize import SerializationError

from overlay.dao.bitcoin.amounts import COIN, Sats
from overlay.dao.bitcoin.headers import double_sha256
from overlay.dao.bitcoin.transaction import (
    FINAL,
    InvalidTransaction,
    Transaction,
    Txid,
    TxInput,
    TxOutput,
    from_library,
    to_library,
)

MAX_BLOCK_BYTES = 4_000_000
BLOCK_VERSION = 0x20000000
# Regtest's easiest target: every second hash is good enough, and it never changes.
EASIEST_BITS = 0x207FFFFF
EASIEST_TARGET = 0x7FFFFF << 8 * (0x20 - 3)
HALVING_BLOCKS = 150
NULL_TXID = Txid("00" * 32)
NULL_VOUT = 0xFFFFFFFF
# OP_RETURN, push of 36 bytes, the mark of BIP141.
COMMITMENT_PREFIX = bytes.fromhex("6a24aa21a9ed")
WITNESS_RESERVED = bytes(32)


class Block(msgspec.Struct, frozen=True):
    """A block with its transactions; hashes in the order that people see them."""

    block_hash: str
    previous: str
    merkle_root: str
    version: int
    time: int
    bits: int
    nonce: int
    transactions: tuple[Transaction, ...]


def parse_block(raw: bytes) -> Block:
    """The block of consensus bytes `raw`; raises InvalidTransaction. Nothing is validated beyond its form."""
    try:
        library = CBlock.deserialize(raw)
    except (SerializationError, ValueError) as error:
        raise InvalidTransaction(f"these {len(raw)} bytes are no block") from error
    return Block(
        _display(library.GetHash()),
        _display(library.hashPrevBlock),
        _display(library.hashMerkleRoot),
        library.nVersion,
        library.nTime,
        library.nBits,
        library.nNonce,
        tuple(from_library(each) for each in library.vtx),
    )


def subsidy(height: int) -> Sats:
    """New coins of a regtest block: 50 bitcoin, halved every 150 blocks."""
    return Sats(50 * COIN >> height // HALVING_BLOCKS)


def assemble(
    previous: str, height: int, time: int, script_pubkey: bytes, transactions: Sequence[Transaction], fees: int
) -> bytes:
    """Consensus bytes of a mined block that pays subsidy and `fees` to `script_pubkey`."""
    libraries = [to_library(each) for each in transactions]
    coinbase = _coinbase(height, Sats(subsidy(height) + fees), script_pubkey, libraries)
    library = CBlock(
        BLOCK_VERSION,
        bytes.fromhex(previous)[::-1],
        nTime=time,
        nBits=EASIEST_BITS,
        vtx=[to_library(coinbase), *libraries],
    )
    header = _mine(library.get_header())
    raw: bytes = library.serialize()
    return header + raw[len(header) :]


def _coinbase(height: int, value: Sats, script_pubkey: bytes, libraries: list[Any]) -> Transaction:
    """BIP34: the height comes first in its script. BIP141: an output commits to all witnesses."""
    wtxids = [bytes(32), *(each.GetHash() for each in libraries)]
    root = CBlock.build_merkle_tree_from_txids(wtxids)[-1]
    commitment = COMMITMENT_PREFIX + double_sha256(root + WITNESS_RESERVED)
    # OP_0 behind the height: the script has at least two bytes by consensus, and small heights take only one.
    script = bytes(CScript([height])) + b"\x00"
    source = TxInput(NULL_TXID, NULL_VOUT, script, FINAL, (WITNESS_RESERVED,))
    return Transaction((source,), (TxOutput(value, script_pubkey), TxOutput(Sats(0), commitment)))


def _mine(header: CBlockHeader) -> bytes:
    """The 80 bytes of the header with the first nonce that meets the target: two tries on average."""
    base: bytes = header.serialize()[:-4]
    nonce = 0
    while int.from_bytes(double_sha256(base + nonce.to_bytes(4, "little")), "little") > EASIEST_TARGET:
        nonce += 1
    return base + nonce.to_bytes(4, "little")


def _display(digest: bytes) -> str:
    return digest[::-1].hex()
