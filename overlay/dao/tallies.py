"""How a proposal stands: the votes that count, what the charter's rule says of them, and who has counted them.

An approval is final when the nodes of `threshold` members have counted it in time, each by its own clock and on its
own chain: nobody can then revive a proposal after its deadline, or take an approval back, without as many members as
could spend the treasury anyway.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from overlay.dao import rules
from overlay.dao.charters import Charter, honest
from overlay.dao.proposals import Ballot, Payment, Proposal, ballots, deciders
from overlay.dao.rules import Counts
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Rule

# Where the votes cast are counted against each other, or the quorum may be waived, nobody knows before the deadline
# whether they are enough: nodes look twice a second, and count within this many milliseconds after it.
CLOSING = 60_000


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
    members who may still vote and have not. What is final is carried out from `due` on (milliseconds).
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

    def count(self, choice: str) -> int:
        """How many chose this: yes, no or abstain."""
        return sum(ballot.choice == choice for ballot in self.ballots)

    def choice_of(self, member: PublicKey) -> str | None:
        """What one member chose."""
        return next((ballot.choice for ballot in self.ballots if ballot.voter == member), None)

    @property
    def yes_votes(self) -> tuple[BlockHash, ...]:
        """The blocks of the yes votes."""
        return tuple(ballot.block for ballot in self.ballots if ballot.choice == "yes")

    @property
    def approvers(self) -> tuple[PublicKey, ...]:
        """Who voted yes."""
        return tuple(ballot.voter for ballot in self.ballots if ballot.choice == "yes")


def rule_for(group: Charter, asked: Proposal) -> tuple[Rule, int]:
    """The rule for a proposal, and how many yes votes it takes in any case: for money, as many as sign."""
    return (group.payments, group.threshold) if isinstance(asked, Payment) else (group.texts, 1)


def tally(db: sqlite3.Connection, group: Charter, asked: Proposal, now: int) -> Tally:
    """How a proposal stands at `now` (milliseconds)."""
    rule, least = rule_for(group, asked)
    counted = ballots(db, group, asked.id)
    decided = deciders(db, group, asked.id, _fewest_named(group, rule, least))
    counts, missing = _counts(group, counted, honest(db, group))
    passing = _is_passing(rule, counts, least, asked.deadline, now)
    final, possible = len(decided) >= group.threshold, rules.can_pass(rule, counts, least)
    if final or passing:
        outcome = Outcome.APPROVED
    elif not possible:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.LAPSED if now > asked.deadline else Outcome.OPEN
    # Of the first `threshold` clocks one at least is honest, so what they agree on is not too early.
    due = sorted(decided.values())[group.threshold - 1] + rule.delay if final else 0
    return Tally(
        ballots=tuple(counted),
        needed=rules.needed(rule, counts, least),
        outcome=outcome,
        passing=passing,
        can_still_pass=possible,
        deciders=tuple(decided),
        missing=missing,
        final=final,
        due=due,
    )


def _counts(group: Charter, counted: list[Ballot], trusted: set[PublicKey]) -> tuple[Counts, tuple[PublicKey, ...]]:
    voted = {ballot.voter for ballot in counted}
    missing = tuple(member for member in group.members if member in trusted and member not in voted)
    yes, no, abstain = (sum(each.choice == choice for each in counted) for choice in ("yes", "no", "abstain"))
    return Counts(len(group.members), yes, no, abstain, len(missing)), missing


def _is_passing(rule: Rule, counts: Counts, least: int, deadline: int, now: int) -> bool:
    if now <= deadline:
        return rules.is_certain(rule, counts, least)
    waived = rule.quorum > 0 and rule.fallback == "without-quorum"
    at_end = replace(rule, quorum=0) if waived else rule
    return (rule.of_votes or waived) and now <= deadline + CLOSING and rules.passes(at_end, counts, least)


def _fewest_named(group: Charter, rule: Rule, least: int) -> int:
    """How many yes votes a decision names at least; how many said no is the word of those who counted."""
    return least if rule.of_votes else max(least, rules.fewest(rule, len(group.members)))
