"""What members of a group do: write and sign a charter, propose a payment or a text, vote, count.

A vote carries nothing that can sign.
"""

from overlay.dao import charters
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import MAX_MONEY
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.charters import Charter, charter, host_keys, threshold_key
from overlay.dao.proposals import Proposal, proposal
from overlay.dao.tallies import Outcome, Tally, tally
from overlay.keys import short
from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import (
    CastVote,
    Decide,
    FoundCouncil,
    FoundGroup,
    ProposePayment,
    ProposeText,
    SignCharter,
)

__all__ = [
    "NotAllowed",
    "Outcome",
    "Tally",
    "cast_vote",
    "found_group",
    "propose_payment",
    "propose_text",
    "record_decision",
    "sign_charter",
    "tally",
]

# Data outputs pay nobody, and what follows no template may not be relayed.
UNPAYABLE = (ScriptKind.NULL_DATA, ScriptKind.NONSTANDARD)


class NotAllowed(Exception):
    """The charter or the state of a proposal does not allow this; one clear sentence."""


def found_group(tx: Transaction, said: FoundGroup | FoundCouncil) -> HalfBlock:
    """Write a charter. Raises NotAllowed when it could never decide or sign."""
    fault = charters.fault(said, tx.identity.public_key)
    if fault is not None:
        raise NotAllowed(fault)
    return tx.append(said)


def sign_charter(tx: Transaction, group: bytes, host_key: bytes) -> HalfBlock:
    """Accept a charter and bind our host key (33 bytes). Raises NotAllowed."""
    found = _group_of(tx, group)
    if tx.identity.public_key in host_keys(tx.db, found):
        raise NotAllowed("you have signed this charter already")
    return tx.append(SignCharter(group, host_key), to=found.founder)


def propose_payment(tx: Transaction, said: ProposePayment) -> HalfBlock:
    """Propose a payment of a group whose treasury stands. Raises NotAllowed."""
    found = _group_of(tx, said.group)
    if threshold_key(tx.db, found) is None:
        raise NotAllowed("this group has no treasury yet: not every member holds a share")
    if said.deadline <= tx.now:
        raise NotAllowed("the deadline of a proposal lies in the future")
    _check_payable(said)
    return tx.append(said)


def propose_text(tx: Transaction, said: ProposeText) -> HalfBlock:
    """Propose that a group agrees to some words. Raises NotAllowed."""
    _group_of(tx, said.group)
    if said.deadline <= tx.now:
        raise NotAllowed("the deadline of a proposal lies in the future")
    return tx.append(said)


def cast_vote(tx: Transaction, id_: bytes, choice: str, reason: str) -> HalfBlock:
    """Vote, or change a vote, until the deadline or the decision. Raises NotAllowed.

    After the decision a vote decides nothing, but still tells one's own node whether to help: a yes always may, a no
    only as long as the charter's delay lasts.
    """
    asked = proposal(tx.db, id_)
    if asked is None:
        raise NotAllowed("this node knows no such proposal")
    found = _group_of(tx, asked.group)
    if asked.proposer not in found.members:
        raise NotAllowed("this was proposed by somebody who is not a member of the group")
    stands = tally(tx.db, found, asked, tx.now)
    is_open = (choice == "yes" or tx.now < stands.due) if stands.final else tx.now <= asked.deadline
    if not is_open:
        raise NotAllowed(f"this proposal can no longer be voted on: it is {stands.outcome.value}")
    return tx.append(CastVote(id_, choice, reason), to=asked.proposer)


def record_decision(tx: Transaction, group: Charter, asked: Proposal) -> bool:
    """Write down, once and in time, that this member's node counts enough yes votes; whether it did so now."""
    me, stands = tx.identity.public_key, tally(tx.db, group, asked, tx.now)
    if me not in group.members or me in stands.deciders or blocks.has_forked(tx.db, me) or not stands.passing:
        return False
    tx.append(Decide(asked.id, True, stands.yes_votes), to=asked.proposer)
    return True


def _check_payable(said: ProposePayment) -> None:
    if scripts.kind(said.script) in UNPAYABLE:
        raise NotAllowed("this is no address that can be paid")
    least = scripts.dust_limit(said.script)
    if not least <= said.amount <= MAX_MONEY:
        raise NotAllowed(f"a payment to this address is between {least} and {MAX_MONEY} sat, not {said.amount}")


def _group_of(tx: Transaction, group: bytes) -> Charter:
    found = charter(tx.db, group)
    if found is None:
        raise NotAllowed("this node knows no such group")
    if tx.identity.public_key not in found.members:
        raise NotAllowed(f"you ({short(tx.identity.public_key)}) are not a member of {found.name}")
    if blocks.has_forked(tx.db, tx.identity.public_key):
        raise NotAllowed("your key is proven to have signed two histories: it has no vote any more")
    return found
