"""The signer's side of a payment: judge, promise, commit to nonces, give a share once (BIP-445; docs/treasury.md).

Nonces live in this object's memory only: a restart voids them, and a session signs once or not at all. The promise
of the transaction is on disk before a nonce commitment leaves, and is judged again before a share does.
"""

import logging
from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter, current
from overlay.dao.assembly.proposals import Payment, payment
from overlay.dao.assembly.shares import custodians
from overlay.dao.bitcoin import taproot
from overlay.dao.bitcoin.backend import BackendError, ChainBackend
from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.frost import signing
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.nonces import SecretNonce
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account, Accounts
from overlay.dao.funds.policy import Violation
from overlay.dao.keyring import custody
from overlay.dao.keyring.custody import Share
from overlay.dao.keyring.messages import AskCommitments, AskShares, Commitments, SignatureShares
from overlay.keys import PublicKey
from overlay.network.messages import decode, encode
from overlay.network.network import Network, Refusal
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction

log = logging.getLogger(__name__)

COMMIT, SIGN = "sign.commit", "sign.share"
# Sessions with unused nonces kept in memory for one coordinator: a session that comes to nothing leaves one behind.
# The eldest makes way, so that no coordinator can take another's. 30 members with 50 inputs each: 4 x 30 x 50 nonces.
MAX_SESSIONS = 4


@dataclass(slots=True)
class _Session:
    """One judged transaction and the nonces that may sign it, once."""

    group: Charter
    asked: Payment
    unsigned: UnsignedPayment
    share: Share
    nonces: list[SecretNonce]

    def void(self) -> None:
        for nonce in self.nonces:
            nonce.void()


def script_of(share: Share) -> bytes:
    """The treasury's scriptPubKey: taproot, key path only."""
    return taproot.script_pubkey(taproot.output_key(share.internal_key).key)


class Signer:
    """Answers coordinators. `backend` None means that this node cannot see the chain, and so signs nothing."""

    def __init__(self, ledger: Ledger, network: Network, backend: ChainBackend | None) -> None:
        self._ledger = ledger
        self.accounts = Accounts(ledger, backend) if backend else None
        self._sessions: dict[PublicKey, dict[bytes, _Session]] = {}
        network.serve(COMMIT, self.commit)
        network.serve(SIGN, self.sign)

    def share_of(self, group: Charter) -> Share | None:
        """Our share of a group's key; None before key generation. Raises BadRecovery."""
        return custody.share_of(self._ledger.db, self._ledger.identity, group)

    async def commit(self, peer: PublicKey, payload: bytes) -> bytes:
        """Judge a transaction and commit to one nonce per input. Raises Refusal with what is wrong."""
        ask = decode(payload, AskCommitments)
        self._check_pen()
        group, asked = self._common_group(peer, ask.proposal)
        try:
            share = self.share_of(group)
            if share is None or self.accounts is None:
                raise Refusal("this member holds no share, or sees no Bitcoin node")
            account = await self.accounts.look(group, script_of(share))
            unsigned = await self._ledger.transact(
                lambda tx: _judge_and_promise(tx, group, asked, ask.transaction, account)
            )
        except (BackendError, Violation, custody.BadRecovery) as error:
            raise Refusal(str(error)) from error
        nonces = [self._nonce(share, unsigned, index, ask.session) for index in range(len(unsigned.coins))]
        self._remember(peer, ask.session, _Session(group, asked, unsigned, share, [secret for secret, _ in nonces]))
        return encode(Commitments(tuple(public for _, public in nonces)))

    async def sign(self, peer: PublicKey, payload: bytes) -> bytes:
        """Give signature shares with the nonces of a session, which is then gone, whatever happens."""
        ask = decode(payload, AskShares)
        session = self._sessions.get(peer, {}).pop(ask.session, None)
        if session is None:
            raise Refusal("this member knows no such signing session; begin again")
        try:
            self._check_pen()
            await self._ledger.transact(lambda tx: _judge_again(tx, session))
            return encode(SignatureShares(tuple(_shares(session, ask))))
        except (Violation, ValueError, InvalidContributionError) as error:
            raise Refusal(f"no share is given: {error}") from error
        finally:
            session.void()

    def _check_pen(self) -> None:
        """A folder that may be an old copy has forgotten what it promised: it gives no shares either."""
        try:
            self._ledger.check_may_sign()
        except SigningRefused as refused:
            raise Refusal(str(refused)) from refused

    def _nonce(self, share: Share, unsigned: UnsignedPayment, index: int, session: bytes) -> tuple[SecretNonce, bytes]:
        return signing.nonce_gen(
            self._ledger.random.bytes(32),
            share.output.secshare,
            share.output.pubshares[share.number],
            taproot.output_key(share.internal_key).key,
            unsigned.sighashes[index],
            session + index.to_bytes(2, "big"),
        )

    def _remember(self, peer: PublicKey, number: bytes, session: _Session) -> None:
        theirs = self._sessions.setdefault(peer, {})
        if number in theirs:
            session.void()
            raise Refusal("a signing session has a fresh number")
        while len(theirs) >= MAX_SESSIONS:
            theirs.pop(next(iter(theirs))).void()
        theirs[number] = session

    def _common_group(self, peer: PublicKey, proposal: bytes) -> tuple[Charter, Payment]:
        asked = payment(self._ledger.db, proposal)
        found = current(self._ledger.db, asked.group) if asked else None
        me = self._ledger.identity.public_key
        if asked is None or found is None:
            raise Refusal("this member knows no such proposal")
        group = custodians(self._ledger.db, found)
        if peer not in group.members or me not in group.members:
            raise Refusal("this is not a group of both of us")
        return group, asked


def signers_context(group: Charter, share: Share, numbers: tuple[int, ...]) -> signing.SignersContext:
    """The signers by their places in the charter, with the public shares that key generation gave *us*."""
    if any(number >= len(group.members) for number in numbers):
        raise ValueError("a signer is not in the charter")
    return signing.SignersContext(
        n=len(group.members),
        t=group.threshold,
        ids=list(numbers),
        pubshares=[share.output.pubshares[number] for number in numbers],
        thresh_pk=share.output.thresh_pk,
    )


def _shares(session: _Session, ask: AskShares) -> list[bytes]:
    share, sighashes = session.share, session.unsigned.sighashes
    if len(ask.nonces) != len(sighashes):
        raise ValueError("there is one aggregate nonce per input")
    signers, secret = signers_context(session.group, share, ask.signers), share.output.secshare
    if secret is None:
        raise ValueError("this member holds no share")
    # The treasury's key is tweaked as BIP341 asks, and in no other way.
    sessions = [
        signing.SessionContext(signers, aggregate, sighash, [share.tweak], [True])
        for aggregate, sighash in zip(ask.nonces, sighashes, strict=True)
    ]
    return [
        signing.sign(nonce, secret, share.number, each) for nonce, each in zip(session.nonces, sessions, strict=True)
    ]


def _judge_and_promise(
    tx: Transaction, group: Charter, asked: Payment, raw: bytes, account: Account
) -> UnsignedPayment:
    unsigned = policy.judge(tx.db, group, asked, raw, account, tx.identity.public_key, tx.now)
    policy.record_promise(tx.db, asked, unsigned, tx.now, policy.SESSION_LEASE)
    return unsigned


def _judge_again(tx: Transaction, session: _Session) -> None:
    """Votes, forks and blocks may have come since the commitment."""
    policy.check_approved(tx.db, session.group, session.asked, tx.identity.public_key, tx.now)
    policy.check_promises(tx.db, session.asked, session.unsigned, tx.now)
    policy.record_promise(tx.db, session.asked, session.unsigned, tx.now, policy.SIGNED_LEASE)
