"""Groups as their members wrote them: charters, bound host keys, and who holds a share of which key.

A member can always refuse to begin, but nobody can undo what stands: a key that all members have said they hold a
share of stays the group's key, whatever one of them signs later.
"""

import sqlite3
from dataclasses import dataclass

import msgspec

from overlay.dao import rules
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import FoundCouncil, FoundGroup, Rule

_rule_decoder = msgspec.msgpack.Decoder(Rule)


@dataclass(frozen=True, slots=True)
class Charter:
    """A group: `members` in the order that numbers their shares."""

    id: BlockHash
    founder: PublicKey
    name: str
    purpose: str
    members: tuple[PublicKey, ...]
    threshold: int
    payments: Rule
    texts: Rule

    @property
    def approvals(self) -> int:
        """How many yes votes pay when all vote: never less than shares, so that those who said yes can sign."""
        return max(self.threshold, rules.fewest(self.payments, len(self.members)))


def rules_of(said: FoundGroup | FoundCouncil) -> tuple[Rule, Rule]:
    """How a charter decides on payments and on texts."""
    if isinstance(said, FoundCouncil):
        return said.payments, said.texts
    simple = Rule("count", said.approvals)
    return simple, simple


def fault(said: FoundGroup | FoundCouncil, founder: bytes) -> str | None:
    """Why these words found no group; None when they do.

    More shares than yes votes would let a payment be approved that nobody can sign: who said no gives no share.
    """
    size = len(said.members)
    if len(set(said.members)) < size:
        return "a charter names each member once"
    if founder not in said.members:
        return "the founder of a group is one of its members"
    if said.threshold > size:
        return f"{said.threshold} shares can never be brought together by a group of {size}"
    if isinstance(said, FoundGroup) and said.threshold > said.approvals:
        return (
            f"{said.approvals} yes votes would approve what only {said.threshold} members can sign:"
            " a charter asks for at least as many yes votes as shares"
        )
    return next((found for rule in rules_of(said) if (found := rules.fault(rule, size))), None)


def charters(db: sqlite3.Connection) -> list[Charter]:
    """All groups that this node knows, in the order of their ids."""
    return [found for (id_,) in db.execute("SELECT id FROM group_charter ORDER BY id") if (found := charter(db, id_))]


def charter(db: sqlite3.Connection, group: bytes) -> Charter | None:
    """The group of that id."""
    row = db.execute(
        "SELECT founder, name, purpose, threshold, payments, texts FROM group_charter WHERE id = ?", (group,)
    ).fetchone()
    if row is None:
        return None
    rows = db.execute("SELECT member FROM group_member WHERE charter = ? ORDER BY position", (group,))
    members = tuple(PublicKey(member) for (member,) in rows)
    payments, texts = _rule_decoder.decode(row[4]), _rule_decoder.decode(row[5])
    return Charter(BlockHash(group), PublicKey(row[0]), row[1], row[2], members, row[3], payments, texts)


def honest(db: sqlite3.Connection, group: Charter) -> set[PublicKey]:
    """The members that are not proven to have signed two histories: only these have a vote."""
    return {member for member in group.members if not blocks.has_forked(db, member)}


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
    """The group's key (33 bytes) once every member has said that it holds a share of the very same.

    One honest member names one key only, so there is at most one that all have named, and it never changes.
    """
    said: dict[bytes, set[tuple[bytes, bytes]]] = {member: set() for member in group.members}
    rows = db.execute("SELECT member, threshold_key, recovery_hash FROM group_share WHERE charter = ?", (group.id,))
    for member, key, recovery in rows:
        if member in said:
            said[member].add((bytes(key), bytes(recovery)))
    common = set.intersection(*said.values())
    return min(common)[0] if common else None
