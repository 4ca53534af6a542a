"""What members do beside voting themselves: leave votes to others, have a group vote in a council, do paid work."""

from overlay.dao.assembly import motions, work
from overlay.dao.assembly.bylaws import TEXTS, WORKS, seat
from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.deciding import subject_of
from overlay.dao.assembly.governance import NotAllowed, check_decidable, check_payable, check_payment, ours
from overlay.dao.assembly.proposals import proposal
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import (
    AcceptWork,
    Delegate,
    DeliverWork,
    InstructVote,
    ProposePayment,
    ProposeWork,
)


def delegate(tx: Transaction, version: bytes, said: Delegate) -> HalfBlock:
    """Leave one's votes on a class of decisions to another member, or take them back. Raises NotAllowed."""
    found = ours(tx, version)
    if said.to is None:
        return tx.append(said)
    if not found.rule(said.subject).delegable:
        raise NotAllowed(f"the charter does not let members leave their votes on {said.subject} to others")
    if said.to == tx.identity.public_key or said.to not in found.members:
        raise NotAllowed("a vote is left to another member of the group")
    return tx.append(said)


def instruct(tx: Transaction, said: InstructVote) -> HalfBlock:
    """Propose how a group votes in a council that it is a member of. Raises NotAllowed."""
    found = check_decidable(tx, said.group, TEXTS, said.deadline)
    about = proposal(tx.db, said.about)
    council = charter(tx.db, about.group) if about else None
    if about is None or council is None:
        raise NotAllowed("this node knows no such proposal")
    if seat(found.id) not in council.members:
        raise NotAllowed(f"{found.name} is not a member of {council.name}")
    if said.choice == "block" and not said.reason.strip():
        raise NotAllowed("whoever blocks a proposal says why")
    if tx.now > about.deadline:
        raise NotAllowed("the deadline of what this is about has passed")
    if council.rule(subject_of(about)).of_votes and said.deadline > about.deadline:
        raise NotAllowed("this would be decided after the deadline of what it is about")
    return tx.append(said)


def propose_work(tx: Transaction, said: ProposeWork) -> HalfBlock:
    """Propose that a piece of work be done for its price. Raises NotAllowed."""
    check_decidable(tx, said.group, WORKS, said.deadline)
    head = (said.group, said.title, "", said.worker, said.script, said.amount)
    check_payable(ProposePayment(*head, fee_cap=1, deadline=said.deadline))
    return tx.append(said)


def deliver(tx: Transaction, said: DeliverWork) -> HalfBlock:
    """Show what was made, as the worker that the group agreed to. Raises NotAllowed."""
    asked = motions.work(tx.db, said.work)
    if asked is None:
        raise NotAllowed("this node knows no such work")
    if asked.worker != tx.identity.public_key:
        raise NotAllowed("a work is delivered by the worker that it names")
    if not work.is_agreed(tx.db, asked):
        raise NotAllowed("the group has not agreed to this work")
    return tx.append(said, to=asked.proposer)


def accept(tx: Transaction, said: AcceptWork) -> HalfBlock:
    """Propose that a delivery be accepted and paid. Raises NotAllowed."""
    check_payment(tx, said)
    asked, group = motions.work(tx.db, said.work), charter(tx.db, said.group)
    if asked is None or group is None:
        raise NotAllowed("this node knows no such work")
    if not work.is_agreed(tx.db, asked):
        raise NotAllowed("the group has not agreed to this work")
    if all(each.id != said.delivery for each in work.deliveries(tx.db, asked)):
        raise NotAllowed("the worker has not delivered this")
    if work.accepted(tx.db, group, asked) is not None:
        raise NotAllowed("a delivery of this work has been accepted already")
    return tx.append(said)
