"""What members of a group do: write and sign a charter, propose a payment, vote; and how a proposal stands.

A vote carries nothing that can sign. An approval is final when the nodes of `threshold` members have counted it in
time, each by its own clock and on its own chain: nobody can then revive a proposal after its deadline, or take an
approval back, without as many members as could spend the treasury anyway.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from overlay.dao import charters
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import MAX_MONEY
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.dao.charters import Charter, charter, host_keys, threshold_key
from overlay.dao.proposals import Ballot, Payment, ballots, deciders, payment
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import CastVote, Decide, FoundGroup, ProposePayment, SignCharter

# Data outputs pay nobody, and what follows no template may not be relayed.
UNPAYABLE = (ScriptKind.NULL_DATA, ScriptKind.NONSTANDARD)


class NotAllowed(Exception):
    """The charter or the state of a proposal does not allow this; one clear sentence."""


class Outcome(Enum):
    """How a proposal stands, in the words that members read."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes that count, and what they say at the moment of asking.

    `deciders` are the members whose nodes recorded the approval; `final` that they are enough. `missing` are the
    members who may still vote and have not.
    """

    ballots: tuple[Ballot, ...]
    needed: int
    outcome: Outcome
    deciders: tuple[PublicKey, ...] = ()
    missing: tuple[PublicKey, ...] = ()
    final: bool = False

    def count(self, choice: str) -> int:
        """How many chose this: yes, no or abstain."""
        return sum(ballot.choice == choice for ballot in self.ballots)

    def choice_of(self, member: PublicKey) -> str | None:
        """What one member chose."""
        return next((ballot.choice for ballot in self.ballots if ballot.voter == member), None)

    @property
    def can_still_pass(self) -> bool:
        """Whether those who have not voted could approve it."""
        return self.count("yes") + len(self.missing) >= self.needed

    @property
    def yes_votes(self) -> tuple[BlockHash, ...]:
        """The blocks of the yes votes."""
        return tuple(ballot.block for ballot in self.ballots if ballot.choice == "yes")

    @property
    def approvers(self) -> tuple[PublicKey, ...]:
        """Who voted yes."""
        return tuple(ballot.voter for ballot in self.ballots if ballot.choice == "yes")


def tally(db: sqlite3.Connection, group: Charter, asked: Payment, now: int) -> Tally:
    """How a proposal stands at `now` (milliseconds): approved when enough members said yes in time."""
    counted, decided = ballots(db, group, asked.id), deciders(db, group, asked.id)
    voted = {ballot.voter for ballot in counted}
    trusted = charters.honest(db, group)
    missing = tuple(member for member in group.members if member in trusted and member not in voted)
    yes = sum(ballot.choice == "yes" for ballot in counted)
    final = len(decided) >= group.threshold
    if final or (yes >= group.approvals and now <= asked.deadline):
        outcome = Outcome.APPROVED
    elif yes + len(missing) < group.approvals:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.LAPSED if now > asked.deadline else Outcome.OPEN
    return Tally(tuple(counted), group.approvals, outcome, decided, missing, final)


def found_group(tx: Transaction, said: FoundGroup) -> HalfBlock:
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


def cast_vote(tx: Transaction, proposal: bytes, choice: str, reason: str) -> HalfBlock:
    """Vote, or change a vote, until the deadline or the decision. Raises NotAllowed.

    After the decision a member may still say yes: it decides nothing, but its node then helps to sign.
    """
    asked = payment(tx.db, proposal)
    if asked is None:
        raise NotAllowed("this node knows no such proposal")
    found = _group_of(tx, asked.group)
    if asked.proposer not in found.members:
        raise NotAllowed("this was proposed by somebody who is not a member of the group")
    stands = tally(tx.db, found, asked, tx.now)
    if (stands.final and choice != "yes") or (tx.now > asked.deadline and not stands.final):
        raise NotAllowed(f"this proposal can no longer be voted on: it is {stands.outcome.value}")
    return tx.append(CastVote(proposal, choice, reason), to=asked.proposer)


def record_decision(tx: Transaction, group: Charter, asked: Payment) -> bool:
    """Write down, once and in time, that this member's node counts enough yes votes; whether it did so now."""
    me, stands = tx.identity.public_key, tally(tx.db, group, asked, tx.now)
    if me not in group.members or me in stands.deciders or blocks.has_forked(tx.db, me):
        return False
    if tx.now > asked.deadline or stands.count("yes") < stands.needed:
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
