"""ChillDKG over the overlay: the founder of a group coordinates, trusted with nothing but the group's patience.

A participant that restarts in the middle only makes the founder begin a new session. Once all have certified, the
recovery data holds everything: the founder keeps it and hands it out until every member says on the ledger that it
holds its share, so that a crash of anyone at any step loses nothing. The data is public, and every member gives it to
a member that has lost it.
"""

import asyncio
import logging

from overlay.dao import custody
from overlay.dao.charters import Charter, charter, host_keys, share_holders
from overlay.dao.custody import BadRecovery
from overlay.dao.frost import chilldkg
from overlay.dao.frost.errors import FaultyParticipantError, ProtocolError
from overlay.dao.messages import AskRecovery, BeginKeygen, CertifyKeygen, FinishKeygen, Recovery
from overlay.keys import PublicKey, short
from overlay.network.messages import BadMessage, decode, encode
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain.ledger import Ledger, SigningRefused

log = logging.getLogger(__name__)

BEGIN, CERTIFY, FINISH, RECOVER = "keygen.begin", "keygen.certify", "keygen.finish", "keygen.recover"
SESSION_BYTES = 16
# A member's node has this long for each step; key generation of 10 takes milliseconds of work.
STEP_SECONDS = 10.0
# After an attempt that came to nothing; each further wait is twice as long, up to the last.
FIRST_WAIT, LAST_WAIT = 0.5, 32.0


class KeygenFailed(Exception):
    """Key generation came to no end this time; the message says at whom."""


class KeyGeneration:
    """Both roles of one node: participant for every group that it signed for, coordinator of those it founded."""

    def __init__(self, ledger: Ledger, network: Network) -> None:
        self._ledger, self._network = ledger, network
        self._begun: dict[bytes, tuple[bytes, chilldkg.ParticipantState1]] = {}
        self._waits: dict[bytes, tuple[float, float]] = {}
        network.serve(BEGIN, self._begin)
        network.serve(CERTIFY, self._certify)
        network.serve(FINISH, self._finish)
        network.serve(RECOVER, self._tell_recovery)

    def is_due(self, group: Charter) -> bool:
        """Whether this node should `coordinate` now: to make or hand out a key as founder, or to get its own back."""
        _, until = self._waits.get(group.id, (0.0, 0.0))
        if self._ledger.signing_refusal is not None or self._ledger.clock.monotonic() < until:
            return False
        return self._is_to_be_made(group) or self._is_lost(group)

    async def coordinate(self, group: Charter) -> None:
        """Run to the end, or as far as members answer. Raises KeygenFailed."""
        try:
            if self._is_lost(group):
                await self._restore(group)
            else:
                await self._make(group)
        except (CallFailed, Refusal, ProtocolError, ValueError) as error:
            self._wait(group)
            raise KeygenFailed(f"key generation of {group.name} will be tried again: {_told(group, error)}") from error
        self._waits.pop(group.id, None)

    def _is_to_be_made(self, group: Charter) -> bool:
        db = self._ledger.db
        complete = len(host_keys(db, group)) == len(group.members)
        mine = group.founder == self._ledger.identity.public_key
        return mine and complete and len(share_holders(db, group)) < len(group.members)

    def _is_lost(self, group: Charter) -> bool:
        """Whether we said that we hold a share, and have no recovery data: this folder was restored."""
        held = self._ledger.identity.public_key in share_holders(self._ledger.db, group)
        return held and custody.stored(self._ledger.db, group) is None

    def _wait(self, group: Charter) -> None:
        seconds = min(2 * self._waits[group.id][0], LAST_WAIT) if group.id in self._waits else FIRST_WAIT
        self._waits[group.id] = (seconds, self._ledger.clock.monotonic() + seconds)

    async def _make(self, group: Charter) -> None:
        recovery = custody.stored(self._ledger.db, group)
        if recovery is None:
            recovery = await self._run(group)
            await self._keep(group, recovery)
        await self._hand_out(group, recovery)

    async def _run(self, group: Charter) -> bytes:
        params = custody.session_params(self._ledger.db, group)
        session = self._ledger.random.bytes(SESSION_BYTES)
        begun = await self._ask_all(group, BEGIN, encode(BeginKeygen(group.id, session)))
        state, message = chilldkg.coordinator_step1(begun, params)
        certified = await self._ask_all(group, CERTIFY, encode(CertifyKeygen(group.id, session, message)))
        _, _, recovery = chilldkg.coordinator_finalize(state, certified)
        return bytes(recovery)

    async def _hand_out(self, group: Charter, recovery: bytes) -> None:
        """Whoever can be reached gets it, whoever else cannot."""
        holders = share_holders(self._ledger.db, group)
        missing = [member for member in group.members if member not in holders]
        request = encode(FinishKeygen(group.id, recovery))
        outcomes = await asyncio.gather(
            *(self._ask(member, FINISH, request) for member in missing), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _restore(self, group: Charter) -> None:
        """Get the recovery data from the first member that has it. Raises CallFailed with what the last one said."""
        request, failure = encode(AskRecovery(group.id)), CallFailed(group.founder, "nobody else is in this group")
        for member in group.members:
            try:
                answer = decode(await self._ask(member, RECOVER, request), Recovery)
                return await self._keep(group, answer.recovery)
            except (CallFailed, Refusal, BadMessage) as error:
                failure = CallFailed(member, str(error))
        raise failure

    async def _ask_all(self, group: Charter, service: str, request: bytes) -> list[bytes]:
        return await asyncio.gather(*(self._ask(member, service, request) for member in group.members))

    async def _ask(self, member: PublicKey, service: str, request: bytes) -> bytes:
        if member != self._ledger.identity.public_key:
            return await self._network.call(member, service, request, STEP_SECONDS)
        own = {BEGIN: self._begin, CERTIFY: self._certify, FINISH: self._finish, RECOVER: self._tell_recovery}
        return await own[service](member, request)

    async def _begin(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, BeginKeygen)
        group = self._coordinated_by(peer, ask.group)
        if custody.stored(self._ledger.db, group) is not None or self._is_lost(group):
            raise Refusal("this member holds its share already")
        random, secret = self._ledger.random, custody.host_secret(self._ledger.identity, group.id)
        try:
            params = custody.session_params(self._ledger.db, group)
            state, message = chilldkg.participant_step1(secret, params, random.bytes(32))
        except ValueError as error:
            raise Refusal(str(error)) from error
        self._begun[group.id] = (ask.session, state)
        return bytes(message)

    async def _certify(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, CertifyKeygen)
        group = self._coordinated_by(peer, ask.group)
        session, state = self._begun.pop(group.id, (b"", None))
        if state is None or session != ask.session:
            raise Refusal("this member knows no such key generation; begin again")
        secret, aux = custody.host_secret(self._ledger.identity, group.id), self._ledger.random.bytes(32)
        try:
            _, message = chilldkg.participant_step2(secret, state, ask.message, aux)
        except (ProtocolError, ValueError) as error:
            log.warning("key generation of %s failed: %s", group.name, error)
            raise Refusal(f"the coordinator's message is wrong: {error}") from error
        return bytes(message)

    async def _finish(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, FinishKeygen)
        await self._keep(self._coordinated_by(peer, ask.group), ask.recovery)
        return b""

    async def _tell_recovery(self, peer: PublicKey, payload: bytes) -> bytes:
        group = self._common(peer, decode(payload, AskRecovery).group)
        recovery = custody.stored(self._ledger.db, group)
        if recovery is None:
            raise Refusal("this member has no recovery data of this group")
        return encode(Recovery(recovery))

    async def _keep(self, group: Charter, recovery: bytes) -> None:
        try:
            await self._ledger.transact(lambda tx: custody.keep(tx, group, recovery))
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
        if peer != found.founder:
            raise Refusal("only the founder of a group coordinates its key generation")
        if self._ledger.identity.public_key not in host_keys(self._ledger.db, found):
            raise Refusal("this member has not signed the charter")
        return found


def _told(group: Charter, error: Exception) -> str:
    """What went wrong, with the culprit's key where it is known."""
    if isinstance(error, FaultyParticipantError):
        return f"{short(group.members[error.participant])} sent {error.what}"
    return f"{short(error.peer)}: {error}" if isinstance(error, CallFailed) else str(error)
