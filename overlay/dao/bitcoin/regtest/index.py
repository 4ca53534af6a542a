"""The outputs of the best chain that are unspent. Like a default bitcoind, this keeps no index of transactions.

Rebuilt at every start from the kernel's blocks, then kept in step with each block that enters or leaves.
"""

from collections.abc import Iterator

from overlay.dao.bitcoin.regtest.blocks import Block
from overlay.dao.bitcoin.regtest.kernel import SpentCoin
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput

Outpoint = tuple[Txid, int]

MEDIAN_SPAN = 11


class OutputIndex:
    """Unspent outputs by outpoint, block times by height."""

    def __init__(self, genesis: Block) -> None:
        self._coins: dict[Outpoint, SpentCoin] = {}
        # The genesis coinbase can't be spent by consensus, so it is no coin.
        self._times = [genesis.time]

    @property
    def height(self) -> int:
        """Height of the last block that was connected."""
        return len(self._times) - 1

    def coin(self, outpoint: Outpoint) -> SpentCoin | None:
        """The unspent output there, if there is one."""
        return self._coins.get(outpoint)

    def coins(self) -> Iterator[tuple[Outpoint, SpentCoin]]:
        """All unspent outputs."""
        return iter(self._coins.items())

    def __len__(self) -> int:
        return len(self._coins)

    def time(self, height: int) -> int:
        """The time of the block at `height`, in seconds."""
        return self._times[height]

    def median_time(self, height: int) -> int:
        """BIP113: the median of the times of the block at `height` and the ten before it."""
        span = sorted(self._times[max(0, height + 1 - MEDIAN_SPAN) : height + 1])
        return span[len(span) // 2]

    def connect(self, block: Block) -> list[list[SpentCoin]]:
        """`block` follows the last one; returns what each transaction after its coinbase spends."""
        self._times.append(block.time)
        spent = []
        for position, transaction in enumerate(block.transactions):
            if position:
                spent.append([self._coins.pop(_spends(each)) for each in transaction.inputs])
            self._add(transaction.txid, transaction, coinbase=position == 0)
        return spent

    def disconnect(self, block: Block, spent: list[list[SpentCoin]]) -> None:
        """The last block, `block`, is undone; `spent` is its undo data."""
        self._times.pop()
        undo: list[list[SpentCoin]] = [[], *spent]
        for transaction, coins in reversed(list(zip(block.transactions, undo, strict=True))):
            txid = transaction.txid
            for vout in range(len(transaction.outputs)):
                self._coins.pop((txid, vout), None)
            inputs = transaction.inputs if coins else ()
            for each, coin in zip(inputs, coins, strict=True):
                self._coins[_spends(each)] = coin

    def _add(self, txid: Txid, transaction: Transaction, *, coinbase: bool) -> None:
        for vout, output in enumerate(transaction.outputs):
            if not unspendable(output):
                self._coins[txid, vout] = SpentCoin(output, self.height, coinbase)


def _spends(each: TxInput) -> Outpoint:
    return each.txid, each.vout


def unspendable(output: TxOutput) -> bool:
    """Whether nobody can ever spend `output`, so that it is no coin."""
    return output.script_pubkey[:1] == b"\x6a"
