"""Which content a member's node fetches because its groups talk about it: long texts, patches, deliveries."""

import sqlite3

from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.motions import place, work
from overlay.keys import PublicKey
from overlay.trustchain.statements import Media

# A document or a patch; a proposer cannot fill the disks of a group with one proposal.
MAX_BYTES = 8 << 20


def to_read(db: sqlite3.Connection, me: PublicKey) -> list[Media]:
    """The content of proposals and deliveries in groups that this member belongs to, by those who may name it."""
    query = "SELECT block, infohash, sha256, size FROM group_media WHERE size <= ? ORDER BY block"
    rows = db.execute(query, (MAX_BYTES,))
    return [Media(*media) for block, *media in rows.fetchall() if _concerns(db, block, me)]


def _concerns(db: sqlite3.Connection, block: bytes, me: PublicKey) -> bool:
    row = db.execute("SELECT work, author FROM group_delivery WHERE id = ?", (block,)).fetchone()
    asked = place(db, row[0] if row else block)
    group = charter(db, asked.group) if asked else None
    if asked is None or group is None or not belongs(db, group, me) or not belongs(db, group, asked.proposer):
        return False
    found = work(db, row[0]) if row else None
    return row is None or (found is not None and found.worker == row[1])
