"""Nonces of BIP-445: secret nonces that sign exactly once, public nonces and their aggregate."""

from collections.abc import Iterable, Sequence
from typing import Final

from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.group import POINT_BYTES, XONLY_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash, xor_bytes
from overlay.dao.frost.onetime import OneTime
from overlay.dao.frost.scalars import SCALAR_BYTES
from overlay.dao.frost.secret import Secret

PUBNONCE_BYTES: Final = 2 * POINT_BYTES
RAND_BYTES: Final = 32


class SecretNonce(OneTime[tuple[Secret, Secret]]):
    """The two secret scalars of one signature. Whoever takes them wipes them after use."""

    __slots__ = ()

    def void(self) -> None:
        """Give up the nonce unused: it is erased and will never sign."""
        for scalars in self._held:
            for scalar in scalars:
                scalar.wipe()
        super().void()


def nonce_gen(
    rand: bytes,
    secshare: bytes | None = None,
    pubshare: bytes | None = None,
    thresh_pk: bytes | None = None,
    msg: bytes | None = None,
    extra_in: bytes | None = None,
) -> tuple[SecretNonce, bytes]:
    """Make a secret nonce and its 66-byte public nonce (`NonceGen`).

    `rand` is 32 bytes of fresh, unpredictable randomness, used for nothing else. The rest is defence in depth against
    a broken generator, and is given as far as it is known: the 32-byte secret share, the 33-byte public share, the
    32-byte x-only (tweaked) threshold public key, the message, anything that changes from session to session.
    Raises ValueError for a wrong length.
    """
    _check_lengths(rand, secshare, pubshare, thresh_pk)
    masked = rand if secshare is None else xor_bytes(secshare, tagged_hash("BIP0445/aux", rand))
    fields = b"".join(
        (
            masked,
            _prefixed(1, pubshare or b""),
            _prefixed(1, thresh_pk or b""),
            b"\x00" if msg is None else b"\x01" + _prefixed(8, msg),
            _prefixed(4, extra_in or b""),
        )
    )
    return nonce_pair("BIP0445/nonce", fields)


def nonce_pair(tag: str, fields: bytes) -> tuple[SecretNonce, bytes]:
    """The two scalars that `fields` hash to, with counters 0 and 1, and their 66-byte public nonce."""
    k1, k2 = (Secret.from_hash(tagged_hash(tag, fields, counter)) for counter in (b"\x00", b"\x01"))
    return SecretNonce((k1, k2)), k1.point().to_bytes() + k2.point().to_bytes()


def nonce_agg(pubnonces: Iterable[bytes]) -> bytes:
    """The 66-byte aggregate nonce (`NonceAgg`); raises InvalidContributionError with the index of a bad pubnonce."""
    return sum_nonces(parse_pubnonces(pubnonces))


def parse_pubnonces(pubnonces: Iterable[bytes]) -> list[tuple[Point, Point]]:
    """Both points of each public nonce; raises InvalidContributionError with the index of a bad one."""
    return [_parse_pubnonce(index, pubnonce) for index, pubnonce in enumerate(pubnonces)]


def sum_nonces(nonces: Sequence[tuple[Point, Point]]) -> bytes:
    """The two sums, 33 bytes each. Either may be infinity: the culprit shows when partial signatures are checked."""
    return Point.sum(R1 for R1, _ in nonces).to_bytes() + Point.sum(R2 for _, R2 in nonces).to_bytes()


def _parse_pubnonce(index: int, pubnonce: bytes) -> tuple[Point, Point]:
    try:
        return Point.parse(pubnonce[:POINT_BYTES]), Point.parse(pubnonce[POINT_BYTES:])
    except ValueError as error:
        raise InvalidContributionError(index, "pubnonce") from error


def _prefixed(width: int, field: bytes) -> bytes:
    return len(field).to_bytes(width, "big") + field


def _check_lengths(rand: bytes, secshare: bytes | None, pubshare: bytes | None, thresh_pk: bytes | None) -> None:
    if len(rand) != RAND_BYTES:
        raise ValueError(f"the randomness of a nonce is {RAND_BYTES} bytes, not {len(rand)}")
    for name, field, size in (
        ("secret share", secshare, SCALAR_BYTES),
        ("public share", pubshare, POINT_BYTES),
        ("x-only threshold public key", thresh_pk, XONLY_BYTES),
    ):
        if field is not None and len(field) != size:
            raise ValueError(f"the {name} is {size} bytes, not {len(field)}")
