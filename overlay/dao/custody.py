"""The shares of this member: derived when needed from its identity and the public recovery data, never stored.

The host key of each group comes from the identity's secret, so whoever has restored the identity and the recovery
data has restored every share (ChillDKG, recovery). What lies on disk beside the identity is public.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from overlay.dao.frost import chilldkg, signing
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.groups import Charter, host_keys
from overlay.keys import Identity
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import HoldShare

SCHEMA = """
CREATE TABLE IF NOT EXISTS custody_recovery (charter BLOB PRIMARY KEY, recovery BLOB NOT NULL) WITHOUT ROWID;
"""


class BadRecovery(ValueError):
    """Recovery data that does not belong to the group as its members signed it; the message says why."""


@dataclass(frozen=True, slots=True)
class Share:
    """One member's part of a group's threshold key; `number` is its place in the charter."""

    number: int
    output: chilldkg.DKGOutput

    @property
    def tweak(self) -> bytes:
        """BIP341 tweak of the internal key without scripts: what the treasury's address commits to."""
        return tagged_hash("TapTweak", self.internal_key)

    @property
    def internal_key(self) -> bytes:
        """The x-only threshold key, 32 bytes."""
        return bytes(signing.TweakContext.init(self.output.thresh_pk).get_xonly_pubkey())


def host_secret(identity: Identity, group: bytes) -> bytes:
    """The 32-byte host secret key of this member in one group; another group gives another."""
    seed = identity.secret[10:]
    return hashlib.blake2b(group, key=seed, digest_size=32, person=b"cf host key").digest()


def host_key(identity: Identity, group: bytes) -> bytes:
    """What the member binds in its charter signature: 33 bytes."""
    return bytes(chilldkg.hostpubkey_gen(host_secret(identity, group)))


def session_params(db: sqlite3.Connection, group: Charter) -> chilldkg.SessionParams:
    """The key generation that the members signed for; raises BadRecovery before all have."""
    bound = host_keys(db, group)
    if len(bound) < len(group.members):
        raise BadRecovery("not every member has signed the charter yet")
    return chilldkg.SessionParams([bound[member] for member in group.members], t=group.threshold)


def keep(tx: Transaction, group: Charter, recovery: bytes) -> None:
    """Check recovery data, keep it, and tell the ledger that we hold a share; again changes nothing.

    Raises BadRecovery.
    """
    share = _recover(tx.identity, session_params(tx.db, group), group, recovery)
    kept = stored(tx.db, group)
    if kept is not None and kept != recovery:
        raise BadRecovery("this member holds a share of another key of the same group")
    if kept is None:
        tx.db.execute("INSERT INTO custody_recovery VALUES (?,?)", (group.id, recovery))
        digest = hashlib.sha256(recovery).digest()
        tx.append(HoldShare(group.id, bytes(share.output.thresh_pk), digest), to=group.founder)


def stored(db: sqlite3.Connection, group: Charter) -> bytes | None:
    """The recovery data of a group, public."""
    row = db.execute("SELECT recovery FROM custody_recovery WHERE charter = ?", (group.id,)).fetchone()
    return bytes(row[0]) if row else None


def share_of(db: sqlite3.Connection, identity: Identity, group: Charter) -> Share | None:
    """Our share, computed anew; None before key generation."""
    recovery = stored(db, group)
    return _recover(identity, session_params(db, group), group, recovery) if recovery else None


def _recover(identity: Identity, params: chilldkg.SessionParams, group: Charter, recovery: bytes) -> Share:
    try:
        output, found = chilldkg.participant_recover(host_secret(identity, group.id), recovery)
    except ValueError as error:
        raise BadRecovery(f"the recovery data of {group.name} is not valid: {error}") from error
    if found != params:
        raise BadRecovery("the recovery data belongs to other members or another threshold")
    return Share(group.members.index(identity.public_key), output)
