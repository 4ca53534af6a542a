"""A dealer's one message of a resharing: commitments to its polynomial, and one encrypted value for each receiver.

The first commitment must be the dealer's weight times its known public share, so nobody can deal anything but its
share. The values are encrypted to the host keys of the receivers; the dealer signs all with its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES, schnorr_sign, schnorr_verify
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.errors import FaultyParticipantError, RandomnessError
from overlay.dao.frost.group import POINT_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.params import host_secret
from overlay.dao.frost.pedpop_message import SCALAR_BYTES
from overlay.dao.frost.resharing_plan import Resharing
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.wire import Reader, count_bytes

RANDOM_BYTES: Final = 32
_DEAL_TAG: Final = "counterfoil/resharing/deal"


@dataclass(frozen=True, slots=True)
class Deal:
    """What a deal says, once it has been checked."""

    commitment: tuple[bytes, ...]
    pubnonce: bytes
    enc_shares: tuple[bytes, ...]


def deal(resharing: Resharing, hostseckey: bytes, secshare: bytes, random: bytes) -> bytes:
    """A dealer's one message, public. `random` is 32 bytes, fresh and unpredictable.

    Raises ValueError where the key is no dealer's or the share not that of the dealer, RandomnessError for zeros.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"the randomness is {RANDOM_BYTES} bytes, not {len(random)}")
    if random == bytes(RANDOM_BYTES):
        raise RandomnessError("the randomness is all zeros")
    suite, host = resharing.suite, host_secret(hostseckey)
    dealer = _dealer_of(resharing, host.point().to_bytes())
    if suite.base_mul(suite.check_scalar(secshare)) != resharing.old.pubshares[dealer]:
        raise ValueError("the secret share is not that of this dealer")
    seed = tagged_hash("counterfoil/resharing/seed", hostseckey, random, secshare, resharing.context)
    constant = suite.scalar_mul(resharing.weights[resharing.dealers.index(dealer)], secshare)
    others = (suite.hash_to_scalar("resharing coefficient", seed, count_bytes(j)) for j in range(1, resharing.new.t))
    polynomial = (constant, *others)
    secnonce = Secret.from_hash(tagged_hash("counterfoil/resharing/nonce", seed))
    pubnonce = secnonce.point().to_bytes()
    enc_shares = (
        suite.scalar_add(_value(suite, polynomial, receiver), _pad(resharing, receiver, secnonce.ecdh(key), pubnonce))
        for receiver, key in enumerate(map(Point.parse, resharing.new.hostpubkeys))
    )
    body = b"".join((*map(suite.base_mul, polynomial), pubnonce, *enc_shares))
    aux = tagged_hash("counterfoil/resharing/aux", seed)
    return body + schnorr_sign(_signed(resharing, dealer, body), hostseckey, aux)


def check(resharing: Resharing, dealer: int, raw: bytes) -> None:
    """What anybody can check of a deal; raises FaultyParticipantError(dealer)."""
    parse(resharing, dealer, raw)


def parse(resharing: Resharing, dealer: int, raw: bytes) -> Deal:
    """Read one message of a dealer; raises FaultyParticipantError(dealer)."""
    suite, new = resharing.suite, resharing.new
    if len(raw) != resharing.deal_bytes:
        raise FaultyParticipantError(dealer, f"its deal is {len(raw)} bytes long instead of {resharing.deal_bytes}")
    body, sig = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    if not schnorr_verify(_signed(resharing, dealer, body), resharing.old.hostpubkeys[dealer][1:], sig):
        raise FaultyParticipantError(dealer, "the signature about its deal is invalid")
    reader = Reader(body, len(body))
    try:
        commitment = tuple(map(suite.check_element, reader.chunks(new.t, suite.element_bytes)))
        pubnonce = Point.parse(reader.take(POINT_BYTES)).to_bytes()
        enc_shares = tuple(map(suite.check_scalar, reader.chunks(new.n, SCALAR_BYTES)))
    except ValueError as error:
        raise FaultyParticipantError(dealer, f"its deal cannot be read: {error}") from error
    weight = resharing.weights[resharing.dealers.index(dealer)]
    if commitment[0] != suite.element_mul(weight, resharing.old.pubshares[dealer]):
        raise FaultyParticipantError(dealer, "it dealt something else than its share")
    return Deal(commitment, pubnonce, enc_shares)


def decrypt(resharing: Resharing, number: int, host: Secret, deal_: Deal) -> bytes:
    """The value for one receiver, who still has to compare it with the commitment."""
    shared = host.ecdh(Point.parse(deal_.pubnonce))
    pad = _pad(resharing, number, shared, deal_.pubnonce)
    return resharing.suite.scalar_sub(deal_.enc_shares[number], pad)


def _dealer_of(resharing: Resharing, hostpubkey: bytes) -> int:
    for dealer in resharing.dealers:
        if resharing.old.hostpubkeys[dealer] == hostpubkey:
            return dealer
    raise ValueError("the host secret key is no dealer's")


def _signed(resharing: Resharing, dealer: int, body: bytes) -> bytes:
    return tagged_hash(_DEAL_TAG, resharing.context, count_bytes(dealer), body)


def _value(suite: Arithmetic, polynomial: Sequence[bytes], receiver: int) -> bytes:
    x, value = suite.scalar(receiver + 1), polynomial[-1]
    for coefficient in reversed(polynomial[:-1]):
        value = suite.scalar_add(suite.scalar_mul(value, x), coefficient)
    return value


def _pad(resharing: Resharing, receiver: int, shared: bytes, pubnonce: bytes) -> bytes:
    enckey = resharing.new.hostpubkeys[receiver]
    bound = count_bytes(receiver) + resharing.context
    return resharing.suite.hash_to_scalar("resharing pad", shared, pubnonce, enckey, bound)
