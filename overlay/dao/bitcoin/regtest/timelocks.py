"""When a transaction may be mined: nLockTime (BIP113) and relative locks in nSequence (BIP68)."""

from collections.abc import Sequence

from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.regtest.index import OutputIndex
from overlay.dao.bitcoin.regtest.kernel import SpentCoin
from overlay.dao.bitcoin.transaction import FINAL, Transaction

# Below this a lock time is a height, from it on seconds since the epoch.
LOCKTIME_THRESHOLD = 500_000_000
DISABLED = 1 << 31
BY_TIME = 1 << 22
VALUE_MASK = 0xFFFF
GRANULARITY = 9  # relative times count in 2^9 = 512 seconds


def check_final(transaction: Transaction, next_height: int, median_time: int) -> None:
    """Raises Refused unless the next block, after blocks of `median_time`, may contain it."""
    limit = next_height if transaction.locktime < LOCKTIME_THRESHOLD else median_time
    if transaction.locktime < limit or all(each.sequence == FINAL for each in transaction.inputs):
        return
    raise Refused("non-final")


def check_sequence_locks(transaction: Transaction, coins: Sequence[SpentCoin], index: OutputIndex) -> None:
    """Raises Refused while an input asks for more age than its coin will have in the next block."""
    if transaction.version < 2:
        return
    for each, coin in zip(transaction.inputs, coins, strict=True):
        if not each.sequence & DISABLED and not _old_enough(each.sequence, coin, index):
            raise Refused("non-BIP68-final")


def _old_enough(sequence: int, coin: SpentCoin, index: OutputIndex) -> bool:
    value = sequence & VALUE_MASK
    if sequence & BY_TIME:
        since = index.median_time(max(coin.height - 1, 0))
        return since + (value << GRANULARITY) <= index.median_time(index.height)
    return coin.height + value <= index.height + 1
