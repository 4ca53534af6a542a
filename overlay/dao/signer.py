"""The signer's side of a payment: judge, promise, commit to nonces, give a share once (BIP-445; DESIGN 7).

Nonces live in this object's memory only: a restart voids them, and a session signs once or not at all. The promise
of one transaction per proposal is on disk before a nonce commitment leaves, so that no two coordinators, and no
restart, can make this node sign two payments for one approval.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from overlay.dao import custody, policy
from overlay.dao.bitcoin import taproot
from overlay.dao.bitcoin.backend import BackendError, ChainBackend
from overlay.dao.bitcoin.payment import Coin, UnsignedPayment
from overlay.dao.custody import Share
from overlay.dao.frost import signing
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.nonces import SecretNonce
from overlay.dao.groups import Charter, Payment, charter, payment
from overlay.dao.messages import AskCommitments, AskPromise, AskShares, Commitments, Promise, SignatureShares
from overlay.dao.policy import Violation
from overlay.keys import PublicKey
from overlay.network.messages import decode, encode
from overlay.network.network import Network, Refusal
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction

log = logging.getLogger(__name__)

PROMISE, COMMIT, SIGN = "sign.promise", "sign.commit", "sign.share"
# Sessions with unused nonces kept in memory: a coordinator that comes to nothing leaves one behind per try.
MAX_SESSIONS = 64


@dataclass(slots=True)
class _Session:
    """One judged transaction and the nonces that may sign it, once."""

    coordinator: PublicKey
    group: Charter
    asked: Payment
    unsigned: UnsignedPayment
    share: Share
    nonces: list[SecretNonce]


def script_of(share: Share) -> bytes:
    """The treasury's scriptPubKey: taproot, key path only."""
    return taproot.script_pubkey(taproot.output_key(share.internal_key).key)


class Signer:
    """Answers coordinators. `backend` None means that this node cannot see the chain, and so signs nothing."""

    def __init__(self, ledger: Ledger, network: Network, backend: ChainBackend | None) -> None:
        self._ledger, self._backend = ledger, backend
        self._sessions: dict[bytes, _Session] = {}
        network.serve(PROMISE, self.tell_promise)
        network.serve(COMMIT, self.commit)
        network.serve(SIGN, self.sign)

    async def tell_promise(self, peer: PublicKey, payload: bytes) -> bytes:
        ask = decode(payload, AskPromise)
        self._common_group(peer, ask.proposal)
        return encode(Promise(policy.promise(self._ledger.db, ask.proposal) or b""))

    async def commit(self, peer: PublicKey, payload: bytes) -> bytes:
        """Judge a transaction and commit to one nonce per input. Raises Refusal with what is wrong."""
        ask = decode(payload, AskCommitments)
        group, asked = self._common_group(peer, ask.proposal)
        share = custody.share_of(self._ledger.db, self._ledger.identity, group)
        if share is None or self._backend is None:
            raise Refusal("this member holds no share, or sees no Bitcoin node")
        if ask.session in self._sessions:
            raise Refusal("a signing session has a fresh number")
        try:
            coins = await self._backend.coins(script_of(share))
            unsigned = await self._ledger.transact(
                lambda tx: _judge_and_promise(tx, group, asked, ask.transaction, coins, script_of(share))
            )
        except (BackendError, Violation, SigningRefused) as error:
            raise Refusal(str(error)) from error
        nonces = [self._nonce(share, unsigned, index, ask.session) for index in range(len(unsigned.coins))]
        self._remember(ask.session, _Session(peer, group, asked, unsigned, share, [secret for secret, _ in nonces]))
        return encode(Commitments(tuple(public for _, public in nonces)))

    async def sign(self, peer: PublicKey, payload: bytes) -> bytes:
        """Give signature shares with the nonces of a session, which is then gone, whatever happens."""
        ask = decode(payload, AskShares)
        session = self._sessions.pop(ask.session, None)
        if session is None or session.coordinator != peer:
            raise Refusal("this member knows no such signing session; begin again")
        try:
            policy.check_approved(self._ledger.db, session.group, session.asked, self._ledger.clock.now())
            return encode(SignatureShares(tuple(self._shares(session, ask))))
        except (Violation, ValueError, InvalidContributionError) as error:
            raise Refusal(f"no share is given: {error}") from error
        finally:
            for nonce in session.nonces:
                nonce.void()

    def _shares(self, session: _Session, ask: AskShares) -> list[bytes]:
        share, sighashes = session.share, session.unsigned.sighashes
        if len(ask.nonces) != len(sighashes):
            raise ValueError("there is one aggregate nonce per input")
        signers = signers_context(session.group, share, ask.signers)
        secret = share.output.secshare
        if secret is None:
            raise ValueError("this member holds no share")
        return [
            signing.sign(nonce, secret, share.number, signing_session(signers, share, aggregate, sighash))
            for nonce, aggregate, sighash in zip(session.nonces, ask.nonces, sighashes, strict=True)
        ]

    def _nonce(self, share: Share, unsigned: UnsignedPayment, index: int, session: bytes) -> tuple[SecretNonce, bytes]:
        return signing.nonce_gen(
            self._ledger.random.bytes(32),
            share.output.secshare,
            share.output.pubshares[share.number],
            taproot.output_key(share.internal_key).key,
            unsigned.sighashes[index],
            session + index.to_bytes(2, "big"),
        )

    def _remember(self, number: bytes, session: _Session) -> None:
        while len(self._sessions) >= MAX_SESSIONS:
            oldest = self._sessions.pop(next(iter(self._sessions)))
            for nonce in oldest.nonces:
                nonce.void()
        self._sessions[number] = session

    def _common_group(self, peer: PublicKey, proposal: bytes) -> tuple[Charter, Payment]:
        asked = payment(self._ledger.db, proposal)
        group = charter(self._ledger.db, asked.group) if asked else None
        me = self._ledger.identity.public_key
        if asked is None or group is None or asked.proposer not in group.members:
            raise Refusal("this member knows no such proposal")
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


def signing_session(
    signers: signing.SignersContext, share: Share, aggregate: bytes, sighash: bytes
) -> signing.SessionContext:
    """One input's session: the treasury's key is tweaked as BIP341 asks, nothing else."""
    return signing.SessionContext(signers, aggregate, sighash, [share.tweak], [True])


def _judge_and_promise(
    tx: Transaction, group: Charter, asked: Payment, raw: bytes, coins: Sequence[Coin], script: bytes
) -> UnsignedPayment:
    unsigned = policy.judge(tx.db, group, asked, raw, coins, script, tx.now)
    policy.record_promise(tx.db, asked, unsigned)
    return unsigned
