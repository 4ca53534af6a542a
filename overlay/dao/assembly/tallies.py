"""How a proposal stands: the votes that count, what the charter's rule says of them, and who has counted them.

An approval is final when the nodes of `threshold` members have counted it in time, each by its own clock and on its
own chain: nobody can then revive a proposal after its deadline, or take an approval back, without as many members as
could spend the treasury anyway.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from overlay.dao.assembly import councils, delegation, rules, work
from overlay.dao.assembly.addressees import misdirected
from overlay.dao.assembly.ballots import Ballot, ballots
from overlay.dao.assembly.belonging import belongs, has_belonged
from overlay.dao.assembly.charters import Charter, adopted, charter, honest
from overlay.dao.assembly.deciding import Terms, acceptance, decided_by, rule_for, terms
from overlay.dao.assembly.motions import place
from overlay.dao.assembly.proposals import Payment, Proposal
from overlay.dao.assembly.rules import Counts
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash

__all__ = ["CHARTER_CHANGED", "CLOSING", "NOT_A_MEMBER", "Outcome", "Tally", "rule_for", "tally"]

# Where the votes cast are counted against each other, or the quorum may be waived, or a veto stops everything, nobody
# knows before the deadline whether they are enough: nodes look twice a second, and count within this many milliseconds
# after it.
CLOSING = 60_000
NOT_A_MEMBER = "this was proposed by somebody who is not a member of the group"
CHARTER_CHANGED = "the charter has been changed since this was proposed: propose it again"


class Outcome(Enum):
    """How a proposal stands, in the words that members read."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes that count, and what they say at the moment of asking.

    `needed` yes votes are asked for by the votes so far; `passing` says whether a node counts them as enough now.
    `deciders` are the members whose nodes recorded the approval; `final` that they are enough. `missing` are the
    members who may still vote and have not. What is final is carried out from `due` on (milliseconds). `obstacle` says
    why no node counts this, whatever the votes; empty for most.
    """

    ballots: tuple[Ballot, ...]
    needed: int
    outcome: Outcome
    passing: bool
    can_still_pass: bool
    deciders: tuple[PublicKey, ...]
    missing: tuple[PublicKey, ...]
    final: bool
    due: int
    obstacle: str

    def count(self, choice: str) -> int:
        """How many chose this: yes, no, abstain or block."""
        return sum(ballot.choice == choice for ballot in self.ballots)

    def choice_of(self, member: PublicKey) -> str | None:
        """What one member chose, or whom it left its vote to chose for it; a block is a no."""
        found = next((ballot.choice for ballot in self.ballots if ballot.voter == member), None)
        return "no" if found == "block" else found

    @property
    def yes_votes(self) -> tuple[BlockHash, ...]:
        """The blocks of the yes votes."""
        return tuple(ballot.block for ballot in self.ballots if ballot.choice == "yes")

    @property
    def approvers(self) -> tuple[PublicKey, ...]:
        """Who voted yes."""
        return tuple(ballot.voter for ballot in self.ballots if ballot.choice == "yes")


def tally(db: sqlite3.Connection, group: Charter, asked: Proposal, now: int) -> Tally:
    """How a proposal of a group stands at `now` (milliseconds), judged by the version of the charter that it names."""
    version = group if asked.group == group.version else charter(db, asked.group)
    if version is None:
        return _nothing("the charter that this names was never adopted")
    asks = terms(db, version, asked)
    counted = _ballots(db, version, asked, asks)
    decided = decided_by(db, version, asked, asks)
    counts, missing = _counts(version, counted, honest(db, version))
    lasting = _obstacle(db, version, asked, asks)
    changed = bool(adopted(db, version))
    obstacle = lasting or (CHARTER_CHANGED if changed else "")
    passing = not obstacle and _is_passing(asks, counts, asked.deadline, now)
    # Who proposed may have left a group that sits in this one since: that undoes nothing.
    undone = lasting and not (lasting == NOT_A_MEMBER and has_belonged(db, version, asked.proposer))
    final = not undone and len(decided) >= asks.words
    possible = not obstacle and rules.can_pass(asks.rule, counts, asks.least)
    # Of the first `words` clocks one at least is honest, so what they agree on is not too early.
    due = sorted(decided.values())[asks.words - 1] + asks.rule.delay if final else 0
    return Tally(
        ballots=counted,
        needed=rules.needed(asks.rule, counts, asks.least),
        outcome=_outcome(final or passing, possible or changed, changed or now > asked.deadline),
        passing=passing,
        can_still_pass=possible,
        deciders=tuple(decided),
        missing=missing,
        final=final,
        due=due,
        obstacle="" if final else obstacle,
    )


def _outcome(approved: bool, possible: bool, over: bool) -> Outcome:
    if approved:
        return Outcome.APPROVED
    if not possible:
        return Outcome.REJECTED
    return Outcome.LAPSED if over else Outcome.OPEN


def _nothing(obstacle: str) -> Tally:
    return Tally((), 0, Outcome.LAPSED, False, False, (), (), False, 0, obstacle)


def _ballots(db: sqlite3.Connection, group: Charter, asked: Proposal, asks: Terms) -> tuple[Ballot, ...]:
    cast = {ballot.voter: ballot for ballot in ballots(db, group, asked.id)} | councils.ballots(db, group, asked.id)
    found = delegation.resolved(db, group, asks.subject, cast)
    return tuple(found[member] for member in group.members if member in found)


def _obstacle(db: sqlite3.Connection, group: Charter, asked: Proposal, asks: Terms) -> str:
    """Why this can be decided by no votes; empty when it can."""
    if not belongs(db, group, asked.proposer):
        return NOT_A_MEMBER
    found = place(db, asked.id) if asks.rule.period else None
    if found is not None and found.deadline - found.opened < asks.rule.period:
        return f"the charter gives members {asks.rule.period // 60_000} minutes to vote, and this proposal fewer"
    if isinstance(asked, Payment) and (elsewhere := misdirected(db, asked.payees)):
        return elsewhere
    if isinstance(asked, Payment) and asks.slot is not None:
        accepts = acceptance(db, asked.id)
        return work.obstacle(db, group, asked, accepts) if accepts else ""
    return ""


def _counts(
    group: Charter, counted: tuple[Ballot, ...], trusted: set[PublicKey]
) -> tuple[Counts, tuple[PublicKey, ...]]:
    voted = {ballot.voter for ballot in counted}
    missing = tuple(member for member in group.members if member in trusted and member not in voted)
    yes, no, abstain, block = (sum(each.choice == way for each in counted) for way in ("yes", "no", "abstain", "block"))
    return Counts(len(group.members), yes, no + block, abstain, len(missing), block), missing


def _is_passing(asks: Terms, counts: Counts, deadline: int, now: int) -> bool:
    rule, least = asks.rule, asks.least
    if now <= deadline:
        return rules.is_certain(rule, counts, least)
    waived = rule.quorum > 0 and rule.fallback == "without-quorum"
    at_end = replace(rule, quorum=0) if waived else rule
    waits = rule.of_votes or waived or rule.vetoes > 0
    return waits and now <= deadline + CLOSING and rules.passes(at_end, counts, least)
