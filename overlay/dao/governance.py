"""What members of a group do: write and sign a charter, propose a payment, vote; and how a proposal stands."""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from overlay.dao.groups import (
    Ballot,
    Charter,
    Payment,
    ballots,
    charter,
    host_keys,
    payment,
    threshold_key,
    was_decided,
)
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import CastVote, Decide, FoundGroup, ProposePayment, SignCharter


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
    """The votes that count, and what they say at the moment of asking."""

    ballots: tuple[Ballot, ...]
    needed: int
    outcome: Outcome

    def count(self, choice: str) -> int:
        return sum(ballot.choice == choice for ballot in self.ballots)

    @property
    def yes_votes(self) -> tuple[BlockHash, ...]:
        return tuple(ballot.block for ballot in self.ballots if ballot.choice == "yes")

    @property
    def approvers(self) -> tuple[PublicKey, ...]:
        return tuple(ballot.voter for ballot in self.ballots if ballot.choice == "yes")


def tally(db: sqlite3.Connection, group: Charter, asked: Payment, now: int) -> Tally:
    """How a proposal stands at `now` (milliseconds): approved when enough members said yes in time."""
    counted = ballots(db, group, asked.id)
    yes = sum(ballot.choice == "yes" for ballot in counted)
    against = sum(ballot.choice != "yes" for ballot in counted)
    decided = was_decided(db, group, asked.id)
    if yes >= group.approvals and (now <= asked.deadline or decided):
        outcome = Outcome.APPROVED
    elif len(group.members) - against < group.approvals:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.LAPSED if now > asked.deadline else Outcome.OPEN
    return Tally(tuple(counted), group.approvals, outcome)


def found_group(tx: Transaction, said: FoundGroup) -> HalfBlock:
    """Write a charter. Raises NotAllowed when it could never decide or sign."""
    if len(set(said.members)) < len(said.members):
        raise NotAllowed("a charter names each member once")
    for what, number in (("approvals", said.approvals), ("shares that sign", said.threshold)):
        if not 1 <= number <= len(said.members):
            raise NotAllowed(f"{number} {what} can never be reached by a group of {len(said.members)}")
    if tx.identity.public_key not in said.members:
        raise NotAllowed("the founder of a group is one of its members")
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
    return tx.append(said)


def cast_vote(tx: Transaction, proposal: bytes, choice: str, reason: str) -> HalfBlock:
    """Vote, or change a vote, as long as the proposal is open. Raises NotAllowed."""
    asked = payment(tx.db, proposal)
    if asked is None:
        raise NotAllowed("this node knows no such proposal")
    found = _group_of(tx, asked.group)
    stands = tally(tx.db, found, asked, tx.now).outcome
    if stands in (Outcome.LAPSED, Outcome.REJECTED) or was_decided(tx.db, found, proposal):
        raise NotAllowed(f"this proposal can no longer be voted on: it is {stands.value}")
    return tx.append(CastVote(proposal, choice, reason), to=asked.proposer)


def record_decision(tx: Transaction, group: Charter, asked: Payment) -> None:
    """Write down the yes votes that we count, once, when the proposal is approved."""
    stands = tally(tx.db, group, asked, tx.now)
    if stands.outcome is Outcome.APPROVED and not was_decided(tx.db, group, asked.id):
        tx.append(Decide(asked.id, True, stands.yes_votes), to=asked.proposer)


def _group_of(tx: Transaction, group: bytes) -> Charter:
    found = charter(tx.db, group)
    if found is None:
        raise NotAllowed("this node knows no such group")
    if tx.identity.public_key not in found.members:
        raise NotAllowed(f"you ({short(tx.identity.public_key)}) are not a member of {found.name}")
    if blocks.has_forked(tx.db, tx.identity.public_key):
        raise NotAllowed("your key is proven to have signed two histories: it has no vote any more")
    return found
