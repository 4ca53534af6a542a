"""What restores a member's share of a group's key: the recovery data of its key generation, or of its last resharing.

Both are public. What a resharing leaves says beside its deals from whom and to whom it dealt, so that it stands alone:
a member who came later has never seen the data of the key generation.
"""

import msgspec

from overlay.dao.frost import chilldkg, pedpop, pedpop_coordinator, resharing
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.ed25519 import ED25519
from overlay.dao.frost.errors import FaultyParticipantError, RecoveryDataError
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.resharing import NewShare
from overlay.dao.frost.resharing_plan import Holders, Resharing
from overlay.dao.frost.rfc9591 import GroupKey
from overlay.dao.frost.secp256k1 import SECP256K1

# Data of a key generation begins with its threshold, 4 bytes of which the first is 0.
_RESHARED = b"reshared\x00"


class _Reshared(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """From whom, to whom, and the deals with their certificate."""

    old_t: int
    public_key: bytes
    pubshares: tuple[bytes, ...]
    old_hosts: tuple[bytes, ...]
    new_t: int
    new_hosts: tuple[bytes, ...]
    deals: bytes


_decoder = msgspec.msgpack.Decoder(_Reshared)


def reshared(plan: Resharing, deals: bytes) -> bytes:
    """What is kept of a resharing; `deals` is its own recovery data."""
    old, new = plan.old, plan.new
    kept = _Reshared(
        old.t, old.public_key, old.pubshares, old.hostpubkeys, new.t, tuple(new.hostpubkeys), deals
    )  # fmt: skip
    return _RESHARED + msgspec.msgpack.encode(kept)


def treasury_share(secret: bytes, recovery: bytes) -> tuple[chilldkg.DKGOutput, SessionParams]:
    """Our output and the parameters of the session that shared the key last. Raises ValueError."""
    if not recovery.startswith(_RESHARED):
        return chilldkg.participant_recover(secret, recovery)
    plan, share = _receive(SECP256K1, secret, recovery)
    return chilldkg.DKGOutput(share.secshare, share.public_key, share.pubshares), plan.new


def treasury_holders(recovery: bytes) -> Holders:
    """What everybody knows of who holds a treasury's key. Raises ValueError."""
    if recovery.startswith(_RESHARED):
        return _holders(SECP256K1, recovery)
    output, params = chilldkg.coordinator_recover(recovery)
    return Holders(params.t, output.thresh_pk, output.pubshares, tuple(params.hostpubkeys))


def ledger_share(secret: bytes, recovery: bytes) -> tuple[pedpop.KeyShare, SessionParams]:
    """The same of a group's ledger key."""
    if not recovery.startswith(_RESHARED):
        return pedpop.recover(ED25519, secret, recovery)
    plan, share = _receive(ED25519, secret, recovery)
    return pedpop.KeyShare(GroupKey(ED25519, plan.new.t, share.public_key, share.pubshares), share.secshare), plan.new


def ledger_holders(recovery: bytes) -> Holders:
    """What everybody knows of who holds a group's ledger key. Raises ValueError."""
    if recovery.startswith(_RESHARED):
        return _holders(ED25519, recovery)
    key, params = pedpop_coordinator.recover(ED25519, recovery)
    return Holders(key.t, key.public_key, tuple(key.pubshares), tuple(params.hostpubkeys))


def _receive(suite: Arithmetic, secret: bytes, recovery: bytes) -> tuple[Resharing, NewShare]:
    plan, deals = _plan(suite, recovery)
    return plan, resharing.recover(plan, secret, deals)


def _holders(suite: Arithmetic, recovery: bytes) -> Holders:
    plan, deals = _plan(suite, recovery)
    try:
        return resharing.public_of(plan, resharing.split_recovery(suite, deals)[0])
    except FaultyParticipantError as error:
        raise RecoveryDataError(f"the recovery data makes no key: {error}") from error


def _plan(suite: Arithmetic, recovery: bytes) -> tuple[Resharing, bytes]:
    try:
        kept = _decoder.decode(recovery[len(_RESHARED) :])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RecoveryDataError(f"the recovery data cannot be read: {error}") from error
    if len(kept.pubshares) != len(kept.old_hosts) or not 1 <= kept.old_t <= len(kept.pubshares):
        raise RecoveryDataError("the recovery data contradicts itself")
    old = Holders(kept.old_t, kept.public_key, kept.pubshares, kept.old_hosts)
    new = SessionParams(kept.new_hosts, kept.new_t)
    return Resharing(suite, old, resharing.dealers_of(kept.deals), new), kept.deals
