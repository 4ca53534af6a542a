"""A group's keys for the members of a new version of its charter: dealt anew by those who hold them so far.

The key stays, so the treasury keeps its address and the group its chain. A member deals only for a version that was
adopted by the charter's own rule, and that stands now; a new member takes only deals of the very key that all old ones
say they hold. The coordinator is the first member of both versions; it is trusted with nothing but patience.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

from overlay.dao.assembly.charters import Charter, charter, current, versions
from overlay.dao.assembly.shares import host_keys
from overlay.dao.frost import resharing, resharing_deal
from overlay.dao.frost.errors import FaultyParticipantError, ProtocolError
from overlay.dao.frost.resharing_plan import Resharing
from overlay.dao.keyring import custody
from overlay.dao.keyring.ceremonies import Ceremony
from overlay.dao.keyring.custody import BadRecovery
from overlay.dao.keyring.messages import AskDeal, AskReceive, Received
from overlay.dao.keyring.recovery_data import reshared
from overlay.keys import PublicKey, short
from overlay.network.messages import decode, encode
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain.ledger import Ledger

log = logging.getLogger(__name__)

Ask = Callable[[PublicKey, str, bytes], Awaitable[bytes]]
MAX_WORDS = 280


class WrongDeal(ValueError):
    """A member did not deal its share, or dealt it wrongly; the message names it."""

    def __init__(self, member: PublicKey, what: str) -> None:
        self.member = member
        super().__init__(f"{short(member)}: {what}")


def keepers_before(ledger: Ledger, ceremony: Ceremony, group: Charter) -> Charter | None:
    """The version before this one whose members hold the key; None where there is no key yet."""
    before = [each for each in versions(ledger.db, group.id) if each.version in group.versions[:-1]]
    return next((each for each in reversed(before) if ceremony.key_of(ledger.db, each) is not None), None)


def coordinator(group: Charter, before: Charter | None) -> PublicKey | None:
    """Who makes or shares anew the key of a version: its founder, or the first member who holds the key already."""
    if before is None:
        return group.founder if group.founder in group.members else group.members[0]
    return next((member for member in group.members if member in before.members), None)


class Redealing:
    """Both roles of one node in resharing one kind of key. `ask` reaches a member, this one included."""

    def __init__(self, ceremony: Ceremony, ledger: Ledger, network: Network, ask: Ask) -> None:
        self._ceremony, self._ledger, self._ask = ceremony, ledger, ask
        self._unfit: dict[bytes, list[PublicKey]] = {}
        self._deal_at, self._receive_at = f"{ceremony.prefix}.deal", f"{ceremony.prefix}.receive"
        self.services = {self._deal_at: self._deal, self._receive_at: self._receive}
        for service, handler in self.services.items():
            network.serve(service, handler)

    async def run(self, group: Charter, before: Charter) -> bytes:
        """Coordinate; the recovery data. Members that fail as dealers are replaced, as long as enough are left.

        Raises WrongDeal with the last that failed, CallFailed, BadRecovery.
        """
        recovery = self._ceremony.stored(self._ledger.db, before)
        if recovery is None:
            raise BadRecovery("this member keeps no recovery data of the key so far")
        for _ in range(len(before.members) - before.threshold):
            try:
                return await self._attempt(group, before, recovery)
            except WrongDeal as wrong:
                log.warning("resharing of %s goes on without %s", group.name, wrong)
        return await self._attempt(group, before, recovery)

    async def _attempt(self, group: Charter, before: Charter, recovery: bytes) -> bytes:
        unfit = self._unfit.setdefault(group.version, [])
        order = sorted(before.members, key=lambda member: unfit.index(member) if member in unfit else -1)
        dealers = tuple(sorted(before.members.index(member) for member in order[: before.threshold]))
        plan = self._plan(group, recovery, dealers)
        deals = await asyncio.gather(*(self._dealt(plan, group, before, dealer) for dealer in dealers))
        ask = encode(AskReceive(group.version, dealers, recovery, tuple(deals)))
        answers = await asyncio.gather(*(self._ask(member, self._receive_at, ask) for member in group.members))
        received = [decode(answer, Received) for answer in answers]
        for each in received:
            if not each.signature and each.culprit in dealers:
                raise self._wrong(group, before.members[each.culprit], each.what)
        return reshared(plan, resharing.finalize(plan, deals, [each.signature for each in received]))

    async def _dealt(self, plan: Resharing, group: Charter, before: Charter, dealer: int) -> bytes:
        member = before.members[dealer]
        try:
            deal = await self._ask(member, self._deal_at, encode(AskDeal(group.version, plan.dealers)))
            resharing_deal.check(plan, dealer, deal)
            return deal
        except (CallFailed, Refusal, ProtocolError) as error:
            raise self._wrong(group, member, str(error)) from error

    def _wrong(self, group: Charter, member: PublicKey, what: str) -> WrongDeal:
        unfit = self._unfit[group.version]
        unfit[:] = [*(each for each in unfit if each != member), member]
        return WrongDeal(member, what)

    def _plan(self, group: Charter, recovery: bytes, dealers: tuple[int, ...]) -> Resharing:
        known = self._ceremony.known(recovery)
        return Resharing(self._ceremony.suite, known, dealers, custody.session_params(self._ledger.db, group))

    async def _deal(self, peer: PublicKey, payload: bytes) -> bytes:
        ask, me = decode(payload, AskDeal), self._ledger.identity
        group, before = self._versions(peer, ask.group)
        if me.public_key not in before.members:
            raise Refusal("this member holds no share of the key so far")
        try:
            recovery = self._ceremony.stored(self._ledger.db, before)
            secshare = self._ceremony.secshare(self._ledger.db, me, before)
            if recovery is None or secshare is None:
                raise Refusal("this member has lost its share, or forgotten it")
            plan = self._plan(group, recovery, ask.dealers)
            self._ledger.check_may_sign()
            secret = custody.host_secret(me, before.version)
            random = self._ledger.random.bytes(resharing_deal.RANDOM_BYTES)
            return resharing_deal.deal(plan, secret, secshare, random)
        except ValueError as error:
            raise Refusal(str(error)) from error

    async def _receive(self, peer: PublicKey, payload: bytes) -> bytes:
        ask, me = decode(payload, AskReceive), self._ledger.identity
        group, before = self._versions(peer, ask.group)
        if me.public_key not in group.members or self._ceremony.stored(self._ledger.db, group) is not None:
            raise Refusal("this member is to hold no new share, or holds it already")
        said = set(self._ceremony.holders(self._ledger.db, before).values())
        if said != {(self._ceremony.key_of(self._ledger.db, before), hashlib.sha256(ask.recovery).digest())}:
            raise Refusal("this is not the key that the members say they hold")
        aux, secret = self._ledger.random.bytes(32), custody.host_secret(me, group.version)
        try:
            plan = self._plan(group, ask.recovery, ask.dealers)
            return encode(Received(resharing.certify(plan, secret, ask.deals, aux), 0, ""))
        except FaultyParticipantError as error:
            return encode(Received(b"", error.participant, error.what[:MAX_WORDS]))
        except ValueError as error:
            raise Refusal(str(error)) from error

    def _versions(self, peer: PublicKey, version: bytes) -> tuple[Charter, Charter]:
        """The new version, which must be the one that stands, and the one whose members hold the key."""
        db = self._ledger.db
        group, now = charter(db, version), current(db, version)
        before = keepers_before(self._ledger, self._ceremony, group) if group is not None else None
        if group is None or now is None or before is None or now.version != version or now.rivals:
            raise Refusal("this member knows no such version of a charter that is to hold an older key")
        if peer != coordinator(group, before):
            raise Refusal("another member coordinates the resharing for this version")
        if len(host_keys(db, group)) < len(group.members):
            raise Refusal("not every member has signed the charter yet")
        return group, before
