"""The newest proposals of groups, of every kind: first those whose deadline has not come, then those that are over."""

import sqlite3
from collections.abc import Iterable

from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.bylaws import Charter, group_of
from overlay.dao.assembly.charters import DEPTH, charters, current, versions
from overlay.dao.assembly.words import marks
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash

# Nearest deadline first among those that have not come, latest first among those that have.
_OPEN = "deadline >= ? ORDER BY deadline, id"
_OVER = "deadline < ? ORDER BY deadline DESC, id"


def newest(db: sqlite3.Connection, me: PublicKey, now: int, most: int) -> list[BlockHash]:
    """At most so many proposals of members: those of one's own groups, and where these are fewer, of others.

    A group is one's own when one has signed its charter; then come those that only name one as a member. So whoever
    founds groups cannot crowd out what one has a vote on. Reads at most twice `most` ids of each version of a charter.
    """
    found: list[BlockHash] = []
    for tier in _by_nearness(db, me):
        if len(found) < most:
            found += _of(db, tier, now, most - len(found))
    return found


def _by_nearness(db: sqlite3.Connection, me: PublicKey) -> tuple[list[Charter], list[Charter], list[Charter]]:
    """All groups: those whose charter one signed, those that name one, and the others."""
    rows = db.execute("SELECT DISTINCT charter FROM group_signature WHERE member = ?", (me,))
    signed = {bytes(version) for (version,) in rows}
    tiers: tuple[list[Charter], list[Charter], list[Charter]] = ([], [], [])
    for group in charters(db):
        mine = belongs(db, group, me)
        tiers[0 if mine and signed.intersection(group.versions) else 1 if mine else 2].append(group)
    return tiers


def _of(db: sqlite3.Connection, groups: Iterable[Charter], now: int, most: int) -> list[BlockHash]:
    ahead: list[tuple[int, BlockHash]] = []
    past: list[tuple[int, BlockHash]] = []
    for version in (version for group in groups for version in versions(db, group.id)):
        people = sorted(_people(db, version))
        ahead += _read(db, version, people, _OPEN, (now, most))
        past += [(-deadline, id_) for deadline, id_ in _read(db, version, people, _OVER, (now, most))]
    return [id_ for _, id_ in (*sorted(ahead), *sorted(past))[:most]]


def _read(
    db: sqlite3.Connection, version: Charter, people: list[PublicKey], which: str, bounds: tuple[int, int]
) -> list[tuple[int, BlockHash]]:
    """Deadlines and ids; what others propose than those who belong to a group means nothing."""
    rows = db.execute(
        "SELECT deadline, id FROM group_proposal WHERE charter = ?"  # noqa: S608
        f" AND proposer IN ({marks(people)}) AND {which} LIMIT ?",
        (version.version, *people, *bounds),
    )
    return [(deadline, BlockHash(id_)) for deadline, id_ in rows]


def _people(db: sqlite3.Connection, group: Charter, depth: int = DEPTH) -> set[PublicKey]:
    """All persons who belong to a group: its members, and the members of groups that are members."""
    found: set[PublicKey] = set()
    for member in group.members:
        named = group_of(member)
        inner = current(db, named, depth - 1) if named is not None and depth > 0 else None
        found |= {member} if named is None else _people(db, inner, depth - 1) if inner is not None else set()
    return found
