"""The shares of this member: derived when needed from its identity and the public recovery data, never stored.

The host key of each group comes from the identity's secret, so whoever has restored the identity and the recovery
data has restored every share (ChillDKG, recovery). What lies on disk beside the identity is public.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.shares import custodians, host_keys, share_holders
from overlay.dao.frost import chilldkg, signing
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.keyring import recovery_data
from overlay.keys import Identity
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import HoldShare

SCHEMA = """
CREATE TABLE IF NOT EXISTS custody_recovery (charter BLOB PRIMARY KEY, recovery BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS custody_ledger_recovery (charter BLOB PRIMARY KEY, recovery BLOB NOT NULL) WITHOUT ROWID;
"""


class BadRecovery(ValueError):
    """Recovery data that is not that of the group as this member signed for it; the message says why."""


@dataclass(frozen=True, slots=True)
class Share:
    """One member's part of a group's threshold key; `number` is its place among the `keepers`, the version of the
    charter whose members hold the key."""

    number: int
    output: chilldkg.DKGOutput
    keepers: Charter

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
    """The key generation that the members signed for; raises BadRecovery before all have, or when it cannot be."""
    bound = host_keys(db, group)
    if len(bound) < len(group.members):
        raise BadRecovery("not every member has signed the charter yet")
    try:
        return chilldkg.SessionParams([bound[member] for member in group.members], t=group.threshold)
    except ValueError as error:
        raise BadRecovery(f"the host keys that the members of {group.name} bound make no key: {error}") from error


def keep(tx: Transaction, group: Charter, recovery: bytes) -> None:
    """Check recovery data, keep it, and tell the ledger that we hold a share; again changes nothing.

    Raises BadRecovery.
    """
    share = _recover(tx.identity, group, recovery)
    kept, digest = stored(tx.db, group), hashlib.sha256(recovery).digest()
    said = share_holders(tx.db, group).get(tx.identity.public_key)
    holding = (bytes(share.output.thresh_pk), digest)
    if kept not in (None, recovery) or said not in (None, holding):
        raise BadRecovery("this member holds a share of another key of the same group")
    if kept is None:
        tx.db.execute("INSERT INTO custody_recovery VALUES (?,?)", (group.version, recovery))
    if said is None:
        tx.append(HoldShare(group.version, *holding), to=group.founder)


def forget(tx: Transaction, group: Charter) -> None:
    """Delete what restores the shares of earlier versions of a charter, once the members of this one hold the key."""
    for version in group.versions[:-1]:
        tx.db.execute("DELETE FROM custody_recovery WHERE charter = ?", (version,))
        tx.db.execute("DELETE FROM custody_ledger_recovery WHERE charter = ?", (version,))


def keeps_older(db: sqlite3.Connection, group: Charter) -> bool:
    """Whether there is anything to `forget`."""
    tables = ("custody_recovery", "custody_ledger_recovery")
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE charter = ?", (version,)).fetchone()  # noqa: S608
        for version in group.versions[:-1]
        for table in tables
    )


def stored(db: sqlite3.Connection, group: Charter) -> bytes | None:
    """The recovery data of a group, public."""
    row = db.execute("SELECT recovery FROM custody_recovery WHERE charter = ?", (group.version,)).fetchone()
    return bytes(row[0]) if row else None


def share_of(db: sqlite3.Connection, identity: Identity, group: Charter) -> Share | None:
    """Our share, computed anew; None before key generation.

    It depends on the kept data alone, which was checked when it was kept: nothing that another member signs later
    takes it away. After a resharing it is the new share, once all new members have said that they hold theirs.
    """
    keepers = custodians(db, group)
    return share_in(db, identity, keepers) if identity.public_key in keepers.members else None


def share_in(db: sqlite3.Connection, identity: Identity, version: Charter) -> Share | None:
    """Our share as a member of exactly this version of a charter; None where we keep no data of it."""
    recovery = stored(db, version)
    return _recover(identity, version, recovery) if recovery else None


def _recover(identity: Identity, group: Charter, recovery: bytes) -> Share:
    """The certificate in the data holds our own signature, given only for a session of this group's host keys."""
    try:
        output, found = recovery_data.treasury_share(host_secret(identity, group.version), recovery)
    except ValueError as error:
        raise BadRecovery(f"the recovery data of {group.name} is not valid: {error}") from error
    number = group.members.index(identity.public_key)
    if (found.n, found.t) != (len(group.members), group.threshold):
        raise BadRecovery("the recovery data belongs to other members or another threshold")
    if found.participant_of(host_key(identity, group.version)) != number:
        raise BadRecovery("the recovery data gives this member another place than the charter")
    return Share(number, output, group)
