"""ChillDKG over the overlay: the founder of a group coordinates, trusted with nothing but the group's patience.

A participant that restarts in the middle only makes the founder begin a new session. Once all have certified, the
recovery data holds everything: the founder keeps it and hands it out until every member says on the ledger that it
holds its share, so that a crash of anyone at any step loses nothing.
"""

import asyncio
import logging

from overlay.dao import custody
from overlay.dao.custody import BadRecovery
from overlay.dao.frost import chilldkg
from overlay.dao.frost.errors import ProtocolError
from overlay.dao.groups import Charter, charter, host_keys, share_holders
from overlay.dao.messages import BeginKeygen, CertifyKeygen, FinishKeygen
from overlay.keys import PublicKey
from overlay.network.messages import decode, encode
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain.ledger import Ledger, SigningRefused

log = logging.getLogger(__name__)

BEGIN, CERTIFY, FINISH = "keygen.begin", "keygen.certify", "keygen.finish"
SESSION_BYTES = 16
# A member's node has this long for each step; key generation of 10 takes milliseconds of work.
STEP_SECONDS = 10.0


class KeygenFailed(Exception):
    """Key generation came to no end this time; the message says at whom."""


class KeyGeneration:
    """Both roles of one node: participant for every group that it signed for, coordinator of those it founded."""

    def __init__(self, ledger: Ledger, network: Network) -> None:
        self._ledger, self._network = ledger, network
        self._begun: dict[tuple[bytes, PublicKey], tuple[bytes, chilldkg.ParticipantState1]] = {}
        network.serve(BEGIN, self._begin)
        network.serve(CERTIFY, self._certify)
        network.serve(FINISH, self._finish)

    def is_due(self, group: Charter) -> bool:
        """Whether this node should coordinate: it founded the group, all have signed, some hold no share."""
        db = self._ledger.db
        complete = len(host_keys(db, group)) == len(group.members)
        mine = group.founder == self._ledger.identity.public_key
        return mine and complete and len(share_holders(db, group)) < len(group.members)

    async def coordinate(self, group: Charter) -> None:
        """Run to the end, or as far as members answer. Raises KeygenFailed."""
        recovery = custody.stored(self._ledger.db, group)
        try:
            if recovery is None:
                recovery = await self._run(group)
                await self._keep(group, recovery)
            await self._hand_out(group, recovery)
        except (CallFailed, ProtocolError, ValueError) as error:
            raise KeygenFailed(f"key generation of {group.name} will be tried again: {error}") from error

    async def _run(self, group: Charter) -> bytes:
        params = custody.session_params(self._ledger.db, group)
        session = self._ledger.random.bytes(SESSION_BYTES)
        begun = await self._ask_all(group, BEGIN, encode(BeginKeygen(group.id, session)))
        state, message = chilldkg.coordinator_step1(begun, params)
        certified = await self._ask_all(group, CERTIFY, encode(CertifyKeygen(group.id, session, message)))
        _, _, recovery = chilldkg.coordinator_finalize(state, certified)
        return bytes(recovery)

    async def _hand_out(self, group: Charter, recovery: bytes) -> None:
        holders = share_holders(self._ledger.db, group)
        missing = [member for member in group.members if member not in holders]
        request = encode(FinishKeygen(group.id, recovery))
        outcomes = await asyncio.gather(
            *(self._ask(member, FINISH, request) for member in missing), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _ask_all(self, group: Charter, service: str, request: bytes) -> list[bytes]:
        return await asyncio.gather(*(self._ask(member, service, request) for member in group.members))

    async def _ask(self, member: PublicKey, service: str, request: bytes) -> bytes:
        if member != self._ledger.identity.public_key:
            return await self._network.call(member, service, request, STEP_SECONDS)
        own = {BEGIN: self._begin, CERTIFY: self._certify, FINISH: self._finish}[service]
        try:
            return await own(member, request)
        except Refusal as refusal:
            raise CallFailed(member, str(refusal)) from refusal

    async def _begin(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, BeginKeygen)
        group = self._group(peer, ask.group)
        if custody.stored(self._ledger.db, group) is not None:
            raise Refusal("this member holds its share already")
        random, secret = self._ledger.random, custody.host_secret(self._ledger.identity, group.id)
        state, message = chilldkg.participant_step1(secret, self._params(group), random.bytes(32))
        self._begun[group.id, peer] = (ask.session, state)
        return bytes(message)

    async def _certify(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, CertifyKeygen)
        group = self._group(peer, ask.group)
        session, state = self._begun.pop((group.id, peer), (b"", None))
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
        await self._keep(self._group(peer, ask.group), ask.recovery)
        return b""

    async def _keep(self, group: Charter, recovery: bytes) -> None:
        try:
            await self._ledger.transact(lambda tx: custody.keep(tx, group, recovery))
        except (BadRecovery, SigningRefused) as error:
            raise Refusal(str(error)) from error

    def _params(self, group: Charter) -> chilldkg.SessionParams:
        try:
            return custody.session_params(self._ledger.db, group)
        except ValueError as error:
            raise Refusal(str(error)) from error

    def _group(self, peer: PublicKey, group: bytes) -> Charter:
        found = charter(self._ledger.db, group)
        me = self._ledger.identity.public_key
        if found is None or peer not in found.members or me not in found.members:
            raise Refusal("this is not a group of both of us")
        if peer != found.founder:
            raise Refusal("only the founder of a group coordinates its key generation")
        if me not in host_keys(self._ledger.db, found):
            raise Refusal("this member has not signed the charter")
        return found
