"""Payments and texts that members propose, and what is known of each: votes, who counted them, what was paid.

Votes are facts of their voters' chains: one vote per member, the latest on the member's own chain. That enough of them
came in time is no such fact, and neither is that Bitcoin was paid, so both count once `threshold` members' nodes have
recorded them: fewer may lie, and as many could spend the treasury without asking anybody.
"""

import sqlite3
from collections import Counter
from dataclasses import dataclass, replace

from overlay.dao.charters import Charter, honest
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Payment:
    """A proposed payment from a group's treasury; `amount` and `fee_cap` in satoshis, `deadline` in milliseconds."""

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
class Text:
    """Words that a group is asked to agree to; `deadline` in milliseconds."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    text: str
    deadline: int


Proposal = Payment | Text


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


_COLUMNS = "id, charter, proposer, title, reason, payee, script, amount, fee_cap, deadline"


def payment(db: sqlite3.Connection, proposal: bytes) -> Payment | None:
    """The proposal of that id, whoever made it."""
    row = db.execute(f"SELECT {_COLUMNS} FROM group_payment WHERE id = ?", (proposal,)).fetchone()  # noqa: S608
    return _payment(row) if row else None


def text(db: sqlite3.Connection, proposal: bytes) -> Text | None:
    """The proposed text of that id, whoever made it."""
    row = db.execute(
        "SELECT id, charter, proposer, title, text, deadline FROM group_text WHERE id = ?", (proposal,)
    ).fetchone()
    return _text(row) if row else None


def texts(db: sqlite3.Connection, group: Charter) -> list[Text]:
    """The texts that members of a group proposed, by deadline."""
    rows = db.execute(
        "SELECT id, charter, proposer, title, text, deadline FROM group_text WHERE charter = ? ORDER BY deadline, id",
        (group.id,),
    )
    return [each for each in map(_text, rows) if each.proposer in group.members]


def proposal(db: sqlite3.Connection, id_: bytes) -> Proposal | None:
    """The payment or text of that id."""
    return payment(db, id_) or text(db, id_)


def payments(db: sqlite3.Connection, group: Charter) -> list[Payment]:
    """The payments that members of a group proposed, by deadline; others' proposals mean nothing."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM group_payment WHERE charter = ? ORDER BY deadline, id", (group.id,))  # noqa: S608
    return [each for each in map(_payment, rows) if each.proposer in group.members]


def paying(db: sqlite3.Connection, group: Charter, script: bytes, amount: int) -> list[Payment]:
    """Those of `payments` that pay exactly this."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM group_payment WHERE charter = ? AND script = ? AND amount = ? ORDER BY id",  # noqa: S608
        (group.id, script, amount),
    )
    return [each for each in map(_payment, rows) if each.proposer in group.members]


def ballots(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Ballot]:
    """The vote of each member that counts, in the order of the members."""
    rows = db.execute(
        "SELECT voter, choice, reason, block FROM group_vote WHERE proposal = ? ORDER BY sequence, block", (proposal,)
    )
    latest = {PublicKey(voter): Ballot(PublicKey(voter), choice, why, BlockHash(b)) for voter, choice, why, b in rows}
    voters = honest(db, group) if latest else set()
    return [latest[member] for member in group.members if member in latest and member in voters]


def deciders(db: sqlite3.Connection, group: Charter, proposal: bytes, least: int) -> dict[PublicKey, int]:
    """The members whose nodes recorded an approval that names `least` votes, every one a yes of another member.

    With each, when its clock said so (milliseconds). A node records it once and in time, so a vote changed afterwards
    takes nothing back.
    """
    rows = db.execute(
        "SELECT author, votes, time FROM group_decision WHERE proposal = ? AND approved ORDER BY time DESC", (proposal,)
    ).fetchall()
    if not rows:
        return {}
    trusted = honest(db, group)
    votes = db.execute("SELECT block, voter FROM group_vote WHERE proposal = ? AND choice = 'yes'", (proposal,))
    yes = {bytes(block): PublicKey(voter) for block, voter in votes if voter in trusted}
    found = {PublicKey(author): int(time) for author, named, time in rows if len(_voters(yes, named)) >= least}
    return {member: found[member] for member in group.members if member in found and member in trusted}


def payouts(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Payout]:
    """What was paid, once `threshold` members have recorded the same transaction; the one who tells the signers first.

    `signers` are the word of a single member. Less than `threshold` records are nobody's word: empty.
    """
    trusted, records = honest(db, group), _records(db, group, proposal)
    agreed = Counter(each.txid for each in records if each.author in trusted)
    txid = next((txid for txid, count in agreed.items() if count >= group.threshold), None)
    found = [each for each in records if each.txid == txid and each.author in trusted]
    heights = Counter(each.height for each in found)
    height = max(heights, key=lambda height: (heights[height], height), default=0)
    return sorted((replace(each, height=height) for each in found), key=lambda each: not each.signers)


def payout_of(db: sqlite3.Connection, group: Charter, proposal: bytes, author: PublicKey) -> Payout | None:
    """What one member recorded last."""
    return next((each for each in _records(db, group, proposal) if each.author == author), None)


def _records(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Payout]:
    """The latest record of each member, in the order of the members."""
    rows = db.execute(
        "SELECT author, txid, height, signers FROM group_payout WHERE proposal = ? ORDER BY sequence, block",
        (proposal,),
    )
    latest = {author: (bytes(txid), height, signers) for author, txid, height, signers in rows}
    return [
        Payout(member, txid, height, tuple(group.members[at] for at in signers if at < len(group.members)))
        for member in group.members
        if member in latest
        for txid, height, signers in (latest[member],)
    ]


def _voters(yes: dict[bytes, PublicKey], named: bytes) -> set[PublicKey]:
    """Whose yes votes a decision names; nobody's when it names anything else, or one voter twice."""
    votes = [named[at : at + HASH_BYTES] for at in range(0, len(named), HASH_BYTES)]
    voters = {yes[vote] for vote in votes if vote in yes}
    return voters if len(voters) == len(votes) else set()


def _text(row: tuple[bytes, bytes, bytes, str, str, int]) -> Text:
    return Text(BlockHash(row[0]), BlockHash(row[1]), PublicKey(row[2]), row[3], row[4], row[5])


def _payment(row: tuple[bytes, bytes, bytes, str, str, bytes, bytes, int, int, int]) -> Payment:
    id_, group, proposer, title, reason, payee, script, amount, fee_cap, deadline = row
    return Payment(
        BlockHash(id_),
        BlockHash(group),
        PublicKey(proposer),
        title,
        reason,
        PublicKey(payee),
        script,
        amount,
        fee_cap,
        deadline,
    )
