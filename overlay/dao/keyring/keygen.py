"""Key generation over the overlay: the founder of a group coordinates, trusted with nothing but the group's patience.

A group has two keys, for its bitcoin and for its own chain, made one after the other in the same way (`ceremonies`).

A participant that restarts in the middle only makes the founder begin a new session. Once all have certified, the
recovery data holds everything: the founder keeps it and hands it out until every member says on the ledger that it
holds its share, so that a crash of anyone at any step loses nothing. The data is public, and every member gives it to
a member that has lost it.
"""

import asyncio
import logging
import sqlite3

from overlay.dao.assembly.charters import Charter, charter, charters
from overlay.dao.assembly.shares import custodians, host_keys
from overlay.dao.frost.errors import FaultyParticipantError, ProtocolError
from overlay.dao.keyring import custody, group_key
from overlay.dao.keyring.ceremonies import LEDGER, TREASURY, Ceremony, Participation
from overlay.dao.keyring.custody import BadRecovery
from overlay.dao.keyring.messages import AskRecovery, BeginKeygen, CertifyKeygen, FinishKeygen, Recovery
from overlay.dao.keyring.resharing import Redealing, coordinator, keepers_before
from overlay.keys import PublicKey, short
from overlay.network.messages import BadMessage, decode, encode
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Ledger, SigningRefused

log = logging.getLogger(__name__)

STEPS = ("begin", "certify", "finish", "recover")
BEGIN, CERTIFY, FINISH, RECOVER = (f"{TREASURY.prefix}.{step}" for step in STEPS)
SESSION_BYTES = 16
# A member's node has this long for each step; key generation of 10 takes milliseconds of work.
STEP_SECONDS = 10.0
# After an attempt that came to nothing; each further wait is twice as long, up to the last.
FIRST_WAIT, LAST_WAIT = 0.5, 32.0


class KeygenFailed(Exception):
    """Key generation came to no end this time; the message says at whom."""


class KeyGeneration:
    """Both keys of every group of this node's member."""

    def __init__(self, ledger: Ledger, network: Network) -> None:
        self._ledger = ledger
        self.treasury = Generation(TREASURY, ledger, network)
        self.ledger_key = Generation(LEDGER, ledger, network)

    def is_due(self, group: Charter) -> bool:
        """Whether this node should `coordinate` now: to make or hand out a key as founder, or to get its own back."""
        wanted = [each for each in (self.treasury, self.ledger_key) if each.is_wanted(group)]
        return wanted[0].is_due(group) if wanted else self._has_outlived(group)

    async def coordinate(self, group: Charter) -> None:
        """Do what is due for both keys. Raises KeygenFailed; the ledger key waits for the treasury's."""
        for generation in (self.treasury, self.ledger_key):
            if generation.is_wanted(group):
                await generation.coordinate(group)
        if self._has_outlived(group):
            await self._ledger.transact(lambda tx: custody.forget(tx, group))

    def _has_outlived(self, group: Charter) -> bool:
        """Whether we keep what restores shares of earlier versions, of which none is needed any more."""
        db = self._ledger.db
        if not custody.keeps_older(db, group) or LEDGER.key_of(db, group) is None or TREASURY.key_of(db, group) is None:
            return False
        agent = group_key.agent_of(db, group)
        by = group_key.writers(db, group, agent, blocks.first_gap(db, agent)) if agent is not None else None
        return by is not None and by.version == group.version

    async def restore(self, group: Charter) -> bool:
        """Get our shares back from the others, now; whether there was anything to get. Raises KeygenFailed."""
        lost = [each for each in (self.treasury, self.ledger_key) if each.is_lost(group)]
        for generation in lost:
            await generation.coordinate(group)
        return bool(lost)


class Generation:
    """Both roles of one node in one kind of ceremony: participant in every group that it signed for, coordinator of
    those that it founded."""

    def __init__(self, ceremony: Ceremony, ledger: Ledger, network: Network) -> None:
        self._ceremony, self._ledger, self._network = ceremony, ledger, network
        self._begun: dict[bytes, tuple[bytes, Participation]] = {}
        self._waits: dict[bytes, tuple[float, float]] = {}
        self._begin_at, self._certify_at, self._finish_at, self._recover_at = (
            f"{ceremony.prefix}.{step}" for step in STEPS
        )
        self._own = {
            self._begin_at: self._begin,
            self._certify_at: self._certify,
            self._finish_at: self._finish,
            self._recover_at: self._tell_recovery,
        }
        for service, handler in self._own.items():
            network.serve(service, handler)
        self._redealing = Redealing(ceremony, ledger, network, self._ask)
        self._own |= self._redealing.services

    def is_due(self, group: Charter) -> bool:
        """Whether this node should `coordinate` now, and has waited long enough since the last attempt."""
        _, until = self._waits.get(group.version, (0.0, 0.0))
        if self._ledger.signing_refusal is not None or self._ledger.clock.monotonic() < until:
            return False
        return self.is_wanted(group)

    def is_wanted(self, group: Charter) -> bool:
        """Whether there is a key to be made or handed out by this node, or a share to get back."""
        return self._is_to_be_made(group) or self.is_lost(group)

    async def coordinate(self, group: Charter) -> None:
        """Run to the end, or as far as members answer. Raises KeygenFailed."""
        try:
            if self.is_lost(group):
                await self._restore(group)
            else:
                await self._make(group)
        except (CallFailed, Refusal, ProtocolError, ValueError) as error:
            self._wait(group)
            raise KeygenFailed(f"key generation of {group.name} will be tried again: {_told(group, error)}") from error
        self._waits.pop(group.version, None)

    def _is_to_be_made(self, group: Charter) -> bool:
        db, size = self._ledger.db, len(group.members)
        if len(self._ceremony.holders(db, group)) == size or len(host_keys(db, group)) < size:
            return False
        before = keepers_before(self._ledger, self._ceremony, group)
        return coordinator(group, before) == self._ledger.identity.public_key

    def is_lost(self, group: Charter) -> bool:
        """Whether we said that we hold a share, and have no recovery data: this folder was restored."""
        held = self._ledger.identity.public_key in self._ceremony.holders(self._ledger.db, group)
        return held and self._ceremony.stored(self._ledger.db, group) is None

    def _wait(self, group: Charter) -> None:
        seconds = min(2 * self._waits[group.version][0], LAST_WAIT) if group.version in self._waits else FIRST_WAIT
        self._waits[group.version] = (seconds, self._ledger.clock.monotonic() + seconds)

    async def _make(self, group: Charter) -> None:
        recovery = self._ceremony.stored(self._ledger.db, group)
        if recovery is None:
            before = keepers_before(self._ledger, self._ceremony, group)
            recovery = await (self._run(group) if before is None else self._redealing.run(group, before))
            await self._keep(group, recovery)
        await self._hand_out(group, recovery)

    async def _run(self, group: Charter) -> bytes:
        params = custody.session_params(self._ledger.db, group)
        session = self._ledger.random.bytes(SESSION_BYTES)
        begun = await self._ask_all(group, self._begin_at, encode(BeginKeygen(group.version, session)))
        joined = self._ceremony.join(begun, params)
        message = encode(CertifyKeygen(group.version, session, joined.message))
        return joined.finalize(await self._ask_all(group, self._certify_at, message))

    async def _hand_out(self, group: Charter, recovery: bytes) -> None:
        """Whoever can be reached gets it, whoever else cannot."""
        holders = self._ceremony.holders(self._ledger.db, group)
        missing = [member for member in group.members if member not in holders]
        request = encode(FinishKeygen(group.version, recovery))
        outcomes = await asyncio.gather(
            *(self._ask(member, self._finish_at, request) for member in missing), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _restore(self, group: Charter) -> None:
        """Get the recovery data from the first member that has it. Raises CallFailed with what the last one said."""
        request, failure = encode(AskRecovery(group.version)), CallFailed(group.founder, "nobody else is in this group")
        for member in group.members:
            try:
                answer = decode(await self._ask(member, self._recover_at, request), Recovery)
                return await self._keep(group, answer.recovery)
            except (CallFailed, Refusal, BadMessage) as error:
                failure = CallFailed(member, str(error))
        raise failure

    async def _ask_all(self, group: Charter, service: str, request: bytes) -> list[bytes]:
        return await asyncio.gather(*(self._ask(member, service, request) for member in group.members))

    async def _ask(self, member: PublicKey, service: str, request: bytes) -> bytes:
        if member != self._ledger.identity.public_key:
            return await self._network.call(member, service, request, STEP_SECONDS)
        return await self._own[service](member, request)

    async def _begin(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, BeginKeygen)
        group = self._coordinated_by(peer, ask.group)
        if self._ceremony.stored(self._ledger.db, group) is not None or self.is_lost(group):
            raise Refusal("this member holds its share already")
        if keepers_before(self._ledger, self._ceremony, group) is not None:
            raise Refusal("this group has a key: it is shared anew, not made anew")
        random, secret = self._ledger.random, custody.host_secret(self._ledger.identity, group.version)
        try:
            params = custody.session_params(self._ledger.db, group)
            part = self._ceremony.begin(secret, params, random.bytes(32))
        except ValueError as error:
            raise Refusal(str(error)) from error
        self._begun[group.version] = (ask.session, part)
        return part.message

    async def _certify(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, CertifyKeygen)
        group = self._coordinated_by(peer, ask.group)
        session, part = self._begun.pop(group.version, (b"", None))
        if part is None or session != ask.session:
            raise Refusal("this member knows no such key generation; begin again")
        try:
            return part.certify(ask.message, self._ledger.random.bytes(32))
        except (ProtocolError, ValueError) as error:
            log.warning("key generation of %s failed: %s", group.name, error)
            raise Refusal(f"the coordinator's message is wrong: {error}") from error

    async def _finish(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, FinishKeygen)
        await self._keep(self._coordinated_by(peer, ask.group), ask.recovery)
        return b""

    async def _tell_recovery(self, peer: PublicKey, payload: bytes) -> bytes:
        group = self._common(peer, decode(payload, AskRecovery).group)
        recovery = self._ceremony.stored(self._ledger.db, group)
        if recovery is None:
            raise Refusal("this member has no recovery data of this group")
        return encode(Recovery(recovery))

    async def _keep(self, group: Charter, recovery: bytes) -> None:
        try:
            await self._ledger.transact(lambda tx: self._ceremony.keep(tx, group, recovery))
        except (BadRecovery, SigningRefused) as error:
            raise Refusal(str(error)) from error

    def _common(self, peer: PublicKey, group: bytes) -> Charter:
        found = charter(self._ledger.db, group)
        me = self._ledger.identity.public_key
        if found is None or peer not in found.members or me not in found.members:
            raise Refusal("this is not a group of both of us")
        return found

    def _coordinated_by(self, peer: PublicKey, group: bytes) -> Charter:
        found = self._common(peer, group)
        if peer != coordinator(found, keepers_before(self._ledger, self._ceremony, found)):
            raise Refusal("only the founder of a group coordinates its key generation")
        if self._ledger.identity.public_key not in host_keys(self._ledger.db, found):
            raise Refusal("this member has not signed the charter")
        return found


def to_look_after(db: sqlite3.Connection) -> list[Charter]:
    """Of each group the version whose members hold its key, and the newest, which may wait for it."""
    pairs = ((custodians(db, group), group) for group in charters(db))
    return [each for old, new in pairs for each in ((old,) if old.version == new.version else (old, new))]


def _told(group: Charter, error: Exception) -> str:
    """What went wrong, with the culprit's key where it is known."""
    if isinstance(error, FaultyParticipantError):
        return f"{short(group.members[error.participant])} sent {error.what}"
    return f"{short(error.peer)}: {error}" if isinstance(error, CallFailed) else str(error)
