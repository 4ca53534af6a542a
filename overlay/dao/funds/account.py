"""What this member's own chain backend shows of a treasury: its coins, and which proposals it has paid.

Every payment of a treasury names its proposal in its lock time, spends the oldest coin, and leaves change, so the
coins of a treasury tell its history: each change was made by a payment, whose coins were made by payments before. A
member's node therefore finds out by itself that a proposal is paid, whoever signed, and whatever anybody says.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.chronicle import Mined
from overlay.dao.assembly.proposals import Payment, paying
from overlay.dao.bitcoin.backend import ChainBackend
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.transaction import Transaction, Txid, parse
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Ledger

log = logging.getLogger(__name__)

# Lock times from 500,000,000 on are times; 2^30 seconds later is 14 November 2019, so all of them have passed.
FIRST_LOCKTIME, LOCKTIME_BITS = 500_000_000, 30
# The change is the last output of a payment, behind those of its payees.
FIRST_CHANGE = 1
# Less is not worth spending: an input takes 58 virtual bytes, so at 17 sat/vB a coin of 1,000 sat pays for itself.
MIN_COIN = 1_000
# Coins are looked for again at a new block and after so long. Where a search takes longer than a new block is worth (a
# bitcoind without an index reads the whole set of unspent outputs), only after four times as long as it took.
REFRESH_SECONDS, SLOW_SECONDS, SLOW_FACTOR = 5.0, 2.0, 4.0
# Transactions kept in memory: 10,000 of about 200 bytes.
MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """A treasury at one moment: the height of the chain, and the coins worth spending, oldest first."""

    script: bytes
    height: int
    coins: tuple[Coin, ...]


@dataclass(frozen=True, slots=True)
class _Scan:
    height: int
    coins: tuple[Coin, ...]
    at: float
    took: float

    def is_fresh(self, height: int, now: float) -> bool:
        """Whether a search now would hardly find anything else. An old view is no danger, only a delay."""
        if self.took > SLOW_SECONDS:
            return now < self.at + SLOW_FACTOR * self.took
        return height == self.height and now < self.at + REFRESH_SECONDS


def tag(proposal: bytes) -> int:
    """The lock time of a proposal's payment: it names the proposal, and delays nothing."""
    return FIRST_LOCKTIME + (int.from_bytes(proposal[:4]) >> (32 - LOCKTIME_BITS))


def mined_as_another(db: sqlite3.Connection, group: Charter, asked: Payment) -> Mined | None:
    """The payment of a proposal that our ledger did not know, or not as this one, when it was mined.

    Who kept it from us must not have it paid again by us.
    """
    first = (tag(asked.id) - FIRST_LOCKTIME) << (32 - LOCKTIME_BITS)
    behind = (first + (1 << (32 - LOCKTIME_BITS))).to_bytes(5)
    ids = (first.to_bytes(4), behind[1:] if not behind[0] else bytes([255]) * 33)
    told = [(each.script, each.amount) for each in asked.payees]
    for each in chronicle.between(db, group, *ids):
        if [(paid.script_pubkey, paid.amount) for paid in parse(each.raw).outputs[:-1]] == told:
            return Mined(asked.id, each.txid, each.raw, each.height)
    return None


def _nameless(txid: Txid, locktime: int) -> BlockHash:
    """What stands for the proposal of a payment that our ledger does not know (yet): it has the same lock time."""
    first = (locktime - FIRST_LOCKTIME) << (32 - LOCKTIME_BITS)
    return BlockHash(first.to_bytes(4) + bytes.fromhex(txid)[4:])


class Accounts:
    """Looks at the treasuries of this node's groups, and records which proposals it has seen paid."""

    def __init__(self, ledger: Ledger, backend: ChainBackend) -> None:
        self._ledger, self._backend = ledger, backend
        self._scans: dict[bytes, _Scan] = {}
        self._scanning = asyncio.Lock()
        self._kept: dict[Txid, bytes] = {}

    async def look(self, group: Charter, script: bytes) -> Account:
        """The account as our backend shows it now; what it shows paid is in the chronicle. Raises BackendError."""
        scan = await self._scan(script)
        found = {each.proposal: each for each in await self._history(group, script, scan.coins)}
        gone = [mined for mined in chronicle.unsettled(self._ledger.db, group) if mined.proposal not in found]
        still = {mined.proposal: again for mined in gone if (again := await self._look_again(mined))}
        if chronicle.would_change(self._ledger.db, group, found | still, scan.height):
            await self._ledger.transact(lambda tx: chronicle.write(tx.db, group, found | still, scan.height))
        return Account(script, scan.height, tuple(coin for coin in scan.coins if coin.amount >= MIN_COIN))

    async def _scan(self, script: bytes) -> _Scan:
        async with self._scanning:
            known, height, now = self._scans.get(script), await self._backend.height(), self._ledger.clock.monotonic()
            if known is not None and known.is_fresh(height, now):
                return known
            coins = sorted(await self._backend.coins(script), key=lambda coin: (coin.height, coin.txid, coin.vout))
            then = self._ledger.clock.monotonic()
            self._scans[script] = _Scan(height, tuple(coins), then, then - now)
            if new := set(coins) - set(chronicle.coins(self._ledger.db, script)):
                await self._ledger.transact(lambda tx: chronicle.keep_coins(tx.db, new))
            return self._scans[script]

    async def _history(self, group: Charter, script: bytes, coins: Iterable[Coin]) -> list[Mined]:
        """The payments among the transactions that made the coins and those that made theirs, the earliest last."""
        found: dict[Txid, list[Mined]] = {}
        waiting: list[tuple[Txid, int | None]] = [
            (coin.txid, coin.height) for coin in coins if coin.vout >= FIRST_CHANGE
        ]
        while waiting:
            txid, height = waiting.pop()
            if txid in found or chronicle.is_settled(self._ledger.db, txid):
                continue
            mined = await self._mined(group, script, txid, height)
            if mined:
                found[txid] = mined
                waiting += [(each.txid, None) for each in parse(mined[0].raw).inputs if each.vout >= FIRST_CHANGE]
        each_paid = (each for mined in found.values() for each in mined)
        new = [each for each in each_paid if not chronicle.is_settled_as_paid(self._ledger.db, each.proposal)]
        return sorted(new, key=lambda each: (-each.height, each.txid))

    async def _mined(self, group: Charter, script: bytes, txid: Txid, height: int | None) -> list[Mined]:
        """What `txid` pays, mined at `height` where that is known; nothing when it is no payment of this treasury."""
        raw = self._kept.get(txid)
        if raw is None or height is None:
            status = await self._backend.transaction(txid)
            if status is None:
                log.debug("the Bitcoin node does not find %s, which made a coin of %s", txid, group.name)
                return []
            raw, height = status.raw, status.height if height is None else height
            if len(self._kept) < MAX_KEPT:
                self._kept[txid] = raw
        transaction = parse(raw)
        if height is None or not _is_payment(transaction, script):
            return []
        ids = [each.id for each in self._paid(group, transaction)] or [_nameless(txid, transaction.locktime)]
        return [Mined(each, txid, raw, height) for each in ids]

    def _paid(self, group: Charter, transaction: Transaction) -> list[Payment]:
        """Which proposals a transaction pays.

        All that it fits: whoever grinds a proposal with the same payees and the same 30 bits of its hash must not take
        the payment from the one that was decided, which would then be paid again.
        """
        paid = transaction.outputs[:-1]
        candidates = paying(self._ledger.db, group, paid[0].script_pubkey, paid[0].amount)
        told = [(each.script_pubkey, each.amount) for each in paid]
        exact = [each for each in candidates if [(payee.script, payee.amount) for payee in each.payees] == told]
        return [each for each in exact if tag(each.id) == transaction.locktime]

    async def _look_again(self, mined: Mined) -> Mined | None:
        """A payment that the coins no longer show, where it is mined all the same."""
        status = await self._backend.transaction(mined.txid, since=mined.height - 1)
        if status is None or status.height is None:
            log.warning("the chain has changed: payment %s is not mined any more", mined.txid)
            return None
        return Mined(mined.proposal, mined.txid, status.raw, status.height)


def _is_payment(transaction: Transaction, script: bytes) -> bool:
    """Whether a transaction looks like one of a treasury: a lock time that names a proposal, and change behind all."""
    named = 0 <= transaction.locktime - FIRST_LOCKTIME < 1 << LOCKTIME_BITS
    return named and len(transaction.outputs) > 1 and transaction.outputs[-1].script_pubkey == script
