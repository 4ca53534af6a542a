"""What was paid for a proposal, as members recorded it.

That Bitcoin was paid is no fact of anybody's chain, so it counts once `threshold` members' nodes have recorded it:
fewer may lie, and as many could spend the treasury without asking anybody.
"""

import sqlite3
from collections import Counter
from dataclasses import dataclass, replace

from overlay.dao.assembly.charters import Charter, honest
from overlay.dao.assembly.shares import custodians
from overlay.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Payout:
    """What a member recorded of a payment: mined in `txid` at `height`, signed by these members."""

    author: PublicKey
    txid: bytes
    height: int
    signers: tuple[PublicKey, ...]


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
