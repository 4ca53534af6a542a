"""One regtest chain with its mempool: kernel, journals, indexes and policy kept in step.

data folder/
  kernel/            blocks and chainstate of libbitcoinkernel
  blocks.journal     every block ever accepted, on disk before anybody hears of it
  mempool.journal    transactions that wait
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from overlay.dao.bitcoin.regtest import blocks
from overlay.dao.bitcoin.regtest.blocks import Block, parse_block
from overlay.dao.bitcoin.regtest.entries import Entry
from overlay.dao.bitcoin.regtest.errors import BlockRefused, Refused
from overlay.dao.bitcoin.regtest.history import HistoryIndex
from overlay.dao.bitcoin.regtest.index import OutputIndex
from overlay.dao.bitcoin.regtest.journal import Journal
from overlay.dao.bitcoin.regtest.kernel import ChainEvent, Change, Kernel
from overlay.dao.bitcoin.regtest.mempool import Mempool
from overlay.dao.bitcoin.transaction import (
    InvalidTransaction,
    Transaction,
    Txid,
    parse,
    serialize,
)

# Of 4,000,000 weight units and 80,000 sigops of a block; the rest is room for header and coinbase.
MAX_BLOCK_WEIGHT = 4_000_000 - 8_000
MAX_BLOCK_SIGOPS_COST = 80_000 - 400


def open_chain(folder: Path, time: int) -> "RegtestChain":
    """The chain in `folder`, which nobody else may use; close it. `time` in seconds since the epoch.

    Blocks that the journal knows and the kernel has lost, because it was killed, are given to it again.
    """
    with ExitStack() as opened:
        kernel = Kernel(folder / "kernel")
        opened.callback(kernel.close)
        block_journal = Journal(folder / "blocks.journal")
        opened.callback(block_journal.close)
        pool_journal = Journal(folder / "mempool.journal")
        opened.callback(pool_journal.close)
        for raw in block_journal.records:
            if kernel.find(parse_block(raw).block_hash) is None:
                kernel.submit(raw)
        chain = RegtestChain(kernel, block_journal, pool_journal, time)
        opened.pop_all()
    return chain


class RegtestChain:
    """What one kernel, its journals, an index and a mempool are together. Methods leave them consistent."""

    def __init__(self, kernel: Kernel, block_journal: Journal, pool_journal: Journal, time: int) -> None:
        """Use `open_chain`."""
        self.kernel = kernel
        self._block_journal, self._pool_journal = block_journal, pool_journal
        self.index, self.history = _build_indexes(kernel)
        self.mempool = Mempool(kernel, self.index)
        self._readmit(_transactions(pool_journal.records), time)
        self._save_mempool()

    @property
    def height(self) -> int:
        """Height of the best block."""
        return self.index.height

    @property
    def tip(self) -> str:
        """Hash of the best block."""
        return self.kernel.block_hash(self.height)

    def block(self, block_hash: str) -> Block:
        """A known block; KeyError for any other."""
        return parse_block(self.kernel.raw_block(block_hash))

    def confirmations(self, block_hash: str) -> int:
        """How deep a known block lies in the best chain; -1 beside it."""
        height = self.kernel.find(block_hash)
        if height is None or height > self.height or self.kernel.block_hash(height) != block_hash:
            return -1
        return self.height - height + 1

    def send(self, transaction: Transaction, time: int) -> Entry:
        """Into the mempool; raises Refused."""
        entry = self.mempool.test(transaction, time)
        self.admit(entry)
        return entry

    def admit(self, entry: Entry) -> None:
        """Into the mempool, with what `mempool.test` has just made."""
        self.mempool.add(entry)
        self._pool_journal.append(serialize(entry.transaction))
        self._pool_journal.sync()

    def mine(self, script_pubkey: bytes, time: int) -> str:
        """A block of what waits, oldest first, paying `script_pubkey`; its hash. Safe after `sync`.

        Its time is `time`, or one second past the median of the last blocks if that is later. The kernel compares
        it with the machine's clock, and refuses what is more than two hours ahead of that: raises BlockRefused.
        """
        entries = list(_fitting(self.mempool))
        raw = blocks.assemble(
            self.tip,
            self.height + 1,
            max(time, self.index.median_time(self.height) + 1),
            script_pubkey,
            [entry.transaction for entry in entries],
            sum(entry.fee for entry in entries),
        )
        self.submit(raw, time)
        return self.tip

    def submit(self, raw: bytes, time: int) -> None:
        """Have the kernel judge a block, and follow it; raises BlockRefused. Safe after `sync`."""
        result = self.kernel.submit(raw)
        if result.refused is None:
            self._block_journal.append(raw)
        self._follow(result.events, time)
        if result.refused is not None:
            raise BlockRefused(result.refused)

    def sync(self) -> None:
        """Every block so far is on disk when this returns."""
        self._block_journal.sync()

    def close(self) -> None:
        """Write everything to disk."""
        self._block_journal.sync()
        self._save_mempool()
        self._block_journal.close()
        self._pool_journal.close()
        self.kernel.close()

    def _follow(self, events: list[ChainEvent], time: int) -> None:
        undone: list[Transaction] = []
        for event in events:
            block = parse_block(event.raw)
            if event.change is Change.DISCONNECTED:
                spent = self.kernel.spent_by(event.block_hash)
                self.index.disconnect(block, spent)
                self.history.disconnect(block, spent)
                undone = [*block.transactions[1:], *undone]
            elif event.height > self.index.height:
                self.history.connect(event.height, block, self.index.connect(block))
                self.mempool.remove_confirmed(block)
        if any(event.change is Change.DISCONNECTED for event in events):
            # What left the chain waits again, before what may build on it; what no longer holds is dropped.
            self._readmit([*undone, *self.mempool.clear()], time)

    def _save_mempool(self) -> None:
        self._pool_journal.replace([serialize(entry.transaction) for entry in self.mempool])

    def _readmit(self, transactions: Iterable[Transaction], time: int) -> None:
        for transaction in transactions:
            try:
                self.mempool.add(self.mempool.test(transaction, time))
            except Refused:  # What the chain no longer allows is dropped, as by bitcoind.
                continue


def _build_indexes(kernel: Kernel) -> tuple[OutputIndex, HistoryIndex]:
    genesis = parse_block(kernel.raw_block(kernel.block_hash(0)))
    index, history = OutputIndex(genesis), HistoryIndex()
    history.connect(0, genesis, [])
    for height in range(1, kernel.height + 1):
        block = parse_block(kernel.raw_block(kernel.block_hash(height)))
        history.connect(height, block, index.connect(block))
    return index, history


def _transactions(records: list[bytes]) -> Iterable[Transaction]:
    for raw in records:
        try:
            yield parse(raw)
        except InvalidTransaction:  # A damaged record costs only itself.
            continue


def _fitting(mempool: Mempool) -> Iterable[Entry]:
    """What fits into one block, in order; nothing whose parent was left out."""
    weight, sigops, left_out = 0, 0, set[Txid]()
    for entry in mempool:
        weight_then = weight + entry.transaction.weight
        sigops_then = sigops + entry.sigops_cost
        full = weight_then > MAX_BLOCK_WEIGHT or sigops_then > MAX_BLOCK_SIGOPS_COST
        if full or entry.parents & left_out:
            left_out.add(entry.txid)
        else:
            weight, sigops = weight_then, sigops_then
            yield entry
