"""What an explorer is asked: where a transaction stands, what it spent, who spent it, and what a script has seen."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile, islice
from typing import NamedTuple

from overlay.dao.bitcoin import headers
from overlay.dao.bitcoin.regtest.chain import RegtestChain
from overlay.dao.bitcoin.regtest.history import script_hash
from overlay.dao.bitcoin.regtest.index import Outpoint
from overlay.dao.bitcoin.regtest.kernel import SpentCoin
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxOutput

# Transactions of opened blocks; beyond that all are closed. A full block has up to 10,000, and takes some 20 MB.
MAX_KEPT = 10_000


class Sighting(NamedTuple):
    """A transaction, the outputs that its inputs spend (none for a coinbase), and its block's height if it has one."""

    transaction: Transaction
    spent: tuple[TxOutput, ...]
    height: int | None

    @property
    def fee(self) -> int:
        """What it pays to the miner, in satoshis; a coinbase pays nothing."""
        given = sum(each.amount for each in self.spent)
        return given - sum(each.amount for each in self.transaction.outputs) if self.spent else 0

    def concerns(self, digest: bytes) -> bool:
        """Whether it pays to or spends from the script of that hash."""
        return any(script_hash(each.script_pubkey) == digest for each in (*self.transaction.outputs, *self.spent))


class Proof(NamedTuple):
    """That the transaction at `position` is in the block at `height`; hashes in the order of the wire."""

    height: int
    position: int
    branch: list[bytes]


class Unspent(NamedTuple):
    """An output that nothing spends; `height` is None while its transaction waits."""

    outpoint: Outpoint
    output: TxOutput
    height: int | None


class Explorer:
    """Looks things up in a chain and its mempool, and changes neither. Blocks that it has read it keeps for a while."""

    def __init__(self, chain: RegtestChain) -> None:
        self._chain = chain
        self._opened: dict[str, dict[Txid, Sighting]] = {}

    def find(self, txid: Txid) -> Sighting | None:
        """The transaction, confirmed or waiting."""
        height = self._chain.history.height(txid)
        if height is not None:
            return self._open(self._chain.kernel.block_hash(height))[txid]._replace(height=height)
        entry = self._chain.mempool.get(txid)
        return None if entry is None else self._waiting(entry.transaction)

    def block(self, height: int) -> list[Sighting]:
        """All transactions of the block at `height` of the best chain; what others would spend nobody has recorded."""
        opened = self._open(self._chain.kernel.block_hash(height))
        return [each._replace(height=height) for each in opened.values()]

    def confirmed(self, digest: bytes, after: Txid | None = None, limit: int | None = None) -> list[Sighting]:
        """The newest `limit` confirmed transactions of a script, or the next ones after `after`."""
        txids: Iterable[Txid] = reversed(self._chain.history.of(digest))
        if after is not None:
            txids = islice(dropwhile(lambda each: each != after, txids), 1, None)
        return [found for txid in islice(txids, limit) if (found := self.find(txid))]

    def waiting(self, digest: bytes, limit: int | None = None) -> list[Sighting]:
        """Waiting transactions of a script, the newest first."""
        shown = (self._waiting(entry.transaction) for entry in reversed(list(self._chain.mempool)))
        return list(islice((each for each in shown if each.concerns(digest)), limit))

    def unspent(self, digest: bytes) -> list[Unspent]:
        """Outputs to a script that nothing spends, neither in the chain nor in the mempool. Looks through all."""
        return [
            each
            for each in (*self._confirmed_outputs(), *self._waiting_outputs())
            if script_hash(each.output.script_pubkey) == digest and self._chain.mempool.spender(each.outpoint) is None
        ]

    def spender(self, outpoint: Outpoint) -> tuple[Sighting, int] | None:
        """The transaction that spends an output, and by which of its inputs."""
        txid = self._chain.history.spender(outpoint) or self._chain.mempool.spender(outpoint)
        found = None if txid is None else self.find(txid)
        if found is None:
            return None
        return found, [(each.txid, each.vout) for each in found.transaction.inputs].index(outpoint)

    def proof(self, txid: Txid) -> Proof | None:
        """That a transaction is confirmed, and where."""
        height = self._chain.history.height(txid)
        if height is None:
            return None
        txids = list(self._open(self._chain.kernel.block_hash(height)))
        position = txids.index(txid)
        return Proof(height, position, headers.branch([bytes.fromhex(each)[::-1] for each in txids], position))

    def _open(self, block_hash: str) -> dict[Txid, Sighting]:
        """The transactions of a known block in their order, all without height."""
        if block_hash not in self._opened:
            if sum(map(len, self._opened.values())) >= MAX_KEPT:
                self._opened.clear()
            self._opened[block_hash] = self._read(block_hash)
        return self._opened[block_hash]

    def _read(self, block_hash: str) -> dict[Txid, Sighting]:
        transactions = self._chain.block(block_hash).transactions
        # The first block has no undo data, and only a coinbase.
        undo = self._chain.kernel.spent_by(block_hash) if self._chain.kernel.find(block_hash) else []
        spent: list[list[SpentCoin]] = [[], *undo]
        return {
            each.txid: Sighting(each, tuple(coin.output for coin in coins), None)
            for each, coins in zip(transactions, spent, strict=True)
        }

    def _waiting(self, transaction: Transaction) -> Sighting:
        coins = [self._chain.mempool.coin((each.txid, each.vout)) for each in transaction.inputs]
        return Sighting(transaction, tuple(coin.output for coin in coins if coin is not None), None)

    def _confirmed_outputs(self) -> Iterator[Unspent]:
        for outpoint, coin in self._chain.index.coins():
            yield Unspent(outpoint, coin.output, coin.height)

    def _waiting_outputs(self) -> Iterator[Unspent]:
        for entry in self._chain.mempool:
            for vout, output in enumerate(entry.transaction.outputs):
                yield Unspent((entry.txid, vout), output, None)


class Stats(NamedTuple):
    """How much a script was given and has spent, by a set of transactions."""

    transactions: int
    funded: Sequence[int]
    spent: Sequence[int]


def stats(sightings: Sequence[Sighting], digest: bytes) -> Stats:
    """The amounts of all outputs to the script of that hash, and of those that were spent."""
    outputs = [each for sighting in sightings for each in sighting.transaction.outputs]
    inputs = [each for sighting in sightings for each in sighting.spent]
    return Stats(len(sightings), _amounts(outputs, digest), _amounts(inputs, digest))


def _amounts(outputs: Sequence[TxOutput], digest: bytes) -> list[int]:
    return [each.amount for each in outputs if script_hash(each.script_pubkey) == digest]
