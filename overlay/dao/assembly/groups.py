"""The view of groups: charters and who signed them, shares, proposals, votes, decisions, payouts (docs/groups.md).

Facts are folded as they come; who may vote and what counts is judged when asked (`charters`, `proposals`), from
chains alone.
"""

import sqlite3
from typing import ClassVar

import msgspec

from overlay.dao.assembly import folding
from overlay.dao.assembly.ballots import Ballot, ballots
from overlay.dao.assembly.bylaws import AMENDMENTS, WORKS
from overlay.dao.assembly.charters import Charter, charter, charters, fault, rules_of
from overlay.dao.assembly.payouts import Payout, payouts
from overlay.dao.assembly.proposals import Payment, Text, payment, payments, texts
from overlay.dao.assembly.shares import host_keys, share_holders, threshold_key
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import (
    MAX_QUANTITY,
    Anything,
    CastVote,
    Decide,
    FoundAssembly,
    FoundCouncil,
    FoundGroup,
    FoundLimitedCouncil,
    HandOver,
    HoldLedgerShare,
    HoldShare,
    ProposePayment,
    ProposePayments,
    ProposeText,
    RecordPayout,
    SignCharter,
)

__all__ = [
    "Ballot",
    "Charter",
    "GroupsView",
    "Payment",
    "Payout",
    "Text",
    "ballots",
    "charter",
    "charters",
    "host_keys",
    "payment",
    "payments",
    "payouts",
    "share_holders",
    "texts",
    "threshold_key",
]


class GroupsView:
    """Folds charters, signatures, shares, proposals, votes, decisions and payouts."""

    name: ClassVar[str] = "group"
    schema: ClassVar[str] = (
        folding.SCHEMA
        + """
    CREATE TABLE IF NOT EXISTS group_charter (
        id BLOB PRIMARY KEY, founder BLOB NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL,
        threshold INTEGER NOT NULL, payments BLOB NOT NULL, texts BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_limit (charter BLOB PRIMARY KEY, limits BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_member (
        charter BLOB NOT NULL, position INTEGER NOT NULL, member BLOB NOT NULL, PRIMARY KEY (charter, position)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_signature (
        charter BLOB NOT NULL, member BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        host_key BLOB NOT NULL, PRIMARY KEY (charter, member, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_share (
        charter BLOB NOT NULL, member BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        threshold_key BLOB NOT NULL, recovery_hash BLOB NOT NULL,
        PRIMARY KEY (charter, member, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_ledger_share (
        charter BLOB NOT NULL, member BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        ledger_key BLOB NOT NULL, recovery_hash BLOB NOT NULL,
        PRIMARY KEY (charter, member, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_handover (
        agent BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL, version BLOB NOT NULL,
        PRIMARY KEY (agent, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_countersigned (
        agent BLOB NOT NULL, proposal BLOB NOT NULL, said TEXT NOT NULL, block BLOB NOT NULL,
        PRIMARY KEY (agent, proposal, said, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_payment (
        id BLOB PRIMARY KEY, charter BLOB NOT NULL, proposer BLOB NOT NULL, title TEXT NOT NULL, reason TEXT NOT NULL,
        payee BLOB NOT NULL, script BLOB NOT NULL, amount INTEGER NOT NULL, fee_cap INTEGER NOT NULL,
        deadline INTEGER NOT NULL, more BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS group_payment_deadline ON group_payment (charter, deadline, id);
    CREATE INDEX IF NOT EXISTS group_payment_paying ON group_payment (charter, script, amount);
    CREATE TABLE IF NOT EXISTS group_text (
        id BLOB PRIMARY KEY, charter BLOB NOT NULL, proposer BLOB NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
        deadline INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS group_text_deadline ON group_text (charter, deadline, id);
    CREATE TABLE IF NOT EXISTS group_vote (
        proposal BLOB NOT NULL, voter BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        choice TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (proposal, voter, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_decision (
        proposal BLOB NOT NULL, author BLOB NOT NULL, block BLOB NOT NULL, approved INTEGER NOT NULL,
        votes BLOB NOT NULL, time INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (proposal, author, block)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_payout (
        proposal BLOB NOT NULL, author BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        txid BLOB NOT NULL, height INTEGER NOT NULL, signers BLOB NOT NULL,
        PRIMARY KEY (proposal, author, sequence, block)) WITHOUT ROWID;
    """
    )

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        place = (block.public_key, block.sequence_number, block.hash)
        folding.fold(db, block, statement)
        match statement:
            case FoundGroup() | FoundCouncil():
                _fold_charter(db, block, statement)
            case SignCharter(group=group, host_key=host_key):
                db.execute("INSERT INTO group_signature VALUES (?,?,?,?,?)", (group, *place, host_key))
            case HoldShare(group=group, threshold_key=key, recovery_hash=recovery):
                db.execute("INSERT INTO group_share VALUES (?,?,?,?,?,?)", (group, *place, key, recovery))
            case HandOver(version=version):
                db.execute("INSERT INTO group_handover VALUES (?,?,?,?)", (*place, version))
            case HoldLedgerShare(group=group, ledger_key=key, recovery_hash=recovery):
                db.execute("INSERT INTO group_ledger_share VALUES (?,?,?,?,?,?)", (group, *place, key, recovery))
            case ProposePayment() | ProposeText():
                _fold_proposal(db, block, statement)
            case CastVote() | Decide() | RecordPayout():
                _fold_about(db, block, statement)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        """Bodies say nothing of groups."""


def _fold_charter(db: sqlite3.Connection, block: HalfBlock, said: FoundGroup | FoundCouncil) -> None:
    if fault(said, block.public_key) is not None:
        return
    payments_, texts_ = (msgspec.msgpack.encode(rule) for rule in rules_of(said))
    row = (block.hash, block.public_key, said.name, said.purpose, said.threshold, payments_, texts_)
    db.execute("INSERT INTO group_charter VALUES (?,?,?,?,?,?,?)", row)
    if isinstance(said, FoundLimitedCouncil | FoundAssembly) and said.limits is not None:
        db.execute("INSERT INTO group_limit VALUES (?,?)", (block.hash, msgspec.msgpack.encode(said.limits)))
    if isinstance(said, FoundAssembly):
        more = ((AMENDMENTS, said.amendments), (WORKS, said.works))
        rows = [(block.hash, subject, msgspec.msgpack.encode(rule)) for subject, rule in more]
        db.executemany("INSERT INTO group_rule VALUES (?,?,?)", rows)
    members = [(block.hash, position, member) for position, member in enumerate(said.members)]
    db.executemany("INSERT INTO group_member VALUES (?,?,?)", members)


def _fold_proposal(db: sqlite3.Connection, block: HalfBlock, said: ProposePayment | ProposeText) -> None:
    first, last = (block.hash, said.group, block.public_key, said.title), said.deadline
    if isinstance(said, ProposeText):
        db.execute("INSERT INTO group_text VALUES (?,?,?,?,?,?)", (*first, said.text, last))
        return
    more = msgspec.msgpack.encode(said.more if isinstance(said, ProposePayments) else ())
    row = (*first, said.reason, said.payee, said.script, said.amount, said.fee_cap, last, more)
    db.execute("INSERT INTO group_payment VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)


def _fold_about(db: sqlite3.Connection, block: HalfBlock, statement: CastVote | Decide | RecordPayout) -> None:
    """What members say of a proposal; it need not be known."""
    place = (block.public_key, block.sequence_number, block.hash)
    if block.is_agreement and isinstance(statement, Decide | RecordPayout):  # as the group itself says it
        said = "decision" if isinstance(statement, Decide) else "payout"
        db.execute("INSERT INTO group_countersigned VALUES (?,?,?,?)", (place[0], statement.proposal, said, place[2]))
    match statement:
        case CastVote(proposal=about, choice=choice, reason=reason):
            db.execute("INSERT INTO group_vote VALUES (?,?,?,?,?,?)", (about, *place, choice, reason))
        case Decide(proposal=about, approved=approved, votes=votes):
            named, time = b"".join(votes), min(block.timestamp, MAX_QUANTITY)  # a number that SQLite holds
            row = (about, block.public_key, block.hash, approved, named, time, block.sequence_number)
            db.execute("INSERT INTO group_decision VALUES (?,?,?,?,?,?,?)", row)
        case RecordPayout(proposal=about, txid=txid, height=height, signers=signers):
            payout = (about, *place, txid, height, bytes(signers))
            db.execute("INSERT INTO group_payout VALUES (?,?,?,?,?,?,?)", payout)
