"""Votes that members leave to others, class by class, where the charter allows it.

The newest `Delegate` on a member's own chain counts; its own vote comes before it. A vote goes through at most
`MAX_HANDS` hands; where they lead in a circle, or to nobody who votes, nothing is counted.
"""

import sqlite3
from collections.abc import Mapping

from overlay.dao.assembly.ballots import Ballot
from overlay.dao.assembly.bylaws import Charter
from overlay.dao.assembly.charters import honest
from overlay.dao.assembly.words import MAX_HANDS
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash

Left = tuple[PublicKey, BlockHash]


def delegations(db: sqlite3.Connection, group: Charter, subject: str) -> dict[PublicKey, Left]:
    """To whom each member leaves its votes on one class now, and the block that says so."""
    rows = db.execute(
        "SELECT author, target, block FROM group_delegation WHERE charter = ? AND subject = ? ORDER BY sequence, block",
        (group.id, subject),
    ).fetchall()
    newest = {PublicKey(author): (target, BlockHash(block)) for author, target, block in rows}
    members = honest(db, group) if newest else set()
    return {
        author: (PublicKey(target), block)
        for author, (target, block) in newest.items()
        if author in members and target in members
    }


def resolved(
    db: sqlite3.Connection, group: Charter, subject: str, cast: Mapping[PublicKey, Ballot]
) -> dict[PublicKey, Ballot]:
    """The ballots that were cast, and those of members who left theirs to others."""
    if not group.rule(subject).delegable:
        return dict(cast)
    left, found = delegations(db, group, subject), dict(cast)
    for member, (_, block) in left.items():
        hands = _hands(member, left, cast) if member not in cast else ()
        if hands:
            voted = cast[hands[-1]]
            found[member] = Ballot(member, voted.choice, voted.reason, block, hands)
    return found


def _hands(
    member: PublicKey, left: Mapping[PublicKey, Left], cast: Mapping[PublicKey, Ballot]
) -> tuple[PublicKey, ...]:
    """Through whose hands a vote goes to one who voted; nobody's when it gets to none."""
    hands: list[PublicKey] = []
    while member in left and len(hands) < MAX_HANDS:
        member = left[member][0]
        hands.append(member)
        if member in cast:
            return tuple(hands)
    return ()
