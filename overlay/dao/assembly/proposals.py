"""Payments and texts that members propose, and what is known of each: votes, who counted them, what was paid.

Votes are facts of their voters' chains: one vote per member, the latest on the member's own chain. That enough of them
came in time is no such fact, and neither is that Bitcoin was paid, so both count once `threshold` members' nodes have
recorded them: fewer may lie, and as many could spend the treasury without asking anybody.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import msgspec

from overlay.dao.assembly import motions
from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.bylaws import TEXTS
from overlay.dao.assembly.charters import Charter, before_adoption, charter, current, honest, spoken
from overlay.dao.assembly.motions import Amendment, Instruction, Work
from overlay.dao.assembly.shares import custodians
from overlay.dao.assembly.words import Evidence, earliest, first_in_slot, marks, words
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import FurtherPayee, ProposePayment, ProposePayments

_more_decoder = msgspec.msgpack.Decoder(tuple[FurtherPayee, ...])


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid: `amount` satoshis to a script, on behalf of the member `key`."""

    key: PublicKey
    script: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A proposed payment from a group's treasury; `amount` and `fee_cap` in satoshis, `deadline` in milliseconds.

    `payee`, `script` and `amount` are those of the first payee, `more` are the others, whom the same transaction pays.
    """

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
    more: tuple[Payee, ...] = ()

    @property
    def payees(self) -> tuple[Payee, ...]:
        """All who are paid, in the order of the transaction's outputs."""
        return (Payee(self.payee, self.script, self.amount), *self.more)

    @property
    def total(self) -> int:
        """What all payees get together, in satoshis."""
        return sum(each.amount for each in self.payees)


@dataclass(frozen=True, slots=True)
class Text:
    """Words that a group is asked to agree to; `deadline` in milliseconds."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    text: str
    deadline: int


Proposal = Payment | Text | Amendment | Work | Instruction


@dataclass(frozen=True, slots=True)
class Ballot:
    """The vote of one member that counts. Where it was left to another, `through` whose hands it went."""

    voter: PublicKey
    choice: str
    reason: str
    block: BlockHash
    through: tuple[PublicKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Payout:
    """What a member recorded of a payment: mined in `txid` at `height`, signed by these members."""

    author: PublicKey
    txid: bytes
    height: int
    signers: tuple[PublicKey, ...]


P = TypeVar("P", Payment, Text)
_COLUMNS = "id, charter, proposer, title, reason, payee, script, amount, fee_cap, deadline, more"


def payees_of(said: ProposePayment) -> tuple[Payee, ...]:
    """All whom a proposed payment names, in its order."""
    first = Payee(PublicKey(said.payee), said.script, said.amount)
    return (first, *_further(said.more)) if isinstance(said, ProposePayments) else (first,)


def _further(more: tuple[FurtherPayee, ...]) -> tuple[Payee, ...]:
    return tuple(Payee(PublicKey(each.payee), each.script, each.amount) for each in more)


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
    """The texts that members of a group proposed, under any version of its charter, by deadline."""
    named = versions_of(db, group)
    rows = db.execute(
        "SELECT id, charter, proposer, title, text, deadline FROM group_text"  # noqa: S608
        f" WHERE charter IN ({marks(named)}) ORDER BY deadline, id",
        named,
    )
    return _of_members(db, group, map(_text, rows))


def proposal(db: sqlite3.Connection, id_: bytes) -> Proposal | None:
    """The proposal of that id, of any kind."""
    found = motions.place(db, id_)
    return _READERS[found.kind](db, id_) if found else None


def payments(db: sqlite3.Connection, group: Charter) -> list[Payment]:
    """The payments that members of a group proposed, under any version of its charter, by deadline.

    Others' proposals mean nothing.
    """
    named = versions_of(db, group)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM group_payment WHERE charter IN ({marks(named)}) ORDER BY deadline, id",  # noqa: S608
        named,
    )
    return _of_members(db, group, map(_payment, rows))


def paying(db: sqlite3.Connection, group: Charter, script: bytes, amount: int) -> list[Payment]:
    """Those of `payments` whose first payee gets exactly this."""
    named = versions_of(db, group)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM group_payment WHERE charter IN ({marks(named)}) AND script = ? AND amount = ?"  # noqa: S608
        " ORDER BY id",
        (*named, script, amount),
    )
    return _of_members(db, group, map(_payment, rows))


def ballots(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Ballot]:
    """The vote that each member cast on its own chain, in the order of the members."""
    rows = db.execute(
        "SELECT voter, choice, reason, block FROM group_vote WHERE proposal = ? ORDER BY sequence, block", (proposal,)
    )
    latest = {PublicKey(voter): Ballot(PublicKey(voter), choice, why, BlockHash(b)) for voter, choice, why, b in rows}
    voters = honest(db, group) if latest else set()
    return [latest[member] for member in group.members if member in latest and member in voters]


def deciders(
    db: sqlite3.Connection,
    group: Charter,
    proposal: bytes,
    least: int,
    subject: str = TEXTS,
    slot: bytes | None = None,
    versions: tuple[BlockHash, ...] = (),
) -> dict[PublicKey, int]:
    """The members whose nodes recorded an approval that names `least` votes, every one a yes of another member.

    With each, when its clock said so (milliseconds). A node records it once and in time, so a vote changed afterwards
    takes nothing back. In a slot only first words count, under any of `versions`. Once another version of the charter
    has been adopted, only words count that an adopter gave before it adopted: so what was decided stays, and nothing is
    added.
    """
    found = words(db, proposal)
    if not found:
        return {}
    honest_words = [word for word in found if not blocks.has_forked(db, word.author)]
    evidence = Evidence(db, group, proposal, subject).trusted(db)
    valid = dict(earliest(honest_words, evidence, least))
    if slot is not None and valid:
        first = first_in_slot(db, slot, versions or group.versions)
        valid = {author: word for author, word in valid.items() if first[author] == proposal}
    return spoken(db, group, before_adoption(db, group, valid))


def payouts(db: sqlite3.Connection, group: Charter, proposal: bytes) -> list[Payout]:
    """What was paid, once `threshold` custodians have recorded the same transaction; who tells the signers comes first.

    `signers` are the word of a single member. Less than `threshold` records are nobody's word: empty.
    """
    group = custodians(db, group)
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


def versions_of(db: sqlite3.Connection, group: Charter) -> tuple[BlockHash, ...]:
    """All versions of its charter, whichever of them this is."""
    now = current(db, group.id)
    return now.versions if now else group.versions


def _of_members(db: sqlite3.Connection, group: Charter, found: Iterable[P]) -> list[P]:
    """Those that somebody proposed who was a member by the version that the proposal names."""
    known: dict[bytes, Charter | None] = {group.version: group}
    kept = []
    for each in found:
        if each.group not in known:
            known[each.group] = charter(db, each.group)
        version = known[each.group]
        if version is not None and belongs(db, version, each.proposer):
            kept.append(each)
    return kept


def _text(row: tuple[bytes, bytes, bytes, str, str, int]) -> Text:
    return Text(BlockHash(row[0]), BlockHash(row[1]), PublicKey(row[2]), row[3], row[4], row[5])


def _payment(row: tuple[bytes, bytes, bytes, str, str, bytes, bytes, int, int, int, bytes]) -> Payment:
    id_, group, proposer, title, reason, payee, script, amount, fee_cap, deadline, more = row
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
        _further(_more_decoder.decode(more)),
    )


_READERS: Final[dict[str, Callable[[sqlite3.Connection, bytes], Proposal | None]]] = {
    "payment": payment,
    "text": text,
    "amendment": motions.amendment,
    "work": motions.work,
    "instruction": motions.instruction,
}
