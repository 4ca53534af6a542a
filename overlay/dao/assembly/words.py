"""What members' nodes said that they counted: a *word* is one `Decide`, at its place on its author's chain.

Votes decide nothing by themselves; words do. Where only one of several proposals can be decided (the next version of a
charter, the acceptance of a work, a group's vote in a council) they share a *slot*, and of each author only the first
word about the slot counts: so much order every chain has.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overlay.dao.assembly.bylaws import Charter, group_of, seat
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash

HASH_BYTES = 32
# A vote that is left to one who leaves it to another goes through at most so many hands.
MAX_HANDS = 4
# A charter that has been changed so often is changed no more; so nobody's chain of amendments is walked for ever.
MAX_VERSIONS = 256


@dataclass(frozen=True, slots=True)
class Word:
    """An approval that a member's node recorded: block `sequence` of its chain, `time` by its clock (milliseconds)."""

    author: PublicKey
    sequence: int
    time: int
    named: bytes

    @property
    def votes(self) -> tuple[bytes, ...]:
        """The blocks that it names."""
        return tuple(self.named[at : at + HASH_BYTES] for at in range(0, len(self.named), HASH_BYTES))


def words(db: sqlite3.Connection, proposal: bytes) -> list[Word]:
    """Everybody's approvals of a proposal, members' or not, in the order of the chains."""
    rows = db.execute(
        "SELECT author, sequence, time, votes FROM group_decision WHERE proposal = ? AND approved"
        " ORDER BY sequence, block",
        (proposal,),
    )
    return [Word(PublicKey(author), sequence, time, bytes(named)) for author, sequence, time, named in rows]


def path(db: sqlite3.Connection, version: bytes) -> tuple[BlockHash, ...]:
    """The blocks from a group's founding to a version of its charter, adopted or not, as far as they are known."""
    found = [BlockHash(version)]
    for _ in range(MAX_VERSIONS):
        row = db.execute("SELECT base FROM group_amendment WHERE id = ?", (found[-1],)).fetchone()
        if row is None:
            break
        found.append(BlockHash(row[0]))
    return tuple(reversed(found))


def marks(values: Sequence[object]) -> str:
    """Question marks for an SQL list of so many."""
    return ",".join("?" * len(values))


def first_in_slot(db: sqlite3.Connection, slot: bytes, versions: Sequence[bytes]) -> dict[PublicKey, BlockHash]:
    """Which of the proposals of one slot and group each author approved first."""
    rows = db.execute(
        "SELECT author, d.proposal FROM group_slot s JOIN group_decision d ON d.proposal = s.proposal"  # noqa: S608
        f" WHERE slot = ? AND charter IN ({marks(versions)}) AND approved ORDER BY sequence DESC, block DESC",
        (slot, *versions),
    )
    return {PublicKey(author): BlockHash(proposal) for author, proposal in rows}


class Evidence:
    """What the votes that a word names say: whose yes votes they are, or whose votes were left to whose."""

    def __init__(self, db: sqlite3.Connection, group: Charter, proposal: bytes, subject: str) -> None:
        votes = db.execute("SELECT block, voter FROM group_vote WHERE proposal = ? AND choice = 'yes'", (proposal,))
        self._yes = {bytes(block): PublicKey(voter) for block, voter in votes if voter in group.members}
        self._left = _left(db, group, subject) if group.rule(subject).delegable else {}
        self._yes |= _instructed(db, group, proposal)

    def trusted(self, db: sqlite3.Connection) -> "Evidence":
        """The same without those who are proven to have signed two histories."""
        voters = {*self._yes.values(), *(author for author, _ in self._left.values())}
        liars = {voter for voter in voters if blocks.has_forked(db, voter)}
        self._yes = {block: voter for block, voter in self._yes.items() if voter not in liars}
        self._left = {block: left for block, left in self._left.items() if left[0] not in liars}
        return self

    def voters(self, votes: Sequence[bytes]) -> set[PublicKey]:
        """Whose votes a word names; nobody's when it names anything else, or one voter twice."""
        found = {self._yes[vote] for vote in votes if vote in self._yes}
        left = [self._left[vote] for vote in votes if vote in self._left]
        for _ in range(MAX_HANDS):
            found |= {author for author, to in left if to in found}
        return found if len(found) == len(votes) else set()


def _instructed(db: sqlite3.Connection, group: Charter, proposal: bytes) -> dict[bytes, PublicKey]:
    if not any(group_of(member) for member in group.members):
        return {}
    query = "SELECT id, charter FROM group_instruction WHERE about = ? AND choice = 'yes'"
    told = {bytes(id_): seat(path(db, version)[0]) for id_, version in db.execute(query, (proposal,)).fetchall()}
    return {id_: member for id_, member in told.items() if member in group.members}


def _left(db: sqlite3.Connection, group: Charter, subject: str) -> dict[bytes, tuple[PublicKey, PublicKey]]:
    rows = db.execute(
        "SELECT block, author, target FROM group_delegation WHERE charter = ? AND subject = ? AND target IS NOT NULL",
        (group.id, subject),
    )
    members = set(group.members)
    return {
        bytes(block): (PublicKey(author), PublicKey(target))
        for block, author, target in rows
        if author in members and target in members
    }


def earliest(found: Sequence[Word], evidence: Evidence, least: int) -> Mapping[PublicKey, Word]:
    """Of each author the first word that names at least so many votes, all of them valid."""
    valid: dict[PublicKey, Word] = {}
    for word in found:
        if word.author not in valid and len(evidence.voters(word.votes)) >= least:
            valid[word.author] = word
    return valid
