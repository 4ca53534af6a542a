"""How members voted on a proposal, and whose nodes counted that.

Votes are facts of their voters' chains: one vote per member, the latest on the member's own chain. That enough of them
came in time is no such fact, so it counts once `threshold` members' nodes have recorded it: fewer may lie, and as many
could spend the treasury without asking anybody.
"""

import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly.bylaws import TEXTS
from overlay.dao.assembly.charters import Charter, before_adoption, honest, spoken
from overlay.dao.assembly.words import Evidence, earliest, first_in_slot, words
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash


@dataclass(frozen=True, slots=True)
class Ballot:
    """The vote of one member that counts. Where it was left to another, `through` whose hands it went."""

    voter: PublicKey
    choice: str
    reason: str
    block: BlockHash
    through: tuple[PublicKey, ...] = ()


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
