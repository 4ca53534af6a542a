"""Resharing: holders of a key deal it anew to other participants, with another threshold; the key stays the same.

Verifiable secret redistribution (Desmedt, Jajodia 1997; Wong, Wang, Wing 2002) between host keys. Each of `t` or more
*dealers* shares its own share, times its Lagrange coefficient, by a new polynomial: Feldman commitments for all, and
one value encrypted to the host key of each new participant. The first commitment must be that multiple of the dealer's
known public share, so nobody can deal anything but its share; that all add up to the old key follows, and no proof of
possession is needed. The sum of what one receives is its new share.

A dealer signs its deal with its host key, so whoever finds a wrong value in it knows the culprit for certain, whoever
relayed it. All new participants certify that they hold the same deals; deals and certificate are the public recovery
data. Old shares sign as before until everybody has forgotten them: see docs/treasury.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from overlay.dao.frost import certeq
from overlay.dao.frost.bip340 import SIGNATURE_BYTES, schnorr_sign, schnorr_verify
from overlay.dao.frost.certeq import Certificate
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.errors import (
    FaultyParticipantError,
    MsgParseError,
    RandomnessError,
    RecoveryDataError,
    SessionParamsError,
)
from overlay.dao.frost.group import POINT_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.params import SessionParams, host_secret, params_hash
from overlay.dao.frost.pedpop_message import SCALAR_BYTES, evaluate
from overlay.dao.frost.scalars import interpolating_values
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.wire import COUNT_BYTES, Reader, count_bytes

RANDOM_BYTES: Final = 32
CERTIFICATE: Final = "counterfoil resharing certificate"
_DEAL_TAG: Final = "counterfoil/resharing/deal"


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a key so far: its public key, the public shares, and the host keys (33 bytes), all by participant."""

    t: int
    public_key: bytes
    pubshares: tuple[bytes, ...]
    hostpubkeys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Resharing:
    """What all who take part agree on: from whom, which of them deal, and to whom. Raises ValueError."""

    suite: Arithmetic
    old: Holders
    dealers: tuple[int, ...]
    new: SessionParams
    weights: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    context: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        old, dealers = self.old, self.dealers
        if len(set(dealers)) != len(dealers) or not all(0 <= dealer < len(old.pubshares) for dealer in dealers):
            raise ValueError("dealers are different participants of the old key")
        if len(dealers) < old.t:
            raise ValueError(f"{len(dealers)} dealers are fewer than the threshold {old.t}")
        weights = interpolating_values([dealer + 1 for dealer in dealers], self.suite.order)
        object.__setattr__(self, "weights", tuple(map(self.suite.scalar, weights)))
        object.__setattr__(self, "context", self._context())

    def _context(self) -> bytes:
        who = b"".join(map(count_bytes, (self.old.t, len(self.old.pubshares), len(self.dealers), *self.dealers)))
        keys = (self.old.public_key, *self.old.pubshares, *self.old.hostpubkeys)
        return tagged_hash("counterfoil/resharing/context", who, *keys, params_hash(self.new))

    @property
    def deal_bytes(self) -> int:
        """The length of one deal."""
        return _deal_bytes(self.suite, self.new.t, self.new.n)


@dataclass(frozen=True, slots=True)
class NewShare:
    """What a new participant holds: its secret share, and what everybody knows."""

    number: int
    secshare: bytes = field(repr=False)
    public_key: bytes
    pubshares: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Deal:
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
    _parse(resharing, dealer, raw)


def receive(resharing: Resharing, hostseckey: bytes, deals: Sequence[bytes]) -> NewShare:
    """The new share, out of the deals in the order of the dealers.

    Raises FaultyParticipantError(dealer), an old participant, who is certainly at fault; HostSeckeyError, ValueError.
    """
    if len(deals) != len(resharing.dealers):
        raise ValueError(f"there are {len(resharing.dealers)} dealers but {len(deals)} deals")
    host, suite = host_secret(hostseckey), resharing.suite
    number = resharing.new.participant_of(host.point().to_bytes())
    parsed = [_parse(resharing, dealer, raw) for dealer, raw in zip(resharing.dealers, deals, strict=True)]
    shares = []
    for dealer, each in zip(resharing.dealers, parsed, strict=True):
        share = _decrypt(resharing, number, host, each)
        if suite.base_mul(share) != evaluate(suite, each.commitment, number):
            raise FaultyParticipantError(dealer, "the value that it dealt does not match its commitment")
        shares.append(share)
    return _summed(resharing, number, parsed, shares)


def public_of(resharing: Resharing, deals: Sequence[bytes]) -> Holders:
    """What everybody knows of the new holders; raises as `receive`, without seeing what is encrypted."""
    parsed = [_parse(resharing, dealer, raw) for dealer, raw in zip(resharing.dealers, deals, strict=True)]
    new = resharing.new
    return Holders(new.t, resharing.old.public_key, _pubshares(resharing, parsed), tuple(new.hostpubkeys))


def certify(resharing: Resharing, hostseckey: bytes, deals: Sequence[bytes], aux_rand: bytes) -> bytes:
    """Receive, and sign (64 bytes) that these are the deals. Raises as `receive`."""
    number = receive(resharing, hostseckey, deals).number
    return certeq.sign(CERTIFICATE, hostseckey, number, _transcript(resharing, deals), aux_rand).to_bytes()


def finalize(resharing: Resharing, deals: Sequence[bytes], sigs: Sequence[bytes]) -> bytes:
    """The public recovery data, once all new participants have certified.

    Raises FaultyParticipantError with the number of a *new* participant whose signature is invalid.
    """
    transcript, cert = _transcript(resharing, deals), Certificate(tuple(sigs))
    if len(sigs) != resharing.new.n or any(len(sig) != SIGNATURE_BYTES for sig in sigs):
        raise ValueError("a certificate has one signature of 64 bytes for each new participant")
    if (culprit := cert.first_invalid(CERTIFICATE, resharing.new.hostpubkeys, transcript)) is not None:
        raise FaultyParticipantError(culprit, "the signature about the deals is invalid")
    return transcript + cert.to_bytes()


def recover(resharing: Resharing, hostseckey: bytes, recovery: bytes) -> NewShare:
    """A new participant's share out of the public recovery data, from anyone. Raises RecoveryDataError, ValueError."""
    deals, cert = split_recovery(resharing.suite, recovery)
    transcript = recovery[: len(recovery) - len(cert.to_bytes())]
    if transcript != _transcript(resharing, deals):
        raise RecoveryDataError("the recovery data is of another resharing")
    if cert.first_invalid(CERTIFICATE, resharing.new.hostpubkeys, transcript) is not None:
        raise RecoveryDataError("the certificate in the recovery data is invalid")
    try:
        return receive(resharing, hostseckey, deals)
    except FaultyParticipantError as error:
        raise RecoveryDataError("the recovery data makes no key, though it is certified") from error


def dealers_of(recovery: bytes) -> tuple[int, ...]:
    """Who dealt, by old numbers, as recovery data says; raises RecoveryDataError for data that is too short."""
    counts = _counts(recovery)
    places = range(4 * COUNT_BYTES, (4 + counts[2]) * COUNT_BYTES, COUNT_BYTES)
    return tuple(int.from_bytes(recovery[at : at + COUNT_BYTES], "big") for at in places)


def split_recovery(suite: Arithmetic, recovery: bytes) -> tuple[tuple[bytes, ...], Certificate]:
    """Deals and certificate; raises RecoveryDataError."""
    t, n, k, _ = _counts(recovery)
    size, head = _deal_bytes(suite, t, n), (4 + k) * COUNT_BYTES + RANDOM_BYTES
    try:
        reader = Reader(recovery, head + k * size + Certificate.len_bytes(n))
    except MsgParseError as error:
        raise RecoveryDataError(f"recovery data cannot be read: {error}") from error
    reader.take(head)
    return reader.chunks(k, size), Certificate(reader.chunks(n, SIGNATURE_BYTES))


def _counts(recovery: bytes) -> tuple[int, int, int, int]:
    head = recovery[: 4 * COUNT_BYTES]
    if len(head) < 4 * COUNT_BYTES:
        raise RecoveryDataError("recovery data cannot be read: it is too short")
    t, n, k, old = (int.from_bytes(head[at : at + COUNT_BYTES], "big") for at in range(0, len(head), COUNT_BYTES))
    if (4 + k) * COUNT_BYTES > len(recovery):
        raise RecoveryDataError("recovery data cannot be read: it is too short")
    return t, n, k, old


def _deal_bytes(suite: Arithmetic, t: int, n: int) -> int:
    return suite.element_bytes * t + POINT_BYTES + SCALAR_BYTES * n + SIGNATURE_BYTES


def _transcript(resharing: Resharing, deals: Sequence[bytes]) -> bytes:
    """What all new participants certify: counts, dealers, the context (32 bytes), the deals."""
    counts = (resharing.new.t, resharing.new.n, len(resharing.dealers), len(resharing.old.pubshares))
    return b"".join((*map(count_bytes, (*counts, *resharing.dealers)), resharing.context, *deals))


def _dealer_of(resharing: Resharing, hostpubkey: bytes) -> int:
    for dealer in resharing.dealers:
        if resharing.old.hostpubkeys[dealer] == hostpubkey:
            return dealer
    raise ValueError("the host secret key is no dealer's")


def _signed(resharing: Resharing, dealer: int, body: bytes) -> bytes:
    return tagged_hash(_DEAL_TAG, resharing.context, count_bytes(dealer), body)


def _parse(resharing: Resharing, dealer: int, raw: bytes) -> _Deal:
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
    return _Deal(commitment, pubnonce, enc_shares)


def _summed(resharing: Resharing, number: int, deals: Sequence[_Deal], shares: Sequence[bytes]) -> NewShare:
    secshare = reduce(resharing.suite.scalar_add, shares)
    return NewShare(number, secshare, resharing.old.public_key, _pubshares(resharing, deals))


def _pubshares(resharing: Resharing, deals: Sequence[_Deal]) -> tuple[bytes, ...]:
    suite = resharing.suite
    columns = zip(*(each.commitment for each in deals), strict=True)
    commitment = [reduce(suite.element_add, column) for column in columns]
    if commitment[0] != resharing.old.public_key:
        raise ValueError("the old public shares are not those of the old key")
    pubshares = tuple(evaluate(suite, commitment, participant) for participant in range(resharing.new.n))
    if suite.identity in pubshares:
        raise SessionParamsError("a new public share is the identity: deal again")
    return pubshares


def _value(suite: Arithmetic, polynomial: Sequence[bytes], receiver: int) -> bytes:
    x, value = suite.scalar(receiver + 1), polynomial[-1]
    for coefficient in reversed(polynomial[:-1]):
        value = suite.scalar_add(suite.scalar_mul(value, x), coefficient)
    return value


def _decrypt(resharing: Resharing, number: int, host: Secret, deal_: _Deal) -> bytes:
    shared = host.ecdh(Point.parse(deal_.pubnonce))
    pad = _pad(resharing, number, shared, deal_.pubnonce)
    return resharing.suite.scalar_sub(deal_.enc_shares[number], pad)


def _pad(resharing: Resharing, receiver: int, shared: bytes, pubnonce: bytes) -> bytes:
    enckey = resharing.new.hostpubkeys[receiver]
    bound = count_bytes(receiver) + resharing.context
    return resharing.suite.hash_to_scalar("resharing pad", shared, pubnonce, enckey, bound)
