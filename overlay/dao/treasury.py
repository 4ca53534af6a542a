"""Pays what was approved: any member's node may coordinate, none is trusted.

The proposer's node begins; the others step in one after another when nothing comes of it. Silent, refusing and
faulty signers are left out of the next attempt (a simple form of ROAST), until no `threshold` of members is left to
try. The payment is over when our own chain backend sees it mined, and that is written on the ledger.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from overlay.dao import custody, policy
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.backend import BackendError, ChainBackend, Rejected
from overlay.dao.bitcoin.payment import PaymentError, UnsignedPayment
from overlay.dao.bitcoin.transaction import InvalidTransaction, parse_txid
from overlay.dao.custody import Share
from overlay.dao.frost import signing
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.governance import Outcome, record_decision, tally
from overlay.dao.groups import Charter, Payment, charters, payouts
from overlay.dao.groups import payments as proposals
from overlay.dao.messages import AskCommitments, AskPromise, AskShares, Commitments, Promise, SignatureShares
from overlay.dao.policy import Violation
from overlay.dao.signer import COMMIT, PROMISE, SIGN, Signer, script_of, signers_context
from overlay.keys import PublicKey
from overlay.network.messages import BadMessage, M, decode, encode
from overlay.network.network import CallFailed, Network, Refusal
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction
from overlay.trustchain.statements import RecordPayout

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS treasury_signed (
    proposal BLOB PRIMARY KEY, txid TEXT NOT NULL, raw BLOB NOT NULL, signers BLOB NOT NULL) WITHOUT ROWID;
"""
SIGNER_SECONDS = 5.0
# The proposer's node begins at once; each other member's waits this much longer, by its place in the charter.
TURN_SECONDS = 4.0


class PaymentFailed(Exception):
    """An attempt to pay came to no end; the message says why, and what is tried next is the caller's business."""


class _Unfit(Exception):
    """A member that cannot be part of this attempt."""

    def __init__(self, member: PublicKey, why: str) -> None:
        super().__init__(why)
        self.member = member


@dataclass(frozen=True, slots=True)
class Signed:
    """A payment that this node's coordination got signed."""

    txid: str
    raw: bytes
    signers: tuple[int, ...]


class Treasury:
    """Coordinates payments of the groups of this node's member. Call `step` whenever something may have changed."""

    def __init__(self, ledger: Ledger, network: Network, signer: Signer, backend: ChainBackend) -> None:
        self._ledger, self._network, self._signer, self._backend = ledger, network, signer, backend
        self._approved_since: dict[bytes, float] = {}

    async def step(self) -> None:
        """Pay what is approved and our turn, and record what has been mined. Raises PaymentFailed."""
        db, me = self._ledger.db, self._ledger.identity.public_key
        for group in charters(db):
            if me not in group.members or custody.stored(db, group) is None:
                continue
            for asked in proposals(db, group):
                if tally(db, group, asked, self._ledger.clock.now()).outcome is Outcome.APPROVED:
                    await self._advance(group, asked)

    async def _advance(self, group: Charter, asked: Payment) -> None:
        db = self._ledger.db
        if is_paid(db, asked.id):
            return
        try:
            if recorded := payouts(db, group, asked.id):
                await self._believe_if_mined(asked, recorded[0].txid)
            elif done := signed(db, asked.id):
                await self._record_if_mined(group, asked, done)
            elif self._is_our_turn(group, asked):
                await self.pay(group, asked)
        except (BackendError, Rejected, PaymentError, InvalidTransaction, SigningRefused) as error:
            raise PaymentFailed(f"'{asked.title}' is not paid yet: {error}") from error

    async def pay(self, group: Charter, asked: Payment) -> Signed:
        """Get one approved payment signed and broadcast. Raises PaymentFailed, BackendError, Rejected, PaymentError."""
        share = custody.share_of(self._ledger.db, self._ledger.identity, group)
        if share is None:
            raise PaymentFailed(f"this node holds no share of {group.name}")
        await self._ledger.transact(lambda tx: record_decision(tx, group, asked))
        unsigned = await self._transaction(group, asked, share)
        candidates = self._candidates(group, asked)
        while len(candidates) >= group.threshold:
            try:
                done = await self._attempt(group, asked, share, unsigned, candidates)
            except _Unfit as unfit:
                log.info("%s signs without one member: %s", group.name, unfit)
                candidates.remove(unfit.member)
                continue
            await self._publish(asked, done)
            return done
        raise PaymentFailed(f"'{asked.title}' waits for {group.threshold} members' nodes to be reachable")

    async def _publish(self, asked: Payment, done: Signed) -> None:
        await self._backend.test_accept(done.raw)
        await self._ledger.transact(lambda tx: _keep(tx, asked, done))
        await self._backend.broadcast(done.raw)

    async def _attempt(
        self, group: Charter, asked: Payment, share: Share, unsigned: UnsignedPayment, candidates: Sequence[PublicKey]
    ) -> Signed:
        """One signing session with the first `threshold` candidates. Raises _Unfit naming who spoiled it."""
        chosen = sorted(candidates[: group.threshold], key=group.members.index)
        numbers = tuple(group.members.index(member) for member in chosen)
        session = self._ledger.random.bytes(16)
        ask = encode(AskCommitments(asked.id, session, unsigned.raw))
        committed = await asyncio.gather(*(self._ask(member, COMMIT, ask, Commitments) for member in chosen))
        signers, inputs = signers_context(group, share, numbers), range(len(unsigned.coins))
        for member, each in zip(chosen, committed, strict=True):
            if len(each.nonces) != len(inputs):
                raise _Unfit(member, "a signer committed to the wrong number of nonces")
        try:
            rounds = [
                signing.SigningCoordinator(
                    signers, [each.nonces[at] for each in committed], unsigned.sighashes[at], [share.tweak], [True]
                )
                for at in inputs
            ]
            order = encode(AskShares(session, numbers, tuple(each.session.aggnonce for each in rounds)))
            shares = await asyncio.gather(*(self._ask(member, SIGN, order, SignatureShares) for member in chosen))
            signatures = _combine(rounds, [each.shares for each in shares])
        except InvalidContributionError as error:
            if error.signer is None:
                raise PaymentFailed(f"signing failed: {error}") from error
            raise _Unfit(chosen[error.signer], f"a signer sent a wrong {error.what}") from error
        return Signed(unsigned.txid, payments.attach_signatures(unsigned, signatures), numbers)

    async def _transaction(self, group: Charter, asked: Payment, share: Share) -> UnsignedPayment:
        """What a member has promised already, if it passes our own judgement; else a new transaction."""
        script, db, now = script_of(share), self._ledger.db, self._ledger.clock.now()
        coins = await self._backend.coins(script)
        ask = encode(AskPromise(asked.id))
        told = await asyncio.gather(
            *(self._ask(member, PROMISE, ask, Promise) for member in self._candidates(group, asked)),
            return_exceptions=True,
        )
        for promise in told:
            if isinstance(promise, Promise) and promise.transaction:
                try:
                    return policy.judge(db, group, asked, promise.transaction, coins, script, now)
                except Violation as violation:
                    log.warning("a promised transaction is not what was approved: %s", violation)
        return policy.build(asked, policy.free_coins(db, asked, coins), await self._backend.fee_rate(), script)

    async def _ask(self, member: PublicKey, service: str, request: bytes, kind: type[M]) -> M:
        own = {PROMISE: self._signer.tell_promise, COMMIT: self._signer.commit, SIGN: self._signer.sign}
        me = self._ledger.identity.public_key
        try:
            if member == me:
                return decode(await own[service](me, request), kind)
            return decode(await self._network.call(member, service, request, SIGNER_SECONDS), kind)
        except (CallFailed, Refusal, BadMessage) as error:
            raise _Unfit(member, str(error)) from error

    def _candidates(self, group: Charter, asked: Payment) -> list[PublicKey]:
        """Who may be asked, the best first: ourselves, approvers that are online, other members, never a no-voter."""
        me, online = self._ledger.identity.public_key, set(self._network.online())
        stands = tally(self._ledger.db, group, asked, self._ledger.clock.now())
        refusing = {ballot.voter for ballot in stands.ballots if ballot.choice == "no"} - {me}

        def rank(member: PublicKey) -> tuple[bool, bool, bool, int]:
            return (member != me, member not in online, member not in stands.approvers, group.members.index(member))

        return sorted((member for member in group.members if member not in refusing), key=rank)

    def _is_our_turn(self, group: Charter, asked: Payment) -> bool:
        now, me = self._ledger.clock.monotonic(), self._ledger.identity.public_key
        since = self._approved_since.setdefault(asked.id, now)
        order = sorted(group.members, key=lambda member: (member != asked.proposer, group.members.index(member)))
        return now - since >= order.index(me) * TURN_SECONDS

    async def _record_if_mined(self, group: Charter, asked: Payment, done: Signed) -> None:
        status = await self._backend.transaction(parse_txid(done.txid))
        if status is None:
            await self._backend.broadcast(done.raw)
        elif status.height is not None:
            height = status.height
            await self._ledger.transact(lambda tx: _record(tx, asked, done, height))

    async def _believe_if_mined(self, asked: Payment, txid: bytes) -> None:
        """Another member recorded the payment: take its word only for what our own backend shows."""
        status = await self._backend.transaction(parse_txid(txid.hex()))
        if status is not None and status.height is not None:
            await self._ledger.transact(lambda tx: _mark_paid(tx, asked))


def signed(db: sqlite3.Connection, proposal: bytes) -> Signed | None:
    """What this node got signed for a proposal."""
    row = db.execute("SELECT txid, raw, signers FROM treasury_signed WHERE proposal = ?", (proposal,)).fetchone()
    return Signed(row[0], row[1], tuple(row[2])) if row else None


def is_paid(db: sqlite3.Connection, proposal: bytes) -> bool:
    """Whether our own chain backend has shown the payment mined."""
    return db.execute("SELECT 1 FROM treasury_paid WHERE proposal = ?", (proposal,)).fetchone() is not None


def _combine(rounds: Sequence[signing.SigningCoordinator], shares: Sequence[tuple[bytes, ...]]) -> list[bytes]:
    """Check every signature share and add them up, input by input. Raises InvalidContributionError."""
    for signer, each in enumerate(shares):
        if len(each) != len(rounds):
            raise InvalidContributionError(signer, "number of shares")
        for coordinator, share in zip(rounds, each, strict=True):
            coordinator.accept(signer, share)
    return [coordinator.signature() for coordinator in rounds]


def _keep(tx: Transaction, asked: Payment, done: Signed) -> None:
    row = (asked.id, done.txid, done.raw, bytes(done.signers))
    tx.db.execute("INSERT OR REPLACE INTO treasury_signed VALUES (?,?,?,?)", row)


def _record(tx: Transaction, asked: Payment, done: Signed, height: int) -> None:
    tx.append(RecordPayout(asked.id, bytes.fromhex(done.txid), height, done.signers), to=asked.proposer)
    _mark_paid(tx, asked)


def _mark_paid(tx: Transaction, asked: Payment) -> None:
    tx.db.execute("INSERT OR IGNORE INTO treasury_paid VALUES (?)", (asked.id,))
