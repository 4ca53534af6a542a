"""Transactions that wait for a block: each valid on top of the chain and the ones before it, none in conflict."""

from collections.abc import Iterator, Sequence

from overlay.dao.bitcoin.amounts import MAX_MONEY
from overlay.dao.bitcoin.regtest import policy, replacement
from overlay.dao.bitcoin.regtest.blocks import Block
from overlay.dao.bitcoin.regtest.entries import Entry
from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.regtest.index import Outpoint, OutputIndex
from overlay.dao.bitcoin.regtest.kernel import Kernel, SpentCoin
from overlay.dao.bitcoin.regtest.timelocks import check_final, check_sequence_locks
from overlay.dao.bitcoin.transaction import Transaction, Txid, serialize

COINBASE_MATURITY = 100
MAX_ANCESTORS = 25  # itself included, as in Bitcoin Core
# Ten full blocks of 1,000,000 virtual bytes: 40 MB at worst, since a witness byte counts a quarter.
MAX_MEMPOOL_VSIZE = 10_000_000
MISSING = "bad-txns-inputs-missingorspent"


class Mempool:
    """Accepts by the rules of consensus (the kernel checks the scripts) and Bitcoin Core's policy."""

    def __init__(self, kernel: Kernel, index: OutputIndex) -> None:
        self._kernel, self._index = kernel, index
        self._entries: dict[Txid, Entry] = {}
        self._spenders: dict[Outpoint, Txid] = {}

    def __iter__(self) -> Iterator[Entry]:
        """In the order of arrival, so parents come before their children."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def vsize(self) -> int:
        """Virtual bytes of all entries."""
        return sum(entry.vsize for entry in self)

    def get(self, txid: Txid) -> Entry | None:
        """The waiting transaction of that id."""
        return self._entries.get(txid)

    def spender(self, outpoint: Outpoint) -> Txid | None:
        """Who among the waiting spends that output."""
        return self._spenders.get(outpoint)

    def coin(self, outpoint: Outpoint) -> SpentCoin | None:
        """The output there, confirmed or waiting, spent by a waiting one or not."""
        entry = self._entries.get(outpoint[0])
        if entry is not None and outpoint[1] < len(entry.transaction.outputs):
            return SpentCoin(entry.transaction.outputs[outpoint[1]], self._next_height, coinbase=False)
        return self._index.coin(outpoint)

    def ancestors(self, parents: frozenset[Txid]) -> set[Txid]:
        """`parents` and all that they build on."""
        found: set[Txid] = set()
        unseen = list(parents)
        while unseen:
            txid = unseen.pop()
            if txid not in found:
                found.add(txid)
                unseen += self._entries[txid].parents
        return found

    def descendants(self, txid: Txid) -> list[Txid]:
        """`txid` and all that build on it, in order of arrival."""
        found = {txid}
        for entry in self:
            if entry.parents & found:
                found.add(entry.txid)
        return [each for each in self._entries if each in found]

    def add(self, entry: Entry) -> None:
        """Take in what `test` has just made, in the place of what it replaces."""
        self._forget_all(entry.replaces)
        self._entries[entry.txid] = entry
        for each in entry.transaction.inputs:
            self._spenders[each.txid, each.vout] = entry.txid

    def test(self, transaction: Transaction, time: int) -> Entry:
        """The entry that `transaction` would be, at `time` in seconds; changes nothing. Raises Refused."""
        policy.check_form(transaction)
        policy.check_standard(transaction)
        check_final(transaction, self._next_height, self._index.median_time(self._index.height))
        txid = transaction.txid
        self._check_new(transaction, txid)
        coins = self._coins(transaction, txid)
        check_sequence_locks(transaction, coins, self._index)
        fee = self._check_amounts(transaction, coins)
        sigops_cost = policy.check_spending(transaction, [coin.output for coin in coins])
        vsize = transaction.vsize
        policy.check_fee(fee, vsize)
        entry = Entry(
            transaction,
            txid,
            fee,
            vsize,
            sigops_cost,
            time,
            self._index.height,
            frozenset(each.txid for each in transaction.inputs if each.txid in self._entries),
        )
        entry = entry._replace(replaces=self._check_replacement(entry))
        self._check_room(entry)
        self._check_scripts(entry, coins)
        return entry

    def remove_confirmed(self, block: Block) -> None:
        """Forget what `block` contains, and what can no longer be because of it."""
        for transaction in block.transactions[1:]:
            self._forget(transaction.txid)
        for transaction in block.transactions[1:]:
            for each in transaction.inputs:
                loser = self._spenders.get((each.txid, each.vout))
                if loser is not None:
                    self._forget_all(self.descendants(loser))

    def clear(self) -> list[Transaction]:
        """Forget everything; the transactions that waited, in order."""
        waited = [entry.transaction for entry in self]
        self._entries.clear()
        self._spenders.clear()
        return waited

    @property
    def _next_height(self) -> int:
        return self._index.height + 1

    def _check_new(self, transaction: Transaction, txid: Txid) -> None:
        known = self._entries.get(txid)
        if known is not None:
            same = known.transaction == transaction
            raise Refused("txn-already-in-mempool" if same else "txn-same-nonwitness-data-in-mempool")

    def _coins(self, transaction: Transaction, txid: Txid) -> list[SpentCoin]:
        coins = [self.coin((each.txid, each.vout)) for each in transaction.inputs]
        found = [coin for coin in coins if coin is not None]
        if len(found) == len(coins):
            return found
        if any(self._index.coin((txid, vout)) for vout in range(len(transaction.outputs))):
            raise Refused("txn-already-known")
        raise Refused(MISSING)

    def _check_amounts(self, transaction: Transaction, coins: Sequence[SpentCoin]) -> int:
        """CheckTxInputs of consensus: maturity and sums. The fee."""
        for coin in coins:
            depth = self._next_height - coin.height
            if coin.coinbase and depth < COINBASE_MATURITY:
                raise Refused("bad-txns-premature-spend-of-coinbase", f"tried to spend coinbase at depth {depth}")
        given = sum(coin.output.amount for coin in coins)
        if given > MAX_MONEY:
            raise Refused("bad-txns-inputvalues-outofrange")
        wanted = sum(output.amount for output in transaction.outputs)
        if given < wanted:
            raise Refused("bad-txns-in-belowout", f"value in ({given} sat) < value out ({wanted} sat)")
        return given - wanted

    def _check_replacement(self, entry: Entry) -> tuple[Txid, ...]:
        """The waiting transactions that would have to go for `entry`, with all that build on them."""
        inputs = entry.transaction.inputs
        rivals = {txid for each in inputs if (txid := self._spenders.get((each.txid, each.vout)))}
        replacement.check_disjoint(entry.txid, self.ancestors(entry.parents), rivals)
        replaced = tuple(dict.fromkeys(each for rival in sorted(rivals) for each in self.descendants(rival)))
        waiting_inputs = [number for number, each in enumerate(inputs) if each.txid in self._entries]
        if rivals:
            entries = [self._entries[txid] for txid in replaced]
            replacement.check(entry, [self._entries[txid] for txid in sorted(rivals)], entries, waiting_inputs)
        return replaced

    def _check_room(self, entry: Entry) -> None:
        if len(self.ancestors(entry.parents)) + 1 > MAX_ANCESTORS:
            raise Refused("too-long-mempool-chain", f"too many unconfirmed ancestors [limit: {MAX_ANCESTORS}]")
        leaving = sum(self._entries[txid].vsize for txid in entry.replaces)
        if self.vsize - leaving + entry.vsize > MAX_MEMPOOL_VSIZE:
            raise Refused("mempool full")

    def _check_scripts(self, entry: Entry, coins: Sequence[SpentCoin]) -> None:
        spent = [coin.output for coin in coins]
        bad = self._kernel.first_bad_input(serialize(entry.transaction), spent)
        if bad is not None:
            each = entry.transaction.inputs[bad]
            raise Refused(
                "mandatory-script-verify-flag-failed (the script of the spent output is not satisfied)",
                f"input {bad} of {entry.txid}, spending {each.txid}:{each.vout}",
            )

    def _forget_all(self, txids: Sequence[Txid]) -> None:
        for txid in txids:
            self._forget(txid)

    def _forget(self, txid: Txid) -> None:
        entry = self._entries.pop(txid, None)
        if entry is None:
            return
        for each in entry.transaction.inputs:
            del self._spenders[each.txid, each.vout]
        for vout in range(len(entry.transaction.outputs)):
            child = self._spenders.get((txid, vout))
            if child is not None:
                other = self._entries[child]
                self._entries[child] = other._replace(parents=other.parents - {txid})
