"""Writes the chain of a group: any member's node may coordinate a position, none is trusted (`group_order`).

Two at once cost time, nothing else: each has ballots of its own. What one leaves half done the next one finishes.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from overlay.dao.assembly.charters import Charter
from overlay.dao.chain import group_order
from overlay.dao.chain.group_chain import LOCK, PREPARE, SHARE, TELL, VOTE, GroupChain
from overlay.dao.chain.group_order import OutOfOrder, Place
from overlay.dao.chain.group_statements import Word
from overlay.dao.chain.order_messages import (
    Answered,
    AskLock,
    AskPrepare,
    AskShare,
    AskVote,
    Lock,
    Locked,
    Prepared,
    Proof,
    ShareGiven,
    Voted,
)
from overlay.dao.frost import rfc9591
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.rfc9591 import GroupKey
from overlay.dao.keyring import group_key
from overlay.keys import PublicKey, short, verify
from overlay.network.messages import BadMessage, Wire, decode, encode
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock, MalformedBlock, unpack
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import encode as encode_statement
from overlay.trustchain.validation import check

log = logging.getLogger(__name__)

A = TypeVar("A", bound=Wire)
S = TypeVar("S", Voted, Locked)

# A member writes its promise to disk and answers.
STEP_SECONDS = 5.0
# A share that was given and whose session is not complete may be completed by a member that is away; a second signature
# of the same words would be a second block. So long the others wait for it before they sign anew.
PATIENCE_SECONDS = 3_600.0


class NotWritten(Exception):
    """The group's chain has not grown this time; the message says why, and the next attempt goes on."""


@dataclass(frozen=True, slots=True)
class _Position:
    """What one attempt works with."""

    place: Place
    agent: PublicKey
    key: GroupKey
    ballot: int


class Scribe:
    """Coordinates positions of the chains of this node's groups."""

    def __init__(self, ledger: Ledger, network: Network, chain: GroupChain) -> None:
        self._ledger, self._network, self._chain = ledger, network, chain
        self._seen: dict[tuple[bytes, int], int] = {}
        self._unfit: dict[bytes, list[int]] = {}
        self._halves: dict[bytes, float] = {}

    async def write(self, group: Charter, agent: PublicKey, word: Word) -> HalfBlock:
        """Get one position signed: with `word`, or with what members are bound to. Raises NotWritten."""
        db = self._ledger.db
        share = group_key.share_of(db, self._ledger.identity, group)
        if share is None:
            raise NotWritten("this member holds no share of the group's ledger key")
        place = Place(group, blocks.first_gap(db, agent))
        at = group.version, place.position
        promised = group_order.promise_of(db, place).promised
        ballot = group_order.next_ballot(place, share.number, max(promised, self._seen.get(at, 0)))
        self._seen[at] = ballot
        try:
            block = await self._agree(_Position(place, agent, share.key, ballot), word)
        except (OutOfOrder, MalformedBlock) as error:
            raise NotWritten(str(error)) from error
        await self._ledger.ingest([block])
        told = (self._tell(member, block) for member in group.members if member != self._ledger.identity.public_key)
        await asyncio.gather(*told)
        return block

    async def _tell(self, member: PublicKey, block: HalfBlock) -> None:
        """Whoever is away asks when it has something to write."""
        try:
            await self._network.call(member, TELL, block.pack(), STEP_SECONDS)
        except CallFailed as error:
            log.info("%s does not hear of a group's block now: %s", short(member), error)

    async def _agree(self, at: _Position, word: Word) -> HalfBlock:
        answers = await self._prepare(at)
        for answer in answers.values():
            if (signed := _signed(at, answer.signed)) is not None:
                return signed
        # Only those that were asked by us and speak of this ballot are shown around.
        shown = tuple(Answered(number, answer.lock, answer.signature) for number, answer in answers.items())
        bound = group_order.bound_by(at.place, at.ballot, shown)
        block = unpack(bound.block) if bound is not None else self._draft(at, word)
        if (done := self._joined(at, block, answers)) is not None:
            return done
        raw, about = block.pack(signature=False), group_order.statement(block)
        ask = AskVote(at.place.group.id, at.place.position, at.ballot, raw, shown)
        votes = await self._collect(at, VOTE, ask, Voted, b"voted", about)
        lock = Lock(at.ballot, raw, _proof(votes))
        asked = AskLock(at.place.group.id, at.place.position, lock)
        locked = await self._collect(at, LOCK, asked, Locked, b"locked", about)
        return await self._sign(at, block, locked)

    async def _prepare(self, at: _Position) -> dict[int, Prepared]:
        ask = AskPrepare(at.place.group.id, at.place.position, at.ballot)
        answers = await self._ask_all(at, range(len(at.place.group.members)), PREPARE, ask, Prepared)
        # Of what members claim to have promised, the least that a quorum has not gone beyond: one liar's claim is no
        # reason to jump.
        claims = sorted(answer.promised for answer in answers.values())[: at.place.quorum]
        where = at.place.group.version, at.place.position
        self._seen[where] = min(max((self._seen[where], *claims)), at.ballot + group_order.MAX_STEP // 2)
        fitting = {number: answer for number, answer in answers.items() if self._is_prepared(at, number, answer)}
        if len(fitting) < at.place.quorum and not any(answer.signed for answer in answers.values()):
            raise NotWritten(f"{len(fitting)} members are ready, and it takes {at.place.quorum}")
        return fitting or answers

    def _is_prepared(self, at: _Position, number: int, answer: Prepared) -> bool:
        lock = encode(answer.lock) if answer.lock is not None else b""
        message = group_order.said(b"prepared", at.place, at.ballot, lock)
        return answer.promised == at.ballot and verify(at.place.group.members[number], message, answer.signature)

    def _draft(self, at: _Position, word: Word) -> HalfBlock:
        kind, transaction = encode_statement(word.statement)
        before = blocks.at(self._ledger.db, at.agent, at.place.position - 1)
        return HalfBlock(
            public_key=at.agent,
            sequence_number=at.place.position,
            link_public_key=word.about.public_key if word.about else ANYONE,
            link_sequence_number=word.about.sequence_number if word.about else 0,
            previous_hash=before[0].hash if before else GENESIS_HASH,
            type=kind,
            transaction=transaction,
            timestamp=self._ledger.clock.now(),
        )

    def _joined(self, at: _Position, block: HalfBlock, answers: Mapping[int, Prepared]) -> HalfBlock | None:
        """The block, where an earlier session lacks nothing but somebody who joins its shares.

        Raises NotWritten while a member that is away may hold what completes one.
        """
        message = block.pack(signature=False)
        for (signers, commitments), shares in _sessions(group_order.statement(block), answers).items():
            missing = [number for number in signers if number not in shares]
            if not missing:
                coordinator = _coordinator(at.key, signers, commitments, message)
                if coordinator is not None and all(_accepts(coordinator, i, shares[n]) for i, n in enumerate(signers)):
                    return replace(block, signature=coordinator.signature())
            elif not any(number in answers for number in missing) and self._is_awaited(shares[min(shares)]):
                raise NotWritten(f"it waits for a share of {short(at.place.group.members[missing[0]])}")
        return None

    def _is_awaited(self, share: bytes) -> bool:
        now = self._ledger.clock.monotonic()
        return now - self._halves.setdefault(share, now) < PATIENCE_SECONDS

    async def _collect(
        self, at: _Position, service: str, ask: Wire, kind: type[S], said: bytes, about: bytes
    ) -> dict[int, S]:
        """The valid signatures of a quorum. Raises NotWritten."""
        answers = await self._ask_all(at, range(len(at.place.group.members)), service, ask, kind)
        message, members = group_order.said(said, at.place, at.ballot, about), at.place.group.members
        valid = {number: each for number, each in answers.items() if verify(members[number], message, each.signature)}
        if len(valid) < at.place.quorum:
            raise NotWritten(f"{len(valid)} members {said.decode()}, and it takes {at.place.quorum}")
        return valid

    async def _sign(self, at: _Position, block: HalfBlock, locked: Mapping[int, Locked]) -> HalfBlock:
        """Two rounds of FROST, of which `locked` was the first. Raises NotWritten; who failed is chosen last then."""
        unfit = self._unfit.setdefault(at.place.group.id, [])
        order = sorted(locked, key=lambda number: (unfit.index(number) if number in unfit else -1, number))
        signers = tuple(sorted(order[: at.key.t]))
        commitments = tuple(locked[number].commitment for number in signers)
        coordinator = _coordinator(at.key, signers, commitments, block.pack(signature=False))
        if coordinator is None:
            raise NotWritten("a member committed to a nonce that is none")
        group, position = at.place.group.id, at.place.position
        ask = AskShare(group, position, at.ballot, _proof(locked), signers, commitments)
        shares = await self._ask_all(at, signers, SHARE, ask, ShareGiven)
        for index, number in enumerate(signers):
            if number not in shares or not _accepts(coordinator, index, shares[number].share):
                unfit[:] = [*(each for each in unfit if each != number), number]
                raise NotWritten(f"{short(at.place.group.members[number])} gave no valid share")
        return replace(block, signature=coordinator.signature())

    async def _ask_all(
        self, at: _Position, numbers: Iterable[int], service: str, ask: Wire, kind: type[A]
    ) -> dict[int, A]:
        """What those say who answer."""
        chosen, payload = list(numbers), encode(ask)
        answers = await asyncio.gather(*(self._ask(at, number, service, payload, kind) for number in chosen))
        return {number: each for number, each in zip(chosen, answers, strict=True) if each is not None}

    async def _ask(self, at: _Position, number: int, service: str, payload: bytes, kind: type[A]) -> A | None:
        member, me = at.place.group.members[number], self._ledger.identity.public_key
        try:
            if member == me:
                return decode(await self._chain.services[service](me, payload), kind)
            return decode(await self._network.call(member, service, payload, STEP_SECONDS), kind)
        except (CallFailed, Refusal, BadMessage) as error:
            log.info("the chain of %s goes on without %s: %s", at.place.group.name, short(member), error)
            return None


def _sessions(
    about: bytes, answers: Mapping[int, Prepared]
) -> dict[tuple[tuple[int, ...], tuple[bytes, ...]], dict[int, bytes]]:
    """The earlier sessions about a block that members tell of, and the shares in each by their givers."""
    found: dict[tuple[tuple[int, ...], tuple[bytes, ...]], dict[int, bytes]] = {}
    for number, answer in answers.items():
        for given in answer.given:
            if given.block == about and number in given.signers:
                found.setdefault((given.signers, given.commitments), {})[number] = given.share
    return found


def _coordinator(
    key: GroupKey, signers: tuple[int, ...], commitments: tuple[bytes, ...], message: bytes
) -> rfc9591.SessionCoordinator | None:
    try:
        return rfc9591.SessionCoordinator(rfc9591.Session(key, signers, commitments, message))
    except (ValueError, InvalidContributionError):
        return None


def _accepts(coordinator: rfc9591.SessionCoordinator, index: int, share: bytes) -> bool:
    try:
        coordinator.accept(index, share)
    except InvalidContributionError:
        return False
    return True


def _proof(signed: Mapping[int, Voted] | Mapping[int, Locked]) -> Proof:
    return Proof(tuple(signed), tuple(each.signature for each in signed.values()))


def _signed(at: _Position, raw: bytes) -> HalfBlock | None:
    """The block of this position that a member has, if it is one."""
    if not raw:
        return None
    try:
        block = unpack(raw)
    except MalformedBlock:
        return None
    fits = (block.public_key, block.sequence_number) == (at.agent, at.place.position)
    return block if fits and check(block) is None else None
