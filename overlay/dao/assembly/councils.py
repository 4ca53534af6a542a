"""Groups that are members of other groups: such a one votes in the council as it has decided by itself.

An `InstructVote` that a group has decided by its own rule for texts is its vote on the proposal that it names; it
decides once on each. Its word in the council is that of a majority of its members' nodes (`charters.spoken`).
"""

import sqlite3

from overlay.dao.assembly.ballots import Ballot
from overlay.dao.assembly.bylaws import Charter, group_of, seat
from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.deciding import is_decided
from overlay.dao.assembly.motions import instruction
from overlay.dao.assembly.words import path
from overlay.keys import PublicKey


def ballots(db: sqlite3.Connection, council: Charter, proposal: bytes) -> dict[PublicKey, Ballot]:
    """The votes of those members of a council that are groups."""
    if not any(group_of(member) for member in council.members):
        return {}
    found: dict[PublicKey, Ballot] = {}
    rows = db.execute("SELECT id, charter FROM group_instruction WHERE about = ? ORDER BY id DESC", (proposal,))
    for id_, version in rows.fetchall():
        member = seat(path(db, version)[0])
        said = instruction(db, id_) if member in council.members else None
        group = charter(db, version) if said else None
        if said is not None and group is not None and is_decided(db, group, said):
            found[member] = Ballot(member, said.choice, said.reason, said.id)
    return found
