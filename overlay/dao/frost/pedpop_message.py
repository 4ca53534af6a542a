"""The one message of PedPop: commitments, a proof of possession, and shares encrypted to the host keys of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from overlay.dao.frost.ciphersuite import Arithmetic, Ciphersuite
from overlay.dao.frost.errors import FaultyParticipantOrCoordinatorError, MsgParseError
from overlay.dao.frost.group import POINT_BYTES, Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.params import SessionParams, host_secret, params_hash
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.wire import Reader, count_bytes

SCALAR_BYTES: Final = 32
"""Of every suite in use."""


@dataclass(frozen=True, slots=True)
class ParticipantMsg:
    """Commitments to t coefficients; a proof (R, mu) of knowing the first; the encryption's nonce; n ciphertexts."""

    commitment: tuple[bytes, ...]
    pop: tuple[bytes, bytes]
    pubnonce: bytes
    enc_shares: tuple[bytes, ...]

    @staticmethod
    def len_bytes(suite: Ciphersuite, t: int, n: int) -> int:
        return suite.element_bytes * (t + 1) + SCALAR_BYTES * (n + 1) + POINT_BYTES

    @classmethod
    def from_bytes(cls, raw: bytes, suite: Ciphersuite, t: int, n: int) -> "ParticipantMsg":
        """Raises MsgParseError."""
        reader = Reader(raw, cls.len_bytes(suite, t, n))
        try:
            commitment = tuple(map(suite.check_element, reader.chunks(t, suite.element_bytes)))
            R = suite.check_element(reader.take(suite.element_bytes))
            mu = suite.check_scalar(reader.take(SCALAR_BYTES))
            pubnonce = Point.parse(reader.take(POINT_BYTES)).to_bytes()
            enc_shares = tuple(map(suite.check_scalar, reader.chunks(n, SCALAR_BYTES)))
        except ValueError as error:
            raise MsgParseError(str(error)) from error
        return cls(commitment, (R, mu), pubnonce, enc_shares)

    def to_bytes(self) -> bytes:
        return b"".join((*self.commitment, *self.pop, self.pubnonce, *self.enc_shares))


def evaluate(suite: Arithmetic, commitment: Sequence[bytes], participant: int) -> bytes:
    """The committed polynomial at participant + 1: the public share of this participant."""
    x = suite.scalar(participant + 1)
    value = suite.identity
    for element in reversed(commitment):
        value = suite.element_add(suite.element_mul(x, value), element)
    return value


@dataclass(frozen=True, slots=True)
class Member:
    """One participant of one session, who makes and reads messages."""

    suite: Ciphersuite
    deckey: Secret = field(repr=False)
    params: SessionParams
    participant: int
    context: bytes
    """32 bytes that stand for threshold and host keys in all that is hashed."""

    @classmethod
    def of(cls, suite: Ciphersuite, hostseckey: bytes, params: SessionParams) -> "Member":
        """Raises HostSeckeyError where the key is invalid or nobody's, ValueError where it is not 32 bytes."""
        deckey = host_secret(hostseckey)
        participant = params.participant_of(deckey.point().to_bytes())
        return cls(suite, deckey, params, participant, params_hash(params))

    def message(self, seed: bytes) -> ParticipantMsg:
        """The message that a secret 32-byte seed makes; a seed serves once."""
        suite = self.suite
        polynomial = [suite.hash_to_scalar("coefficient", seed, count_bytes(j)) for j in range(self.params.t)]
        commitment = tuple(map(suite.base_mul, polynomial))
        # The seed of the shares is the seed of the nonce: no pad can ever cover two different shares.
        secnonce = Secret.from_hash(tagged_hash("counterfoil/pedpop/nonce", seed))
        pubnonce = secnonce.point().to_bytes()
        enc_shares = tuple(
            suite.scalar_add(self._share(polynomial, receiver), self._pad_to(receiver, secnonce, pubnonce))
            for receiver in range(self.params.n)
        )
        return ParticipantMsg(commitment, self._prove(seed, polynomial[0]), pubnonce, enc_shares)

    def parse(self, sender: int, raw: bytes) -> ParticipantMsg:
        """A message with a valid proof; raises FaultyParticipantOrCoordinatorError."""
        return parse(self.suite, self.params, sender, raw)

    def decrypt(self, sender: int, msg: ParticipantMsg) -> bytes:
        """The share that `sender` encrypted to us, a scalar."""
        if sender == self.participant:
            pad = self._self_pad(msg.pubnonce)
        else:
            shared = self.deckey.ecdh(Point.parse(msg.pubnonce))
            pad = self._pad(self.participant, shared, msg.pubnonce)
        return self.suite.scalar_sub(msg.enc_shares[self.participant], pad)

    def _share(self, polynomial: Sequence[bytes], receiver: int) -> bytes:
        suite, x = self.suite, self.suite.scalar(receiver + 1)
        value = polynomial[-1]
        for coefficient in reversed(polynomial[:-1]):
            value = suite.scalar_add(suite.scalar_mul(value, x), coefficient)
        return value

    def _prove(self, seed: bytes, secret: bytes) -> tuple[bytes, bytes]:
        """A Schnorr proof of knowing `secret`, bound to this participant and session."""
        suite = self.suite
        k = suite.hash_to_scalar("pop nonce", seed)
        R = suite.base_mul(k)
        c = _pop_challenge(suite, self.context, self.participant, suite.base_mul(secret), R)
        return R, suite.scalar_add(k, suite.scalar_mul(secret, c))

    def _pad_to(self, receiver: int, secnonce: Secret, pubnonce: bytes) -> bytes:
        if receiver == self.participant:
            return self._self_pad(pubnonce)
        shared = secnonce.ecdh(Point.parse(self.params.hostpubkeys[receiver]))
        return self._pad(receiver, shared, pubnonce)

    def _pad(self, receiver: int, shared: bytes, pubnonce: bytes) -> bytes:
        enckey = self.params.hostpubkeys[receiver]
        return self.suite.hash_to_scalar("pad", shared, pubnonce, enckey, count_bytes(receiver), self.context)

    def _self_pad(self, pubnonce: bytes) -> bytes:
        # No key agreement with oneself is needed.
        return self.suite.hash_to_scalar("self pad", self.deckey.to_bytes(), pubnonce, self.context)


def parse(suite: Ciphersuite, params: SessionParams, sender: int, raw: bytes) -> ParticipantMsg:
    """A message with a valid proof, as anybody can check it; raises FaultyParticipantOrCoordinatorError."""
    try:
        msg = ParticipantMsg.from_bytes(raw, suite, params.t, params.n)
    except MsgParseError as error:
        raise FaultyParticipantOrCoordinatorError(sender, str(error)) from error
    (R, mu), com = msg.pop, msg.commitment[0]
    c = _pop_challenge(suite, params_hash(params), sender, com, R)
    if suite.base_mul(mu) != suite.element_add(R, suite.element_mul(c, com)):
        raise FaultyParticipantOrCoordinatorError(sender, "the proof of possession does not verify")
    return msg


def _pop_challenge(suite: Ciphersuite, context: bytes, sender: int, com: bytes, R: bytes) -> bytes:
    return suite.hash_to_scalar("pop", context, count_bytes(sender), com, R)
