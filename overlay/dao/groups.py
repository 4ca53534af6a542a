"""The view of groups: charters and who signed them, proposals, votes, what was decided and paid (DESIGN 6).

Facts are folded as they come; who may vote and what counts is judged when asked, from chains alone. One vote per
member, the latest on the member's own chain; a member proven to have signed two histories has none.
"""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import (
    Anything,
    CastVote,
    Decide,
    FoundGroup,
    HoldShare,
    ProposePayment,
    RecordPayout,
    SignCharter,
)


@dataclass(frozen=True, slots=True)
class Charter:
    """A group: `members` in the order that numbers their shares."""

    id: BlockHash
    founder: PublicKey
    name: str
    purpose: str
    members: tuple[PublicKey, ...]
    approvals: int
    threshold: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A proposed payment from a group's treasury; `amount` and `fee_cap` in satoshis."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    reason: str
    payee: PublicKey
    script: bytes
    amount: int
    fee_cap: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Ballot:
    """The vote of one member that counts."""

    voter: PublicKey
    choice: str
    reason: str
    block: BlockHash


@dataclass(frozen=True, slots=True)
class Payout:
    """What a member recorded of a payment: mined in `txid` at `height`, signed by these members."""

    author: PublicKey
    txid: bytes
    height: int
    signers: tuple[PublicKey, ...]


class GroupsView:
    """Folds charters, signatures, shares, proposals, votes, decisions and payouts."""

    name: ClassVar[str] = "group"
    schema: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS group_charter (
        id BLOB PRIMARY KEY, founder BLOB NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL,
        approvals INTEGER NOT NULL, threshold INTEGER NOT NULL) WITHOUT ROWID;
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
    CREATE TABLE IF NOT EXISTS group_payment (
        id BLOB PRIMARY KEY, charter BLOB NOT NULL, proposer BLOB NOT NULL, title TEXT NOT NULL, reason TEXT NOT NULL,
        payee BLOB NOT NULL, script BLOB NOT NULL, amount INTEGER NOT NULL, fee_cap INTEGER NOT NULL,
        deadline INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS group_payment_charter ON group_payment (charter);
    CREATE TABLE IF NOT EXISTS group_vote (
        proposal BLOB NOT NULL, voter BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        choice TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (proposal, voter, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_decision (
        proposal BLOB NOT NULL, author BLOB NOT NULL, block BLOB NOT NULL, approved INTEGER NOT NULL,
        votes BLOB NOT NULL, PRIMARY KEY (proposal, author, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS group_payout (
        proposal BLOB NOT NULL, author BLOB NOT NULL, block BLOB NOT NULL, txid BLOB NOT NULL, height INTEGER NOT NULL,
        signers BLOB NOT NULL, PRIMARY KEY (proposal, author, block)) WITHOUT ROWID;
    """

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        author, place = block.public_key, (block.public_key, block.sequence_number, block.hash)
        match statement:
            case FoundGroup():
                _fold_charter(db, block, statement)
            case SignCharter(group=group, host_key=host_key):
                db.execute("INSERT INTO group_signature VALUES (?,?,?,?,?)", (group, *place, host_key))
            case HoldShare(group=group, threshold_key=key, recovery_hash=recovery):
                db.execute("INSERT INTO group_share VALUES (?,?,?,?,?,?)", (group, *place, key, recovery))
            case ProposePayment():
                _fold_payment(db, block, statement)
            case CastVote(proposal=proposal, choice=choice, reason=reason):
                db.execute("INSERT INTO group_vote VALUES (?,?,?,?,?,?)", (proposal, *place, choice, reason))
            case Decide(proposal=proposal, approved=approved, votes=votes):
                row = (proposal, author, block.hash, approved, b"".join(votes))
                db.execute("INSERT INTO group_decision VALUES (?,?,?,?,?)", row)
            case RecordPayout(proposal=proposal, txid=txid, height=height, signers=signers):
                payout = (proposal, author, block.hash, txid, height, bytes(signers))
                db.execute("INSERT INTO group_payout VALUES (?,?,?,?,?,?)", payout)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        """Bodies say nothing of groups."""


def _fold_charter(db: sqlite3.Connection, block: HalfBlock, said: FoundGroup) -> None:
    if len(set(said.members)) < len(said.members) or max(said.approvals, said.threshold) > len(said.members):
        return  # a charter that can never decide or sign, or counts a member twice, founds nothing
    row = (block.hash, block.public_key, said.name, said.purpose, said.approvals, said.threshold)
    db.execute("INSERT INTO group_charter VALUES (?,?,?,?,?,?)", row)
    members = [(block.hash, position, member) for position, member in enumerate(said.members)]
    db.executemany("INSERT INTO group_member VALUES (?,?,?)", members)


def _fold_payment(db: sqlite3.Connection, block: HalfBlock, said: ProposePayment) -> None:
    row = (block.hash, said.group, block.public_key, said.title, said.reason, said.payee, said.script)
    limits = (said.amount, said.fee_cap, said.deadline)
    db.execute("INSERT INTO group_payment VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, *limits))


def charters(db: sqlite3.Connection) -> list[Charter]:
    """All groups that this node knows, in the order of their ids."""
    return [found for (id_,) in db.execute("SELECT id FROM group_charter ORDER BY id") if (found := charter(db, id_))]


def charter(db: sqlite3.Connection, group: bytes) -> Charter | None:
    row = db.execute(
        "SELECT founder, name, purpose, approvals, threshold FROM group_charter WHERE id = ?", (group,)
    ).fetchone()
    if row is None:
        return None
    rows = db.execute("SELECT member FROM group_member WHERE charter = ? ORDER BY position", (group,))
    members = tuple(PublicKey(member) for (member,) in rows)
    return Charter(BlockHash(group), PublicKey(row[0]), row[1], row[2], members, row[3], row[4])


def host_keys(db: sqlite3.Connection, group: Charter) -> dict[PublicKey, bytes]:
    """The host key that each member bound when it first signed the charter."""
    rows = db.execute(
        "SELECT member, host_key FROM group_signature WHERE charter = ? ORDER BY sequence DESC, block DESC", (group.id,)
    )
    signed = {PublicKey(member): bytes(key) for member, key in rows}
    return {member: signed[member] for member in group.members if member in signed}


def share_holders(db: sqlite3.Connection, group: Charter) -> dict[PublicKey, tuple[bytes, bytes]]:
    """Which threshold key, with which recovery data (its hash), each member said first that it holds a share of."""
    rows = db.execute(
        "SELECT member, threshold_key, recovery_hash FROM group_share WHERE charter = ?"
        " ORDER BY sequence DESC, block DESC",
        (group.id,),
    )
    held = {PublicKey(member): (bytes(key), bytes(recovery)) for member, key, recovery in rows}
    return {member: held[member] for member in group.members if member in held}


def threshold_key(db: sqlite3.Connection, group: Charter) -> bytes | None:
    """The group's key (33 bytes) once every member has said that it holds a share of the very same."""
    holders = share_holders(db, group)
    named = set(holders.values())
    return named.pop()[0] if len(holders) == len(group.members) and len(named) == 1 else None


def payment(db: sqlite3.Connection, proposal: bytes) -> Payment | None:
    row = db.execute(
        "SELECT charter, proposer, title, reason, payee, script, amount, fee_cap, deadline"
        " FROM group_payment WHERE id = ?",
        (proposal,),
    ).fetchone()
    if row is None:
        return None
    group, proposer, title, reason, payee, script, amount, fee_cap, deadline = row
    who = PublicKey(proposer)
    return Payment(
        BlockHash(proposal), BlockHash(group), who, title, reason, PublicKey(payee), script, amount, fee_cap, deadline
    )


def payments(db: sqlite3.Connection, group: Charter) -> list[Payment]:
    """The payments that members of a group proposed; others' proposals mean nothing."""
    rows = db.execute("SELECT id FROM group_payment WHERE charter = ? ORDER BY id", (group.id,)).fetchall()
    found = [payment(db, id_) for (id_,) in rows]
    return [each for each in found if each is not None and each.proposer in group.members]


def ballots(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Ballot]:
    """The vote of each member that counts, in the order of the members."""
    rows = db.execute(
        "SELECT voter, choice, reason, block FROM group_vote WHERE proposal = ? ORDER BY sequence, block", (proposal,)
    )
    latest = {PublicKey(voter): Ballot(PublicKey(voter), choice, why, BlockHash(b)) for voter, choice, why, b in rows}
    return [latest[m] for m in group.members if m in latest and not blocks.has_forked(db, m)]


def payouts(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Payout]:
    """What members of the group recorded as paid."""
    rows = db.execute(
        "SELECT author, txid, height, signers FROM group_payout WHERE proposal = ? ORDER BY height, block", (proposal,)
    )
    return [
        Payout(PublicKey(author), txid, height, tuple(group.members[at] for at in signers if at < len(group.members)))
        for author, txid, height, signers in rows
        if author in group.members
    ]


def was_decided(db: sqlite3.Connection, group: Charter, proposal: bytes) -> bool:
    """Whether a member recorded an approval whose named votes are yes votes of enough members."""
    rows = db.execute(
        "SELECT author, votes FROM group_decision WHERE proposal = ? AND approved", (proposal,)
    ).fetchall()
    return any(
        author in group.members and len(_yes_voters(db, group, proposal, named)) >= group.approvals
        for author, named in rows
    )


def _yes_voters(db: sqlite3.Connection, group: Charter, proposal: bytes, named: bytes) -> set[PublicKey]:
    votes = {named[at : at + 32] for at in range(0, len(named), 32)}
    rows = db.execute("SELECT voter, block FROM group_vote WHERE proposal = ? AND choice = 'yes'", (proposal,))
    return {PublicKey(voter) for voter, block in rows if block in votes and voter in group.members}
