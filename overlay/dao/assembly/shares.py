"""Who holds a group's key: the host keys that members bound, and the shares that they say they hold.

A member can always refuse to begin, but nobody can undo what stands: a key that all members have said they hold a
share of stays the group's key, whatever one of them signs later.
"""

import sqlite3

from overlay.dao.assembly.bylaws import Charter
from overlay.dao.assembly.charters import versions
from overlay.keys import PublicKey


def custodians(db: sqlite3.Connection, group: Charter) -> Charter:
    """The version whose members hold the key: the newest that all members of have said so, before any has, this one.

    A change of the charter changes who votes at once, and who holds shares only when the shares have been made anew:
    `SignCharter` and `HoldShare` name the version that they are for.
    """
    found = [version for version in versions(db, group.id) if version.version in group.versions]
    return next((version for version in reversed(found) if _key_of(db, version) is not None), group)


def threshold_key(db: sqlite3.Connection, group: Charter) -> bytes | None:
    """The group's key (33 bytes) once every custodian has said that it holds a share of the very same."""
    return _key_of(db, custodians(db, group))


def host_keys(db: sqlite3.Connection, group: Charter) -> dict[PublicKey, bytes]:
    """The host key that each member bound when it first signed this version of the charter."""
    rows = db.execute(
        "SELECT member, host_key FROM group_signature WHERE charter = ? ORDER BY sequence DESC, block DESC",
        (group.version,),
    )
    signed = {PublicKey(member): bytes(key) for member, key in rows}
    return {member: signed[member] for member in group.members if member in signed}


def share_holders(db: sqlite3.Connection, group: Charter) -> dict[PublicKey, tuple[bytes, bytes]]:
    """Which threshold key, with which recovery data (its hash), each member said first that it holds a share of."""
    rows = db.execute(
        "SELECT member, threshold_key, recovery_hash FROM group_share WHERE charter = ?"
        " ORDER BY sequence DESC, block DESC",
        (group.version,),
    )
    held = {PublicKey(member): (bytes(key), bytes(recovery)) for member, key, recovery in rows}
    return {member: held[member] for member in group.members if member in held}


def _key_of(db: sqlite3.Connection, group: Charter) -> bytes | None:
    """The key of one version's members.

    One honest member names one key only, so there is at most one that all have named, and it never changes.
    """
    said: dict[bytes, set[tuple[bytes, bytes]]] = {member: set() for member in group.members}
    rows = db.execute(
        "SELECT member, threshold_key, recovery_hash FROM group_share WHERE charter = ?", (group.version,)
    )
    for member, key, recovery in rows:
        if member in said:
            said[member].add((bytes(key), bytes(recovery)))
    common = set.intersection(*said.values())
    return min(common)[0] if common else None
