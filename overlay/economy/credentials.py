"""Which statements show who a member is: its profile, who admitted it, and for which older keys it speaks.

Blocks are named by their small numbers.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import unpack
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import AdmitMember


def membership(db: sqlite3.Connection, keys: Iterable[PublicKey]) -> Iterator[int]:
    """The blocks that show who these members are: profiles, the charter, admissions from its founder down."""
    for key in keys:
        row = db.execute(
            "SELECT block FROM member_profile WHERE key = ? ORDER BY sequence DESC, block LIMIT 1", (key,)
        ).fetchone()
        yield from (() if row is None else _numbers(db, [row[0]]))
        yield from _admissions(db, key)


def _admissions(db: sqlite3.Connection, key: PublicKey) -> Iterator[int]:
    """From the founder of a member's commons down to it, sponsor by sponsor; nothing where that is not known."""
    for charter, founder in db.execute("SELECT charter, founder FROM member_commons ORDER BY charter").fetchall():
        sponsors, at = _sponsors(db, founder), key
        if at != founder and at not in sponsors:
            continue
        yield from _numbers(db, [charter])
        while at != founder:
            yield from _admission(db, sponsors[at], at)
            at = sponsors[at]
        return


def _sponsors(db: sqlite3.Connection, founder: PublicKey) -> dict[PublicKey, PublicKey]:
    """Who admitted each member, by the fewest steps from the founder."""
    admitted: dict[PublicKey, list[PublicKey]] = {}
    for sponsor, guest in db.execute("SELECT sponsor, member FROM member_admission ORDER BY sponsor, member"):
        admitted.setdefault(sponsor, []).append(guest)
    found, waiting = dict[PublicKey, PublicKey](), [founder]
    for sponsor in waiting:  # grows while it is gone through
        for guest in admitted.get(sponsor, ()):
            if guest != founder and guest not in found:
                found[guest] = sponsor
                waiting.append(guest)
    return found


def _admission(db: sqlite3.Connection, sponsor: PublicKey, guest: PublicKey) -> Iterator[int]:
    """The first statement by which a member admitted another."""
    rows = db.execute(
        "SELECT id, raw FROM block WHERE agent = ? AND type = ? ORDER BY sequence, hash",
        (blocks.agent_of(db, sponsor), b"declare"),
    )
    for number, raw in rows:
        if meaning(unpack(raw)) == AdmitMember(guest):
            yield number
            return


def claims(db: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[int]:
    """By what the authors of these blocks go on for older keys: only with it are their words those of an issuer."""
    waiting = list({block.public_key for each in numbers if (block := blocks.by_id(db, each))})
    for key in waiting:  # grows while it is gone through
        for claim, old in db.execute("SELECT claim, old FROM member_claim WHERE new = ? ORDER BY claim", (key,)):
            yield from _numbers(db, [claim])
            waiting += [old] if old not in waiting else []


def _numbers(db: sqlite3.Connection, hashes: Iterable[bytes]) -> list[int]:
    return [number for each in hashes if (number := blocks.find_id(db, each)) is not None]
