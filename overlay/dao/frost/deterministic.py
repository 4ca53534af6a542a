"""Stateless signing of BIP-445 for the one signer who speaks last: the nonce follows from all that is signed."""

from collections.abc import Sequence
from typing import Final

from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.hashing import tagged_hash, xor_bytes
from overlay.dao.frost.nonces import RAND_BYTES, nonce_agg, nonce_pair
from overlay.dao.frost.session import SessionContext
from overlay.dao.frost.signers import ID_BYTES, SignersContext
from overlay.dao.frost.signing import sign
from overlay.dao.frost.tweak import TweakContext

_LENGTH_BYTES: Final = 8


def deterministic_sign(
    secshare: bytes,
    my_id: int,
    aggothernonce: bytes | None,
    signers: SignersContext,
    msg: bytes,
    tweaks: Sequence[bytes] = (),
    is_xonly: Sequence[bool] = (),
    rand: bytes | None = None,
) -> tuple[bytes, bytes]:
    """This signer's 66-byte public nonce and 32-byte partial signature (`DeterministicSign`).

    `aggothernonce` is `nonce_agg` of ALL other signers' public nonces, or None for a sole signer (u = 1). `rand`, 32
    bytes where there are any, only hardens; nothing needs to be remembered. At most one signer of a session can sign
    in this way.

    Raises ValueError as `sign` and `SessionContext` do, InvalidContributionError(None, "aggothernonce").
    """
    signers.index(my_id)
    if (aggothernonce is None) != (len(signers.ids) == 1):
        raise ValueError("the aggregate nonce of the others is needed where there are others, and only there")
    tweaked = TweakContext.after(signers.thresh_pk, tweaks, is_xonly).get_xonly_pubkey()
    fields = b"".join(
        (
            _masked(secshare, rand),
            my_id.to_bytes(ID_BYTES, "big"),
            len(signers.ids).to_bytes(ID_BYTES, "big"),
            signers.serialize_ids(),
            aggothernonce or b"",
            tweaked,
            len(msg).to_bytes(_LENGTH_BYTES, "big"),
            msg,
        )
    )
    secnonce, pubnonce = nonce_pair("BIP0445/deterministic/nonce", fields)
    session = SessionContext(signers, _with_others(pubnonce, aggothernonce), msg, tweaks, is_xonly)
    return pubnonce, sign(secnonce, secshare, my_id, session)


def _masked(secshare: bytes, rand: bytes | None) -> bytes:
    if rand is None:
        return secshare
    if len(rand) != RAND_BYTES:
        raise ValueError(f"the randomness of a nonce is {RAND_BYTES} bytes, not {len(rand)}")
    return xor_bytes(secshare, tagged_hash("BIP0445/aux", rand))


def _with_others(pubnonce: bytes, aggothernonce: bytes | None) -> bytes:
    if aggothernonce is None:
        return pubnonce
    try:
        return nonce_agg((pubnonce, aggothernonce))
    except InvalidContributionError as error:
        # Our own nonce is a point, so it is what the coordinator sent.
        raise InvalidContributionError(None, "aggothernonce") from error
