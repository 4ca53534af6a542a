"""Threshold signing of BIP-445 (FROST3 with BIP340 signatures): partial signatures, their check, their sum."""

from collections.abc import Sequence
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES, schnorr_verify
from overlay.dao.frost.coordinator import Coordinator
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.nonces import SecretNonce, nonce_agg, nonce_gen, parse_pubnonces, sum_nonces
from overlay.dao.frost.scalars import SCALAR_BYTES, scalar_from_bytes, scalar_to_bytes
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.session import SessionContext
from overlay.dao.frost.signers import SignersContext
from overlay.dao.frost.tweak import TweakContext

__all__ = [
    "PSIG_BYTES",
    "SIGNATURE_BYTES",
    "SecretNonce",
    "SessionContext",
    "SignersContext",
    "SigningCoordinator",
    "TweakContext",
    "nonce_agg",
    "nonce_gen",
    "partial_sig_agg",
    "partial_sig_verify",
    "sign",
]

PSIG_BYTES: Final = SCALAR_BYTES


def sign(secnonce: SecretNonce, secshare: bytes, my_id: int, session: SessionContext) -> bytes:
    """Give this participant's 32-byte partial signature, and void `secnonce` (`Sign`).

    Raises NonceUsedError where `secnonce` has been used, ValueError where `my_id` is no signer of the session or
    `secshare` (32 bytes) is not its share. The nonce is gone in either case: it is erased before anything else can
    fail.
    """
    k1, k2 = secnonce.take()
    try:
        return _sign(k1, k2, Secret(secshare), my_id, session)
    finally:
        k1.wipe()
        k2.wipe()


def _sign(k1: Secret, k2: Secret, d: Secret, my_id: int, session: SessionContext) -> bytes:
    index = session.signers.index(my_id)
    if d.point() != session.signers.points[index]:
        raise ValueError(f"the secret share is not that of participant {my_id}")
    nonce = k1.point(), k2.point()
    k = k1 + k2 * session.b
    s = (k if session.R.has_even_y() else -k) + d * session.share_factor(index)
    psig = s.to_bytes()
    if not session.verify_partial(scalar_from_bytes(psig), nonce, index):
        # A wrong result of a faulty machine could give the share away, so it is not published.
        raise ArithmeticError("the partial signature just made does not verify")
    return psig


def partial_sig_verify(
    psig: bytes,
    pubnonces: Sequence[bytes],
    signers: SignersContext,
    msg: bytes,
    index: int,
    tweaks: Sequence[bytes] = (),
    is_xonly: Sequence[bool] = (),
) -> bool:
    """Whether `psig` is what the signer at `index` owes, given the public nonces of all signers in their order.

    This makes a whole session for one answer; who checks several uses one `SigningCoordinator`.
    Raises as `SigningCoordinator` does, for everything but `psig` itself.
    """
    return SigningCoordinator(signers, pubnonces, msg, tweaks, is_xonly).verify(index, psig)


def partial_sig_agg(psigs: Sequence[bytes], session: SessionContext) -> bytes:
    """Sum the partial signatures of all signers, in their order, to the 64-byte BIP340 signature (`PartialSigAgg`).

    Raises ValueError for a wrong number of them, InvalidContributionError(index, "psig") for one that is no scalar.
    The result verifies if each of them does; it is not checked here.
    """
    if len(psigs) != len(session.signers.ids):
        raise ValueError(f"there are {len(session.signers.ids)} signers but {len(psigs)} partial signatures")
    s = session.e * session.key.sign() * session.key.tacc
    for index, psig in enumerate(psigs):
        s += _parse_psig(index, psig)
    return session.R.to_xonly() + scalar_to_bytes(s)


def _parse_psig(index: int, psig: bytes) -> int:
    try:
        return scalar_from_bytes(psig)
    except ValueError as error:
        raise InvalidContributionError(index, "psig") from error


class SigningCoordinator(Coordinator):
    """One signing session as its coordinator sees it: public nonces in, partial signatures in, signature out."""

    part = "psig"

    def __init__(
        self,
        signers: SignersContext,
        pubnonces: Sequence[bytes],
        msg: bytes,
        tweaks: Sequence[bytes] = (),
        is_xonly: Sequence[bool] = (),
    ) -> None:
        """Aggregate the nonces; raises InvalidContributionError(index, "pubnonce"), ValueError for wrong counts."""
        super().__init__(len(signers.ids))
        if len(pubnonces) != len(signers.ids):
            raise ValueError(f"there are {len(signers.ids)} signers but {len(pubnonces)} public nonces")
        self._nonces: Final = parse_pubnonces(pubnonces)
        self.session: Final = SessionContext(signers, sum_nonces(self._nonces), msg, tweaks, is_xonly)

    def verify(self, index: int, part: bytes) -> bool:
        """Whether `part` is the partial signature that the signer at `index` owes (`PartialSigVerify`)."""
        try:
            s = scalar_from_bytes(part)
        except ValueError:
            return False
        return self.session.verify_partial(s, self._nonces[index], index)

    def _join(self, parts: Sequence[bytes]) -> bytes:
        signature = partial_sig_agg(parts, self.session)
        if not schnorr_verify(self.session.msg, self.session.key.get_xonly_pubkey(), signature):
            raise ArithmeticError("valid partial signatures added up to an invalid signature")
        return signature
