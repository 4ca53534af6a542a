"""What it takes to decide a proposal: the class that it belongs to, its rule, and whose words have decided it."""

import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly.ballots import deciders
from overlay.dao.assembly.bylaws import AMENDMENTS, PAYMENTS, TEXTS, WORKS, Charter
from overlay.dao.assembly.charters import adopted, adopters, current, least_named, spoken
from overlay.dao.assembly.motions import Amendment, Instruction, Work
from overlay.dao.assembly.proposals import Payment, Proposal
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Rule


@dataclass(frozen=True, slots=True)
class Terms:
    """At least `least` yes votes, whatever the rule; `words` members' nodes must have counted them.

    `slot` is what only one of several proposals can have.
    """

    subject: str
    rule: Rule
    least: int
    words: int
    slot: BlockHash | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a payment accepts: a delivery, and the work that it delivers."""

    work: BlockHash
    delivery: BlockHash


def subject_of(asked: Proposal) -> str:
    """The class of a proposal."""
    match asked:
        case Payment():
            return PAYMENTS
        case Amendment():
            return AMENDMENTS
        case Work():
            return WORKS
        case _:
            return TEXTS


def rule_for(group: Charter, asked: Proposal) -> tuple[Rule, int]:
    """The rule for a proposal, and how many yes votes it takes in any case: for money, as many as sign."""
    subject = subject_of(asked)
    least = {PAYMENTS: group.threshold, WORKS: group.threshold, AMENDMENTS: group.majority, TEXTS: 1}[subject]
    return group.rule(subject), least


def terms(db: sqlite3.Connection, group: Charter, asked: Proposal) -> Terms:
    """What it takes in a group, by the version of its charter that the proposal names."""
    subject, (rule, least) = subject_of(asked), rule_for(group, asked)
    slot = slot_of(db, asked)
    return Terms(subject, rule, least, group.threshold if slot is None else group.majority, slot)


def slot_of(db: sqlite3.Connection, asked: Proposal) -> BlockHash | None:
    """The version that an amendment follows, the work that a payment accepts, the proposal that a vote is about."""
    match asked:
        case Amendment():
            return asked.group
        case Instruction():
            return asked.about
        case Payment():
            found = acceptance(db, asked.id)
            return found.work if found else None
        case _:
            return None


def acceptance(db: sqlite3.Connection, payment: bytes) -> Acceptance | None:
    """What a payment accepts; None for one that accepts no work."""
    row = db.execute("SELECT work, delivery FROM group_acceptance WHERE id = ?", (payment,)).fetchone()
    return Acceptance(BlockHash(row[0]), BlockHash(row[1])) if row else None


def decided_by(db: sqlite3.Connection, group: Charter, asked: Proposal, terms: Terms) -> dict[PublicKey, int]:
    """The members whose nodes have counted enough votes, and when: `terms.words` of them decide.

    `group` is the version that the proposal names.
    """
    least = least_named(group, terms.rule, terms.least)
    if isinstance(asked, Amendment):
        if any(asked.id == version.version for version in adopted(db, group)):
            return spoken(db, group, adopters(db, group, asked.id))
        return deciders(db, group, asked.id, least, terms.subject, terms.slot)
    if terms.slot is None:
        return deciders(db, group, asked.id, least, terms.subject)
    now = current(db, group.id)
    versions = now.versions if now else group.versions
    return deciders(db, group, asked.id, least, terms.subject, terms.slot, versions)


def is_decided(db: sqlite3.Connection, group: Charter, asked: Proposal) -> bool:
    """Whether enough members' nodes have counted enough votes for a proposal of this version."""
    found = terms(db, group, asked)
    return len(decided_by(db, group, asked, found)) >= found.words
