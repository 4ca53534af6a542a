"""Pays what was decided: any member's node may coordinate, none is trusted.

The proposer's node begins; the others step in one after another when nothing comes of it. A treasury pays one
proposal at a time, in the order of their deadlines, and passes over those that cannot be paid now. The payment is
over when our own chain backend shows it mined, and that is written on the ledger.
"""

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.charters import Charter, charters
from overlay.dao.assembly.chronicle import Mined
from overlay.dao.assembly.counting import Counting
from overlay.dao.assembly.payouts import payout_of, payouts
from overlay.dao.assembly.proposals import Payment
from overlay.dao.assembly.shares import custodians
from overlay.dao.assembly.tallies import tally
from overlay.dao.assembly.turns import Turns
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.backend import BackendError, ChainBackend, Rejected
from overlay.dao.bitcoin.payment import PaymentError
from overlay.dao.bitcoin.transaction import parse, parse_txid
from overlay.dao.funds import faults, labels, policy
from overlay.dao.funds.account import Account, mined_as_another
from overlay.dao.funds.asking import Asking
from overlay.dao.funds.roast import Fault, Run, TooFew
from overlay.dao.funds.signer import Signer, script_of
from overlay.dao.keyring.custody import BadRecovery, Share
from overlay.network.network import Network
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction
from overlay.trustchain.statements import RecordPayout

__all__ = ["SCHEMA", "PaymentFailed", "Signed", "Treasury", "is_paid", "signed"]

log = logging.getLogger(__name__)

SIGNED = """
CREATE TABLE IF NOT EXISTS treasury_signed (
    proposal BLOB PRIMARY KEY, txid TEXT NOT NULL, raw BLOB NOT NULL, signers BLOB NOT NULL) WITHOUT ROWID;
"""
SCHEMA = SIGNED + faults.SCHEMA + labels.SCHEMA


class PaymentFailed(Exception):
    """Something is not paid yet; the message says what and why, and the next `step` goes on."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A payment that this node's coordination got signed."""

    txid: str
    raw: bytes
    signers: tuple[int, ...]


class Treasury:
    """Coordinates payments of the groups of this node's member. Call `step` whenever something may have changed."""

    def __init__(self, ledger: Ledger, network: Network, signer: Signer, backend: ChainBackend) -> None:
        self._ledger, self._signer, self._backend = ledger, signer, backend
        self._asking = Asking(network, signer, ledger.identity.public_key)
        self._counting = Counting(ledger)
        self._turns = Turns(ledger.clock, ledger.identity.public_key)

    async def step(self) -> None:
        """Count votes, pay what is decided and our turn, record what has been mined.

        Groups are looked after side by side, and what fails for one proposal keeps no other waiting. Raises
        PaymentFailed with all that is not paid, at the end.
        """
        db, me = self._ledger.db, self._ledger.identity.public_key
        ours = [group for group in charters(db) if belongs(db, group, me) or me in custodians(db, group).members]
        try:
            decided = await self._counting.decided(ours)
        except SigningRefused as error:
            raise PaymentFailed(str(error)) from error
        failures = await asyncio.gather(*(self._look_after(*each) for each in decided))
        if told := " ".join(itertools.chain.from_iterable(failures)):
            raise PaymentFailed(told)

    async def _look_after(self, group: Charter, decided: list[Payment]) -> list[str]:
        """What could not be done for one group, one sentence each."""
        try:
            group = custodians(self._ledger.db, group)
            share = self._signer.share_of(group) if decided else None
            if share is None or self._signer.accounts is None:
                return []
            account = await self._signer.accounts.look(group, script_of(share))
            unpaid = [asked for asked in decided if not await self._record_if_mined(group, asked)]
        except (BackendError, SigningRefused, BadRecovery) as error:
            return [f"{group.name}: {error}"]
        return await self._pay_first(group, unpaid, account, share)

    async def _pay_first(self, group: Charter, unpaid: Sequence[Payment], account: Account, share: Share) -> list[str]:
        """Pay the first of these that can be paid, unless a payment of this treasury is on its way."""
        failures: list[str] = []
        for asked in unpaid:
            try:
                if not await self._is_to_be_sent(asked, account) or self._turns.is_of_others(group, asked):
                    return failures
                if self._turns.is_waiting(asked):
                    continue
                await self.pay(group, asked, account, share)
                return failures
            except (BackendError, Rejected, PaymentError, TooFew, SigningRefused, policy.Violation) as error:
                self._turns.wait(asked)
                failures.append(f"'{asked.title}' is not paid yet: {error}")
        return failures

    async def pay(self, group: Charter, asked: Payment, account: Account, share: Share) -> Signed:
        """Get one payment signed and broadcast. Raises Violation, PaymentError, TooFew, BackendError, Rejected."""
        policy.check_limits(self._ledger.db, group, asked, account.height)
        unsigned = policy.build(asked, account, await self._backend.fee_rate())
        run = Run(group, share, asked.id, unsigned, self._asking, self._ledger.random, self._blame(asked))
        stands = tally(self._ledger.db, group, asked, self._ledger.clock.now())
        approvers = [member for member in group.members if stands.choice_of(member) == "yes"]
        reserves = [member for member in group.members if stands.choice_of(member) not in ("yes", "no")]
        made = await run.result(approvers, reserves)
        done = Signed(unsigned.txid, payments.attach_signatures(unsigned, made.signatures), made.signers)
        await self.send(asked, done)
        return done

    async def send(self, asked: Payment, done: Signed) -> None:
        """Keep a signed payment and hand it to the network. Raises BackendError, Rejected."""
        await self._backend.test_accept(done.raw)
        await self._ledger.transact(lambda tx: _keep(tx, asked, done))
        await self._backend.broadcast(done.raw)

    async def _is_to_be_sent(self, asked: Payment, account: Account) -> bool:
        """False while a transaction waits to be mined that spends the oldest coin; but fees may have risen since."""
        done, oldest = signed(self._ledger.db, asked.id), account.coins[:1]
        if done is not None and _is_alive(done, account):
            if await self._backend.transaction(parse_txid(done.txid)) is None:
                await self._backend.broadcast(done.raw)
        elif not oldest or await self._backend.coin(oldest[0].txid, oldest[0].vout) is not None:
            return True
        if not self._turns.is_overdue(asked):
            return False
        return done is None or done.txid != policy.build(asked, account, await self._backend.fee_rate()).txid

    async def _record_if_mined(self, group: Charter, asked: Payment) -> bool:
        """Write on the ledger what our own backend has shown; whether the payment is mined."""
        mined = chronicle.mined(self._ledger.db, asked.id)
        if mined is None and (late := mined_as_another(self._ledger.db, group, asked)) is not None:
            await self._ledger.transact(lambda tx: chronicle.name(tx.db, late))
            mined = late
        if mined is not None and _is_news(self._ledger, group, asked, mined):
            await self._ledger.transact(lambda tx: _record(tx, asked, mined))
        return mined is not None

    def _blame(self, asked: Payment) -> Callable[[Fault], Awaitable[None]]:
        async def record(fault: Fault) -> None:
            await self._ledger.transact(lambda tx: faults.record(tx.db, asked.id, fault))

        return record


def signed(db: sqlite3.Connection, proposal: bytes) -> Signed | None:
    """What this node got signed for a proposal."""
    row = db.execute("SELECT txid, raw, signers FROM treasury_signed WHERE proposal = ?", (proposal,)).fetchone()
    return Signed(row[0], row[1], tuple(row[2])) if row else None


def is_paid(db: sqlite3.Connection, proposal: bytes) -> bool:
    """Whether our own chain backend has shown the payment mined."""
    return chronicle.mined(db, proposal) is not None


def _is_alive(done: Signed, account: Account) -> bool:
    """Whether a payment can still be mined: all its coins are there."""
    coins = {(coin.txid, coin.vout) for coin in account.coins}
    return all((each.txid, each.vout) in coins for each in parse(done.raw).inputs)


def _is_news(ledger: Ledger, group: Charter, asked: Payment, mined: Mined) -> bool:
    """Whether the ledger lacks our word that this is mined. Enough others' will do, unless we know who signed."""
    db, own = ledger.db, payout_of(ledger.db, group, asked.id, ledger.identity.public_key)
    if own is not None:
        return (own.txid, own.height) != (bytes.fromhex(mined.txid), mined.height)
    done = signed(db, asked.id)
    return not payouts(db, group, asked.id) or (done is not None and done.txid == mined.txid)


def _keep(tx: Transaction, asked: Payment, done: Signed) -> None:
    row = (asked.id, done.txid, done.raw, bytes(done.signers))
    tx.db.execute("INSERT OR REPLACE INTO treasury_signed VALUES (?,?,?,?)", row)


def _record(tx: Transaction, asked: Payment, mined: Mined) -> None:
    done = signed(tx.db, asked.id)
    signers = done.signers if done is not None and done.txid == mined.txid else ()
    tx.append(RecordPayout(asked.id, bytes.fromhex(mined.txid), mined.height, signers), to=asked.proposer)
