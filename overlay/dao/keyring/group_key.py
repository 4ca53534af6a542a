"""The key with which a group signs its own chain: FROST(Ed25519), made by the members between their host keys.

A signature of the group is a plain Ed25519 signature, so a half-block of a group needs no special case. In a member's
key an encryption half comes first; a group can decrypt nothing, and has its charter's hash there, so that everybody
sees whose key it claims to be. That it is, its members say: every one of them, on its own chain.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter, versions
from overlay.dao.frost import pedpop
from overlay.dao.frost.rfc9591 import GroupKey
from overlay.dao.keyring import custody, recovery_data
from overlay.dao.keyring.custody import BadRecovery
from overlay.keys import PUBLIC_PREFIX, Identity, PublicKey
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import HoldLedgerShare

KEY_BYTES = 32  # of an Ed25519 public key, at the end of the 74 of an agent


@dataclass(frozen=True, slots=True)
class LedgerShare:
    """One member's part of a group's ledger key; `number` is its place in the charter."""

    number: int
    share: pedpop.KeyShare

    @property
    def key(self) -> GroupKey:
        """The group's key and the public keys of all shares."""
        return self.share.key


def agent_key(group: bytes, ledger_key: bytes) -> PublicKey:
    """The 74 bytes that stand on a group's half-blocks."""
    return PublicKey(PUBLIC_PREFIX + group + ledger_key)


def claimed_group(key: bytes) -> bytes:
    """The charter's hash that a group's key would have in its first half. Any key has something there."""
    return key[len(PUBLIC_PREFIX) : len(PUBLIC_PREFIX) + 32]


def keep(tx: Transaction, group: Charter, recovery: bytes) -> None:
    """Check recovery data, keep it, and tell the ledger that we hold a share; again changes nothing.

    Raises BadRecovery.
    """
    found = _recover(tx.identity, group, recovery)
    kept, holding = stored(tx.db, group), (found.key.public_key, hashlib.sha256(recovery).digest())
    said = holders(tx.db, group).get(tx.identity.public_key)
    if kept not in (None, recovery) or said not in (None, holding):
        raise BadRecovery("this member holds a share of another ledger key of the same group")
    if kept is None:
        tx.db.execute("INSERT INTO custody_ledger_recovery VALUES (?,?)", (group.version, recovery))
    if said is None:
        tx.append(HoldLedgerShare(group.version, *holding), to=group.founder)


def stored(db: sqlite3.Connection, group: Charter) -> bytes | None:
    """The recovery data of a group's ledger key, public."""
    row = db.execute("SELECT recovery FROM custody_ledger_recovery WHERE charter = ?", (group.version,)).fetchone()
    return bytes(row[0]) if row else None


def share_of(db: sqlite3.Connection, identity: Identity, group: Charter) -> LedgerShare | None:
    """Our share, computed anew from what was kept; None before key generation. Raises BadRecovery."""
    recovery = stored(db, group)
    return _recover(identity, group, recovery) if recovery else None


def holders(db: sqlite3.Connection, group: Charter) -> dict[PublicKey, tuple[bytes, bytes]]:
    """Which ledger key, with which recovery data (its hash), each member said first that it holds a share of."""
    rows = db.execute(
        "SELECT member, ledger_key, recovery_hash FROM group_ledger_share WHERE charter = ?"
        " ORDER BY sequence DESC, block DESC",
        (group.version,),
    )
    held = {PublicKey(member): (bytes(key), bytes(recovery)) for member, key, recovery in rows}
    return {member: held[member] for member in group.members if member in held}


def agent_of(db: sqlite3.Connection, group: Charter) -> PublicKey | None:
    """The group as an agent, once every member of one version has said that it holds a share of one key.

    The first such version gave the key; what later versions hold is the same key, shared anew.
    """
    keys = (key_of(db, version) for version in reversed(list(versions(db, group.id))))
    newest = next((key for key in keys if key is not None), None)
    return agent_key(group.id, newest) if newest is not None else None


def writers(db: sqlite3.Connection, group: Charter, agent: PublicKey, position: int) -> Charter | None:
    """The version of the charter whose members write this position of the group's chain.

    The first that held the key, until the group itself has handed over to another on an earlier position: whoever knows
    the chain before a position knows who writes it.
    """
    found = list(versions(db, group.id))
    row = db.execute(
        "SELECT version FROM group_handover WHERE agent = ? AND sequence < ? ORDER BY sequence DESC, block LIMIT 1",
        (agent, position),
    ).fetchone()
    if row is not None:
        return next((version for version in found if version.version == row[0]), None)
    return next((version for version in found if key_of(db, version) == agent[-KEY_BYTES:]), None)


def key_of(db: sqlite3.Connection, version: Charter) -> bytes | None:
    """The ledger key (32 bytes) that all members of this version of a charter have said they hold a share of."""
    said: dict[bytes, set[tuple[bytes, bytes]]] = {member: set() for member in version.members}
    rows = db.execute(
        "SELECT member, ledger_key, recovery_hash FROM group_ledger_share WHERE charter = ?", (version.version,)
    )
    for member, key, recovery in rows:
        if member in said:
            said[member].add((bytes(key), bytes(recovery)))
    common = set.intersection(*said.values())
    return min(common)[0] if common else None


def _recover(identity: Identity, group: Charter, recovery: bytes) -> LedgerShare:
    """The certificate in the data holds our own signature, given only for a session of this group's host keys."""
    secret = custody.host_secret(identity, group.version)
    try:
        share, params = recovery_data.ledger_share(secret, recovery)
    except ValueError as error:
        raise BadRecovery(f"the recovery data of {group.name}'s ledger key is not valid: {error}") from error
    number = group.members.index(identity.public_key)
    if (params.n, params.t) != (len(group.members), group.threshold):
        raise BadRecovery("the recovery data belongs to other members or another threshold")
    if params.participant_of(custody.host_key(identity, group.version)) != number:
        raise BadRecovery("the recovery data gives this member another place than the charter")
    return LedgerShare(number, share)
