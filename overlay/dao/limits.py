"""What a charter lets leave a treasury within some blocks: in all, and to one payee.

Every signer judges by itself, from the payments that its own chain backend has shown. A period is counted in blocks,
because members' clocks differ and their chain does not. Two payments that were signed at one state of the chain spend
the same oldest coin, so at most one of them is mined, and the sums below hold for what is mined.
"""

import sqlite3

from overlay.dao import chronicle
from overlay.dao.charters import Charter
from overlay.dao.proposals import Payee, Payment, payment, payouts, versions_of
from overlay.dao.words import marks
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
    found = {each.proposal for each in chronicle.above(db, group, height)}
    named = versions_of(db, group)
    told = db.execute(
        "SELECT DISTINCT id FROM group_payment JOIN group_payout ON proposal = id"  # noqa: S608
        f" WHERE charter IN ({marks(named)}) AND height > ?",
        (*named, height),
    )
    found |= {id_ for (id_,) in told if any(each.height > height for each in payouts(db, group, id_))}
    return [each for id_ in sorted(found) if (each := payment(db, id_)) is not None]


def excess_of(db: sqlite3.Connection, group: Charter, asked: Payment, height: int) -> str | None:
    """Why a payment mined above `height` would go beyond what the charter allows; None when it would not."""
    if group.limits is None:
        return None
    earlier = paid_since(db, group, height - group.limits.blocks)
    before = tuple(payee for each in earlier if each.id != asked.id for payee in each.payees)
    return excess(group.limits, asked.payees, before)


def _to(payee: Payee, paid: tuple[Payee, ...]) -> int:
    return sum(each.amount for each in paid if each.key == payee.key or each.script == payee.script)
