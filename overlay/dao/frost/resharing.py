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
from overlay.dao.frost.bip340 import SIGNATURE_BYTES
from overlay.dao.frost.certeq import Certificate
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.errors import FaultyParticipantError, MsgParseError, RecoveryDataError, SessionParamsError
from overlay.dao.frost.params import host_secret
from overlay.dao.frost.pedpop_message import evaluate
from overlay.dao.frost.resharing_deal import Deal, decrypt, parse
from overlay.dao.frost.resharing_plan import CONTEXT_BYTES, Holders, Resharing, deal_bytes
from overlay.dao.frost.wire import COUNT_BYTES, Reader, count_bytes

CERTIFICATE: Final = "counterfoil resharing certificate"


@dataclass(frozen=True, slots=True)
class NewShare:
    """What a new participant holds: its secret share, and what everybody knows."""

    number: int
    secshare: bytes = field(repr=False)
    public_key: bytes
    pubshares: tuple[bytes, ...]


def receive(resharing: Resharing, hostseckey: bytes, deals: Sequence[bytes]) -> NewShare:
    """The new share, out of the deals in the order of the dealers.

    Raises FaultyParticipantError(dealer), an old participant, who is certainly at fault; HostSeckeyError, ValueError.
    """
    if len(deals) != len(resharing.dealers):
        raise ValueError(f"there are {len(resharing.dealers)} dealers but {len(deals)} deals")
    host, suite = host_secret(hostseckey), resharing.suite
    number = resharing.new.participant_of(host.point().to_bytes())
    parsed = [parse(resharing, dealer, raw) for dealer, raw in zip(resharing.dealers, deals, strict=True)]
    shares = []
    for dealer, each in zip(resharing.dealers, parsed, strict=True):
        share = decrypt(resharing, number, host, each)
        if suite.base_mul(share) != evaluate(suite, each.commitment, number):
            raise FaultyParticipantError(dealer, "the value that it dealt does not match its commitment")
        shares.append(share)
    return _summed(resharing, number, parsed, shares)


def public_of(resharing: Resharing, deals: Sequence[bytes]) -> Holders:
    """What everybody knows of the new holders; raises as `receive`, without seeing what is encrypted."""
    parsed = [parse(resharing, dealer, raw) for dealer, raw in zip(resharing.dealers, deals, strict=True)]
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
    size, head = deal_bytes(suite, t, n), (4 + k) * COUNT_BYTES + CONTEXT_BYTES
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


def _transcript(resharing: Resharing, deals: Sequence[bytes]) -> bytes:
    """What all new participants certify: counts, dealers, the context (32 bytes), the deals."""
    counts = (resharing.new.t, resharing.new.n, len(resharing.dealers), len(resharing.old.pubshares))
    return b"".join((*map(count_bytes, (*counts, *resharing.dealers)), resharing.context, *deals))


def _summed(resharing: Resharing, number: int, deals: Sequence[Deal], shares: Sequence[bytes]) -> NewShare:
    secshare = reduce(resharing.suite.scalar_add, shares)
    return NewShare(number, secshare, resharing.old.public_key, _pubshares(resharing, deals))


def _pubshares(resharing: Resharing, deals: Sequence[Deal]) -> tuple[bytes, ...]:
    suite = resharing.suite
    columns = zip(*(each.commitment for each in deals), strict=True)
    commitment = [reduce(suite.element_add, column) for column in columns]
    if commitment[0] != resharing.old.public_key:
        raise ValueError("the old public shares are not those of the old key")
    pubshares = tuple(evaluate(suite, commitment, participant) for participant in range(resharing.new.n))
    if suite.identity in pubshares:
        raise SessionParamsError("a new public share is the identity: deal again")
    return pubshares
