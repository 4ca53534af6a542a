"""FROST of RFC 9591 over any of its ciphersuites: the ledger key of a group signs plain Ed25519 with it.

Participants are numbered 0..n-1 as everywhere in this package; the RFC's identifier of participant i is i + 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from overlay.dao.frost.ciphersuite import Ciphersuite
from overlay.dao.frost.coordinator import Coordinator
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.onetime import OneTime
from overlay.dao.frost.scalars import interpolating_values

RAND_BYTES: Final = 64


class SigningNonces(OneTime[tuple[bytes, bytes]]):
    """The hiding and the binding nonce of one signature."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class GroupKey:
    """A t-of-n key: its public key, and the public key of each participant's share. Raises ValueError.

    That the pubshares belong to the key is for key generation to make sure (`pedpop`).
    """

    suite: Ciphersuite
    t: int
    public_key: bytes
    pubshares: Sequence[bytes]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pubshares", tuple(self.pubshares))
        if not 1 <= self.t <= len(self.pubshares):
            raise ValueError(f"a threshold of {self.t} does not fit {len(self.pubshares)} participants")
        for element in (self.public_key, *self.pubshares):
            self.suite.check_element(element)


def commit(suite: Ciphersuite, secshare: bytes, rand: bytes) -> tuple[SigningNonces, bytes]:
    """Round one (section 5.1): nonces for one signature, and the commitment to them (two elements) for all to see.

    `rand` is 64 bytes of fresh, unpredictable randomness. Raises ValueError for a wrong length or an invalid share.
    """
    if len(rand) != RAND_BYTES:
        raise ValueError(f"the randomness of two nonces is {RAND_BYTES} bytes, not {len(rand)}")
    suite.check_scalar(secshare)
    hiding, binding = suite.h3(rand[:32] + secshare), suite.h3(rand[32:] + secshare)
    return SigningNonces((hiding, binding)), suite.base_mul(hiding) + suite.base_mul(binding)


@dataclass(frozen=True, slots=True)
class Session:
    """What is signed, by whom and with which commitments (in the order of `ids`); the same for all who take part.

    Raises ValueError for a wrong set of signers, InvalidContributionError(index, "commitment") for a bad commitment.
    """

    key: GroupKey
    ids: Sequence[int]
    commitments: Sequence[bytes]
    msg: bytes
    nonces: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    factors: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    weights: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    R: bytes = field(init=False, repr=False, compare=False)
    challenge: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        suite, ids = self.key.suite, tuple(self.ids)
        _check_ids(ids, self.key)
        pairs = _parse_commitments(suite, ids, self.commitments)
        factors = _binding_factors(self.key, ids, pairs, self.msg)
        nonces = tuple(
            suite.element_add(hiding, suite.element_mul(factor, binding))
            for (hiding, binding), factor in zip(pairs, factors, strict=True)
        )
        R = reduce(suite.element_add, nonces)
        weights = interpolating_values([participant + 1 for participant in ids], suite.order)
        values = {
            "ids": ids,
            "commitments": tuple(self.commitments),
            "nonces": nonces,
            "factors": factors,
            "weights": tuple(map(suite.scalar, weights)),
            "R": R,
            "challenge": suite.h2(R + self.key.public_key + self.msg),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def share_factor(self, index: int) -> bytes:
        """What the share of the signer at `index` is multiplied with: challenge * lambda."""
        return self.key.suite.scalar_mul(self.challenge, self.weights[index])

    def verify_share(self, index: int, share: bytes) -> bool:
        """Whether `share`, any bytes, is the signature share of the signer at `index` (section 5.4)."""
        suite = self.key.suite
        try:
            left = suite.base_mul(suite.check_scalar(share))
        except ValueError:
            return False
        pubshare = self.key.pubshares[self.ids[index]]
        return left == suite.element_add(self.nonces[index], suite.element_mul(self.share_factor(index), pubshare))


def sign(nonces: SigningNonces, secshare: bytes, participant: int, session: Session) -> bytes:
    """Round two (section 5.2): this participant's signature share, a scalar; `nonces` are void afterwards.

    Raises NonceUsedError where they have been used, ValueError where the participant is no signer, or share or
    nonces are not those of the session.
    """
    hiding, binding = nonces.take()
    suite = session.key.suite
    if participant not in session.ids:
        raise ValueError(f"participant {participant} is not one of the signers")
    index = session.ids.index(participant)
    nonce = suite.scalar_add(hiding, suite.scalar_mul(binding, session.factors[index]))
    share = suite.scalar_add(nonce, suite.scalar_mul(session.share_factor(index), suite.check_scalar(secshare)))
    if not session.verify_share(index, share):
        raise ValueError(f"the share or the nonces are not those of participant {participant} in this session")
    return share


class SessionCoordinator(Coordinator):
    """Collects signature shares and joins them to the signature of the group."""

    part = "signature share"

    def __init__(self, session: Session) -> None:
        super().__init__(len(session.ids))
        self.session: Final = session

    def verify(self, index: int, part: bytes) -> bool:
        """Whether `part` is the signature share of the signer at `index`."""
        return self.session.verify_share(index, part)

    def _join(self, parts: Sequence[bytes]) -> bytes:
        suite = self.session.key.suite
        signature = self.session.R + reduce(suite.scalar_add, parts)
        if not suite.verify(self.session.key.public_key, self.session.msg, signature):
            raise ArithmeticError("valid signature shares added up to an invalid signature")
        return signature


def _check_ids(ids: tuple[int, ...], key: GroupKey) -> None:
    if len(set(ids)) != len(ids):
        raise ValueError("a signer is listed twice")
    if len(ids) < key.t:
        raise ValueError(f"{len(ids)} signers are fewer than the threshold {key.t}")
    if not all(0 <= participant < len(key.pubshares) for participant in ids):
        raise ValueError(f"a signer is not among the {len(key.pubshares)} participants")


def _parse_commitments(
    suite: Ciphersuite, ids: tuple[int, ...], commitments: Sequence[bytes]
) -> list[tuple[bytes, bytes]]:
    if len(ids) != len(commitments):
        raise ValueError(f"there are {len(ids)} signers but {len(commitments)} commitments")
    pairs = []
    for index, raw in enumerate(commitments):
        half = suite.element_bytes
        try:
            pairs.append((suite.check_element(raw[:half]), suite.check_element(raw[half:])))
        except ValueError as error:
            raise InvalidContributionError(index, "commitment") from error
    return pairs


def _binding_factors(
    key: GroupKey, ids: tuple[int, ...], pairs: Sequence[tuple[bytes, bytes]], msg: bytes
) -> tuple[bytes, ...]:
    """One factor for each signer (section 4.4), bound to the key, the message and the sorted list of commitments."""
    suite = key.suite
    identifiers = [suite.scalar(participant + 1) for participant in ids]
    in_order = sorted(zip(ids, identifiers, pairs, strict=True))
    encoded = b"".join(identifier + hiding + binding for _, identifier, (hiding, binding) in in_order)
    prefix = key.public_key + suite.h4(msg) + suite.h5(encoded)
    return tuple(suite.h1(prefix + identifier) for identifier in identifiers)
