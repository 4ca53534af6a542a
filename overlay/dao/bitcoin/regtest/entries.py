"""What the mempool keeps of each transaction that waits."""

from typing import NamedTuple

from overlay.dao.bitcoin.transaction import REPLACEABLE, Transaction, Txid


class Entry(NamedTuple):
    """A waiting transaction. `parents` are those of its inputs' transactions that wait as well.

    `replaces` are the waiting ones that have to go for it.
    """

    transaction: Transaction
    txid: Txid
    fee: int
    vsize: int
    sigops_cost: int
    time: int
    height: int
    parents: frozenset[Txid]
    replaces: tuple[Txid, ...] = ()

    @property
    def signals(self) -> bool:
        """Whether it says of itself that it may be replaced (BIP125)."""
        return any(each.sequence <= REPLACEABLE for each in self.transaction.inputs)
