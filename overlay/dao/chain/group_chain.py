"""A member's part in the chain of its group: answers whoever coordinates a position (`group_order`, RFC 9591).

Nonces live in this object's memory, for one ballot each, and are void after a restart; a share that was given is kept,
so that whoever comes next can complete what was begun.
"""

from collections.abc import Callable
from typing import TypeVar

from overlay.clock import Randomness
from overlay.dao.assembly.charters import Charter, current
from overlay.dao.chain import group_order, group_statements
from overlay.dao.chain.group_order import OutOfOrder, Place
from overlay.dao.chain.group_statements import NotTheGroupsWord
from overlay.dao.chain.order_messages import (
    AskLock,
    AskPrepare,
    AskShare,
    AskVote,
    Given,
    Locked,
    Prepared,
    ShareGiven,
    Voted,
)
from overlay.dao.frost import rfc9591
from overlay.dao.frost.ed25519 import ED25519
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.keyring import group_key
from overlay.dao.keyring.custody import BadRecovery
from overlay.dao.keyring.group_key import LedgerShare
from overlay.keys import PublicKey
from overlay.network.messages import decode, encode
from overlay.network.network import Network, Refusal
from overlay.trustchain import blocks
from overlay.trustchain.block import GENESIS_HASH, UNSIGNED, HalfBlock, MalformedBlock, unpack
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction

T = TypeVar("T")

PREPARE, VOTE, LOCK, SHARE, TELL = "chain.prepare", "chain.vote", "chain.lock", "chain.share", "chain.tell"
# Nonces kept in memory: one ballot each of so many groups and attempts; the eldest makes way.
MAX_NONCES = 256


class GroupChain:
    """Answers coordinators, and the coordinator of the same node."""

    def __init__(self, ledger: Ledger, network: Network) -> None:
        self._ledger = ledger
        self._random: Randomness = ledger.random
        self._nonces: dict[tuple[bytes, int, int], rfc9591.SigningNonces] = {}
        self.services = {PREPARE: self.prepare, VOTE: self.vote, LOCK: self.lock, SHARE: self.share, TELL: self.tell}
        for service, handler in self.services.items():
            network.serve(service, handler)

    async def prepare(self, peer: PublicKey, payload: bytes) -> bytes:
        """Promise a ballot, and tell what this member is bound to. Raises Refusal."""
        ask = decode(payload, AskPrepare)
        place, agent = self._place(peer, ask.group, ask.position, ask.ballot)
        return encode(await self._transact(lambda tx: _prepare(tx, place, agent, ask.ballot)))

    async def vote(self, peer: PublicKey, payload: bytes) -> bytes:
        """Vote for a block that is the group's word by our own ledger, or that others may be bound to."""
        ask = decode(payload, AskVote)
        place, agent = self._place(peer, ask.group, ask.position, ask.ballot)
        return encode(Voted(await self._transact(lambda tx: _vote(tx, place, agent, ask))))

    async def lock(self, peer: PublicKey, payload: bytes) -> bytes:
        """Be bound to what a quorum voted for, and commit to a nonce for it."""
        ask = decode(payload, AskLock)
        place, agent = self._place(peer, ask.group, ask.position, ask.lock.ballot)
        share = self._share_of(place.group)
        signature = await self._transact(lambda tx: _lock(tx, place, agent, ask))
        nonces, commitment = rfc9591.commit(ED25519, share.share.secshare, self._random.bytes(rfc9591.RAND_BYTES))
        while len(self._nonces) >= MAX_NONCES:
            self._nonces.pop(next(iter(self._nonces))).void()
        self._nonces[place.group.id, place.position, ask.lock.ballot] = nonces
        return encode(Locked(signature, commitment))

    async def share(self, peer: PublicKey, payload: bytes) -> bytes:
        """Give a share for what a quorum is bound to: once in a ballot, and the same again to whoever asks again."""
        ask = decode(payload, AskShare)
        place, _ = self._place(peer, ask.group, ask.position, ask.ballot)
        had = group_order.share_in(self._ledger.db, place, ask.ballot)
        if had is not None and (had.signers, had.commitments) == (ask.signers, ask.commitments):
            return encode(ShareGiven(had.share))
        nonces = self._nonces.pop((place.group.id, place.position, ask.ballot), None)
        if nonces is None:
            raise Refusal("this member has no nonce for this ballot; begin another")
        given = self._sign(place, ask, nonces)
        await self._transact(lambda tx: group_order.give(tx.db, place, ask.ballot, ask.locks, given))
        return encode(ShareGiven(given.share))

    async def tell(self, peer: PublicKey, payload: bytes) -> bytes:
        """Keep a block of the group's chain that another member got signed."""
        try:
            block = unpack(payload)
        except MalformedBlock as error:
            raise Refusal(str(error)) from error
        db, me = self._ledger.db, self._ledger.identity.public_key
        group = current(db, group_key.claimed_group(block.public_key))
        if group is None or group_key.agent_of(db, group) != block.public_key:
            raise Refusal("this is no block of a group that this member knows")
        if not {me, peer} <= set(group.roster):
            raise Refusal("this is not a group of both of us")
        if refused := await self._ledger.ingest([block]):
            raise Refusal(str(refused[0]))
        return b""

    def _sign(self, place: Place, ask: AskShare, nonces: rfc9591.SigningNonces) -> Given:
        """The share stays in memory until `give` has promised it on disk."""
        lock, share = group_order.promise_of(self._ledger.db, place).lock, self._share_of(place.group)
        if lock is None or lock.ballot != ask.ballot:
            raise Refusal("this member is not bound in this ballot")
        try:
            session = rfc9591.Session(share.key, ask.signers, ask.commitments, lock.block)
            given = rfc9591.sign(nonces, share.share.secshare, share.number, session)
        except (ValueError, InvalidContributionError) as error:
            raise Refusal(f"no share is given: {error}") from error
        return Given(group_order.statement(unpack(lock.block)), ask.signers, ask.commitments, given)

    def _share_of(self, group: Charter) -> LedgerShare:
        try:
            share = group_key.share_of(self._ledger.db, self._ledger.identity, group)
        except BadRecovery as error:
            raise Refusal(str(error)) from error
        if share is None:
            raise Refusal("this member holds no share of the group's ledger key")
        return share

    def _place(self, peer: PublicKey, group: bytes, position: int, ballot: int) -> tuple[Place, PublicKey]:
        db, me = self._ledger.db, self._ledger.identity.public_key
        now = current(db, group)
        agent = group_key.agent_of(db, now) if now is not None else None
        if now is None or agent is None:
            raise Refusal("this member knows no such group, or no ledger key of it")
        found = group_key.writers(db, now, agent, position)
        if found is None or peer not in found.members or me not in found.members:
            raise Refusal("this is not a group of both of us")
        place = Place(found, position)
        if found.members[place.owner(ballot)] != peer:
            raise Refusal("this ballot belongs to another member")
        return place, agent

    async def _transact(self, work: Callable[[Transaction], T]) -> T:
        try:
            self._ledger.check_may_sign()
            return await self._ledger.transact(work)
        except (OutOfOrder, NotTheGroupsWord, SigningRefused, MalformedBlock) as error:
            raise Refusal(str(error)) from error


def _prepare(tx: Transaction, place: Place, agent: PublicKey, ballot: int) -> Prepared:
    if place.position > blocks.first_gap(tx.db, agent):
        raise OutOfOrder("this member does not know the block before")
    promise, signature = group_order.prepare(tx.db, tx.identity, place, ballot)
    known = blocks.at(tx.db, agent, place.position)
    given = group_order.shares_given(tx.db, place)
    return Prepared(promise.promised, promise.lock, given, known[0].pack() if known else b"", signature)


def _vote(tx: Transaction, place: Place, agent: PublicKey, ask: AskVote) -> bytes:
    block = _fitting(tx, place, agent, ask.block)
    if group_order.bound_by(place, ask.ballot, ask.answers) is None:
        group_statements.check(tx.db, place.group, agent, block, tx.now)
    return group_order.vote(tx.db, tx.identity, place, ask.ballot, block, ask.answers)


def _lock(tx: Transaction, place: Place, agent: PublicKey, ask: AskLock) -> bytes:
    block = _fitting(tx, place, agent, ask.lock.block)
    return group_order.lock(tx.db, tx.identity, place, ask.lock, group_order.statement(block))


def _fitting(tx: Transaction, place: Place, agent: PublicKey, raw: bytes) -> HalfBlock:
    """An unsigned block that follows what this member knows of the chain. Raises MalformedBlock, OutOfOrder."""
    block = unpack(raw)
    if (block.public_key, block.sequence_number, block.signature) != (agent, place.position, UNSIGNED):
        raise OutOfOrder("this is no block of the group for this position")
    before = {each.hash for each in blocks.at(tx.db, agent, place.position - 1)} or {GENESIS_HASH}
    if block.previous_hash not in before or (place.position == 1) != (block.previous_hash == GENESIS_HASH):
        raise OutOfOrder("this member does not know the block before")
    return block
