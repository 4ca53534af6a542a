"""Pay for change: work is agreed to with its price, delivered, accepted by a second vote, and only then paid.

The acceptance is a payment like any other, for the treasury's policy too. Nobody's node counts votes for it before the
work was agreed to and its worker has shown the delivery that it names; and of all acceptances of one work only one can
be decided.
"""

import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly import motions
from overlay.dao.assembly.bylaws import Charter
from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.deciding import Acceptance, acceptance, is_decided
from overlay.dao.assembly.motions import Work
from overlay.dao.assembly.proposals import Payment, payment
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Media


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the worker shows of a work."""

    id: BlockHash
    work: BlockHash
    author: PublicKey
    note: str
    evidence: Media | None


def deliveries(db: sqlite3.Connection, asked: Work) -> list[Delivery]:
    """What the worker delivered, in the order of its chain; what anybody else says is no delivery."""
    rows = db.execute(
        "SELECT id, note FROM group_delivery WHERE work = ? AND author = ? ORDER BY sequence, id",
        (asked.id, asked.worker),
    )
    found = [(BlockHash(id_), note) for id_, note in rows.fetchall()]
    return [Delivery(id_, asked.id, asked.worker, note, motions.media(db, id_)) for id_, note in found]


def is_agreed(db: sqlite3.Connection, asked: Work) -> bool:
    """Whether the group decided that this work be done for its price."""
    group = charter(db, asked.group)
    return group is not None and is_decided(db, group, asked)


def obstacle(db: sqlite3.Connection, group: Charter, asked: Payment, accepts: Acceptance) -> str:
    """Why an acceptance cannot be counted; empty when it can."""
    found = motions.work(db, accepts.work)
    if found is None or found.group not in group.versions:
        return "the work that this accepts is none of this group, as far as this node knows"
    if not is_agreed(db, found):
        return "the work that this accepts has not been agreed to"
    if all(each.id != accepts.delivery for each in deliveries(db, found)):
        return "the worker has not delivered what this accepts, as far as this node knows"
    if (asked.payee, asked.script, asked.total) != (found.worker, found.script, found.amount):
        return "this pays somebody else, or another price, than was agreed to"
    if _was_accepted(db, accepts.work, group.versions[:-1]):
        return "a delivery of this work was accepted under an earlier version of the charter"
    return ""


def _was_accepted(db: sqlite3.Connection, work: bytes, earlier: tuple[BlockHash, ...]) -> bool:
    rows = db.execute("SELECT id FROM group_acceptance WHERE work = ? ORDER BY id", (work,)).fetchall()
    found = [each for (id_,) in rows if (each := payment(db, id_)) and each.group in earlier]
    return any(_is_accepted(db, each) for each in found)


def accepted(db: sqlite3.Connection, group: Charter, asked: Work) -> Payment | None:
    """The payment by which a delivery of a work was accepted."""
    rows = db.execute("SELECT id FROM group_acceptance WHERE work = ? ORDER BY id", (asked.id,)).fetchall()
    found = (each for (id_,) in rows if (each := payment(db, id_)) and each.group in group.versions)
    return next((each for each in found if _is_accepted(db, each)), None)


def _is_accepted(db: sqlite3.Connection, asked: Payment) -> bool:
    group, accepts = charter(db, asked.group), acceptance(db, asked.id)
    if group is None or accepts is None or obstacle(db, group, asked, accepts):
        return False
    return is_decided(db, group, asked)
