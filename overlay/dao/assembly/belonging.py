"""Who belongs to a group whose members may be groups themselves."""

import sqlite3

from overlay.dao.assembly.bylaws import Charter, group_of
from overlay.dao.assembly.charters import DEPTH, current, versions
from overlay.keys import PublicKey
from overlay.trustchain.connection import once


def belongs(db: sqlite3.Connection, group: Charter, person: PublicKey, depth: int = DEPTH) -> bool:
    """Whether somebody is a member, or a member of a group that is one, as their charters stand now."""
    if person in group.members:
        return True
    return once(db, ("belongs", group.version, person, depth), lambda: _belongs(db, group, person, depth))


def _belongs(db: sqlite3.Connection, group: Charter, person: PublicKey, depth: int) -> bool:
    inner = [each for member in group.members if (each := group_of(member))] if depth > 0 else []
    groups = (current(db, each, depth - 1) for each in inner)
    return any(group is not None and belongs(db, group, person, depth - 1) for group in groups)


def has_belonged(db: sqlite3.Connection, group: Charter, person: PublicKey, depth: int = DEPTH) -> bool:
    """Whether somebody is a member, or was at any time a member of a group that is one."""
    if person in group.members:
        return True
    return once(db, ("has belonged", group.version, person, depth), lambda: _has_belonged(db, group, person, depth))


def _has_belonged(db: sqlite3.Connection, group: Charter, person: PublicKey, depth: int) -> bool:
    inner = [each for member in group.members if (each := group_of(member))] if depth > 0 else []
    groups = (version for each in inner for version in versions(db, each, depth - 1))
    return any(has_belonged(db, version, person, depth - 1) for version in groups)


def nesting(db: sqlite3.Connection, group: Charter, depth: int = DEPTH) -> int:
    """How many levels of groups a group has among its members, as far as is looked: 0 when all are persons."""
    return once(db, ("nesting", group.version, depth), lambda: _nesting(db, group, depth))


def _nesting(db: sqlite3.Connection, group: Charter, depth: int) -> int:
    inner = [each for member in group.members if (each := group_of(member))] if depth > 0 else []
    groups = (current(db, each, depth - 1) for each in inner)
    return max((1 + nesting(db, each, depth - 1) for each in groups if each is not None), default=0)
