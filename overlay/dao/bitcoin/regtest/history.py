"""Which transactions of the best chain concern a script, where each stands, and who spent what. For Esplora's clients.

Kept in memory, rebuilt at every start like the outputs. Transactions are named by their 32 bytes, one object each
that all three tables share, and scripts by their hashes.
"""

import hashlib
from collections.abc import Iterator, Sequence

from overlay.dao.bitcoin.regtest.blocks import Block
from overlay.dao.bitcoin.regtest.index import Outpoint, unspendable
from overlay.dao.bitcoin.regtest.kernel import SpentCoin
from overlay.dao.bitcoin.transaction import Transaction, Txid, outpoint


def script_hash(script_pubkey: bytes) -> bytes:
    """How Esplora names a script: its SHA-256, in the order of the digest."""
    return hashlib.sha256(script_pubkey).digest()


class HistoryIndex:
    """Confirmed transactions by id, by script, and by the output that they spend."""

    def __init__(self) -> None:
        self._heights: dict[bytes, int] = {}
        self._scripts: dict[bytes, list[bytes]] = {}
        self._spenders: dict[bytes, bytes] = {}

    def height(self, txid: Txid) -> int | None:
        """Height of the block that holds the transaction."""
        return self._heights.get(bytes.fromhex(txid))

    def of(self, digest: bytes) -> Sequence[Txid]:
        """What paid to or spent from the script of that hash (see `script_hash`), the oldest first."""
        return [Txid(each.hex()) for each in self._scripts.get(digest, ())]

    def spender(self, spent: Outpoint) -> Txid | None:
        """The transaction that spent that output."""
        found = self._spenders.get(outpoint(*spent))
        return None if found is None else Txid(found.hex())

    def connect(self, height: int, block: Block, spent: Sequence[Sequence[SpentCoin]]) -> None:
        """`block`, at `height`, follows the last one; `spent` by each transaction after its coinbase."""
        for transaction, coins in _with_coins(block, spent):
            txid = bytes.fromhex(transaction.txid)
            self._heights[txid] = height
            for digest in _touched(transaction, coins):
                self._scripts.setdefault(digest, []).append(txid)
            for each in transaction.inputs[: len(coins)]:
                self._spenders[outpoint(each.txid, each.vout)] = txid

    def disconnect(self, block: Block, spent: Sequence[Sequence[SpentCoin]]) -> None:
        """The last block, `block`, is undone; `spent` as it was for `connect`."""
        for transaction, coins in reversed(list(_with_coins(block, spent))):
            del self._heights[bytes.fromhex(transaction.txid)]
            for digest in _touched(transaction, coins):
                self._scripts[digest].pop()
                if not self._scripts[digest]:
                    del self._scripts[digest]
            for each in transaction.inputs[: len(coins)]:
                del self._spenders[outpoint(each.txid, each.vout)]


def _with_coins(
    block: Block, spent: Sequence[Sequence[SpentCoin]]
) -> Iterator[tuple[Transaction, Sequence[SpentCoin]]]:
    """Each transaction with what it spends: nothing for the coinbase."""
    return zip(block.transactions, [(), *spent], strict=True)


def _touched(transaction: Transaction, coins: Sequence[SpentCoin]) -> set[bytes]:
    """Hashes of the scripts that a transaction pays to or spends from."""
    outputs = [each for each in transaction.outputs if not unspendable(each)]
    return {script_hash(each.script_pubkey) for each in [*outputs, *(coin.output for coin in coins)]}
