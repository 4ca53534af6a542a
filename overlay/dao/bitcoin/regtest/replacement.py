"""When a transaction may take the place of waiting ones that spend the same: BIP125 as Bitcoin Core 29 applies it.

Whether the waiting ones asked for it (BIP125's first rule) no longer matters there, nor here. The reasons are
Bitcoin Core's words.
"""

from collections.abc import Sequence

from overlay.dao.bitcoin.amounts import Sats, to_btc
from overlay.dao.bitcoin.regtest.entries import Entry
from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.transaction import Txid

MAX_REPLACED = 100
INCREMENTAL_FEE_RATE = 1  # satoshis per virtual byte


def check(entry: Entry, rivals: Sequence[Entry], replaced: Sequence[Entry], waiting_inputs: Sequence[int]) -> None:
    """Raises Refused unless `entry` may replace its `rivals`.

    `rivals` spend what it spends; `replaced` are they and all that build on them; `waiting_inputs` are the numbers
    of its inputs that spend outputs of waiting transactions.
    """
    for rival in rivals:
        _check_rate(entry, rival)
    if len(replaced) > MAX_REPLACED:
        count = f"{len(replaced)} > {MAX_REPLACED}"
        raise _refusal(entry, "too many potential replacements", f"; too many potential replacements ({count})")
    _check_inputs(entry, rivals, waiting_inputs)
    _check_fee(entry, sum(each.fee for each in replaced))


def check_disjoint(txid: Txid, ancestors: set[Txid], rivals: set[Txid]) -> None:
    """Raises Refused where a transaction builds on one that it would replace."""
    for rival in sorted(ancestors & rivals):
        raise Refused("bad-txns-spends-conflicting-tx", f"{txid} spends conflicting transaction {rival}")


def _check_rate(entry: Entry, rival: Entry) -> None:
    if entry.fee * rival.vsize <= rival.fee * entry.vsize:
        rates = f"; new feerate {_rate(entry)} <= old feerate {_rate(rival)}"
        raise _refusal(entry, "insufficient fee", rates)


def _check_inputs(entry: Entry, rivals: Sequence[Entry], waiting_inputs: Sequence[int]) -> None:
    """BIP125's second rule: what waits and is spent, a rival already spends from the same transaction."""
    known = {each.txid for rival in rivals for each in rival.transaction.inputs}
    for number in waiting_inputs:
        if entry.transaction.inputs[number].txid not in known:
            text = f"replacement {entry.txid} adds unconfirmed input, idx {number}"
            raise Refused("replacement-adds-unconfirmed", text)


def _check_fee(entry: Entry, replaced: int) -> None:
    """BIP125's third and fourth rule: pay for all that is replaced, and for the relay of oneself."""
    if entry.fee < replaced:
        figures = f", less fees than conflicting txs; {_money(entry.fee)} < {_money(replaced)}"
        raise _refusal(entry, "insufficient fee", figures)
    least = entry.vsize * INCREMENTAL_FEE_RATE
    if entry.fee - replaced < least:
        figures = f", not enough additional fees to relay; {_money(entry.fee - replaced)} < {_money(least)}"
        raise _refusal(entry, "insufficient fee", figures)


def _refusal(entry: Entry, reason: str, figures: str) -> Refused:
    return Refused(reason, f"rejecting replacement {entry.txid}{figures}")


def _rate(entry: Entry) -> str:
    return f"{_money(entry.fee * 1000 // entry.vsize)} BTC/kvB"


def _money(amount: int) -> str:
    return to_btc(Sats(amount))
