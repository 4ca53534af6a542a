"""Schnorr signatures of BIP340 for messages of any length.

`tag_prefix` names the domain: key generation proves possession of secrets with the same scheme under tags of its own
(`BIP DKG/pop message`), so that such a proof can never pass for a signature.
"""

from typing import Final

from overlay.dao.frost.group import Point
from overlay.dao.frost.hashing import tagged_hash, xor_bytes
from overlay.dao.frost.scalars import scalar_from_bytes, scalar_from_hash
from overlay.dao.frost.secret import Secret

SIGNATURE_BYTES: Final = 64
AUX_BYTES: Final = 32
BIP340_TAG: Final = "BIP0340"


def challenge(nonce: bytes, pubkey: bytes, msg: bytes, tag_prefix: str = BIP340_TAG) -> int:
    """The scalar e of a signature; `nonce` and `pubkey` are 32-byte x coordinates."""
    return scalar_from_hash(tagged_hash(tag_prefix + "/challenge", nonce, pubkey, msg))


def pubkey_gen(seckey: bytes) -> bytes:
    """The 32-byte x-only public key of a 32-byte secret; raises ValueError for an invalid one."""
    return Secret(seckey).point().to_xonly()


def schnorr_sign(msg: bytes, seckey: bytes, aux_rand: bytes, tag_prefix: str = BIP340_TAG) -> bytes:
    """Sign `msg`: 64 bytes. Raises ValueError for an invalid secret or where `aux_rand` is not 32 bytes."""
    if len(aux_rand) != AUX_BYTES:
        raise ValueError(f"the auxiliary randomness is {AUX_BYTES} bytes, not {len(aux_rand)}")
    d, pubkey = _with_even_y(Secret(seckey))
    masked = xor_bytes(d.to_bytes(), tagged_hash(tag_prefix + "/aux", aux_rand))
    k, nonce = _with_even_y(Secret.from_hash(tagged_hash(tag_prefix + "/nonce", masked, pubkey, msg)))
    s = k + d * challenge(nonce, pubkey, msg, tag_prefix)
    signature = nonce + s.to_bytes()
    if not schnorr_verify(msg, pubkey, signature, tag_prefix):
        # A flipped bit in a faulty machine could otherwise publish an equation that gives the key away.
        raise ArithmeticError("the signature just made does not verify")
    return signature


def schnorr_verify(msg: bytes, pubkey: bytes, signature: bytes, tag_prefix: str = BIP340_TAG) -> bool:
    """Whether `signature` (64 bytes) over `msg` is by the x-only `pubkey` (32 bytes). Never raises."""
    nonce = signature[:32]
    try:
        key = Point.lift_x(pubkey)
        s = scalar_from_bytes(signature[32:])
    except ValueError:
        return False
    R = Point.generated_by(s) + -challenge(nonce, pubkey, msg, tag_prefix) * key
    # The one point of even y and x = `nonce` has this encoding; a nonce that is no x coordinate, or not 32 bytes long,
    # equals nothing.
    return R.to_bytes() == b"\x02" + nonce


def _with_even_y(scalar: Secret) -> tuple[Secret, bytes]:
    """The scalar or its negation, whichever has a point of even y, and that point's x."""
    point = scalar.point()
    return (scalar if point.has_even_y() else -scalar), point.to_xonly()
