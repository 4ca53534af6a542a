"""What a charter lets leave a treasury within some blocks: in all, and to one payee.

Every signer judges by itself, from the payments that its own chain backend has shown. A period is counted in blocks,
because members' clocks differ and their chain does not. Two payments that were signed at one state of the chain spend
the same oldest coin, so at most one of them is mined, and the sums below hold for what is mined.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.charters import Charter, charter
from overlay.dao.assembly.chronicle import Mined
from overlay.dao.assembly.deciding import is_decided
from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.proposals import Payee, Payment, payment, versions_of
from overlay.dao.assembly.words import marks
from overlay.dao.bitcoin.transaction import Txid, parse
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Limits


def excess(limits: Limits, asked: tuple[Payee, ...], before: tuple[Payee, ...] = ()) -> str | None:
    """Why paying `asked` goes beyond the limits when `before` was paid in the same period; None when it does not.

    Payments on behalf of one member, or to one script, are payments to one payee. Fees do not count.
    """
    total = sum(each.amount for each in (*before, *asked))
    if limits.total and total > limits.total:
        return (
            f"the charter lets {limits.total} sat leave the treasury within {limits.blocks} blocks,"
            f" and with this payment it would be {total} sat"
        )
    most = max(_to(payee, (*before, *asked)) for payee in asked)
    if limits.each and most > limits.each:
        return (
            f"the charter lets one payee have {limits.each} sat within {limits.blocks} blocks,"
            f" and with this payment it would be {most} sat"
        )
    return None


def paid_since(db: sqlite3.Connection, group: Charter, height: int) -> list[Payment]:
    """The payments of a group mined above `height`: those that our chain has shown, and those that others recorded.

    A member that was away may not find the older ones in its chain. What `threshold` members' nodes recorded it takes
    for paid, too: this can only make it sign less.
    """
    found = _named_since(db, group, height)
    return [each for id_ in sorted(set(found.values())) if (each := payment(db, id_)) is not None]


def _named_since(db: sqlite3.Connection, group: Charter, height: int) -> dict[Txid, BlockHash]:
    """The transactions of these payments, and of each the proposal that it paid."""
    found = {each.txid: each.proposal for each in one_each(db, chronicle.above(db, group, height))}
    named = versions_of(db, group)
    told = db.execute(
        "SELECT DISTINCT id FROM group_payment JOIN group_payout ON proposal = id"  # noqa: S608
        f" WHERE charter IN ({marks(named)}) AND height > ? ORDER BY id",
        (*named, height),
    )
    for (id_,) in told.fetchall():
        for paid in payouts(db, group, id_):
            if paid.height > height:  # one transaction may fit two proposals, and has left the treasury once
                found.setdefault(Txid(paid.txid.hex()), BlockHash(id_))
    return found


def one_each(db: sqlite3.Connection, found: Iterable[Mined]) -> list[Mined]:
    """Of each transaction one known proposal that it paid: the decided one, where another was made to look alike."""
    chosen: dict[Txid, Mined] = {}
    for each in found:
        if payment(db, each.proposal) is None:
            continue  # which of ours it paid was not known when it was mined
        if each.txid not in chosen or not _is_decided(db, chosen[each.txid].proposal):
            chosen[each.txid] = each
    return list(chosen.values())


def excess_of(db: sqlite3.Connection, group: Charter, asked: Payment, height: int) -> str | None:
    """Why a payment mined above `height` would go beyond what the charter allows; None when it would not."""
    if group.limits is None:
        return None
    earlier = paid_since(db, group, height - group.limits.blocks)
    before = tuple(payee for each in earlier if each.id != asked.id for payee in each.payees)
    return excess(group.limits, asked.payees, (*before, *_unnamed_since(db, group, height - group.limits.blocks)))


def _unnamed_since(db: sqlite3.Connection, group: Charter, height: int) -> Iterator[Payee]:
    """Who got what from payments that our chain has shown, and of whose proposals we have not heard."""
    shown = {each.txid: each for each in chronicle.above(db, group, height)}
    for txid in shown.keys() - _named_since(db, group, height):
        for output in parse(shown[txid].raw).outputs[:-1]:
            yield Payee(PublicKey(b""), output.script_pubkey, output.amount)


def _is_decided(db: sqlite3.Connection, proposal: bytes) -> bool:
    asked = payment(db, proposal)
    group = charter(db, asked.group) if asked else None
    return asked is not None and group is not None and is_decided(db, group, asked)


def _to(payee: Payee, paid: tuple[Payee, ...]) -> int:
    return sum(each.amount for each in paid if each.key == payee.key or each.script == payee.script)
