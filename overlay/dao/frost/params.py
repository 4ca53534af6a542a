"""Host keys and session parameters of ChillDKG: who takes part in which order, and the threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from overlay.dao.frost.errors import (
    DuplicateHostPubkeyError,
    HostSeckeyError,
    InvalidHostPubkeyError,
    ThresholdOrCountError,
)
from overlay.dao.frost.group import Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.signers import MAX_PARTICIPANTS
from overlay.dao.frost.vss import BIP_TAG
from overlay.dao.frost.wire import count_bytes

HOSTSECKEY_BYTES: Final = 32


def host_secret(hostseckey: bytes) -> Secret:
    """Take a 32-byte host secret key; raises ValueError for another length, HostSeckeyError out of range."""
    if len(hostseckey) != HOSTSECKEY_BYTES:
        raise ValueError(f"a host secret key is {HOSTSECKEY_BYTES} bytes, not {len(hostseckey)}")
    try:
        return Secret(hostseckey)
    except ValueError as error:
        raise HostSeckeyError("the host secret key is out of range") from error


def hostpubkey_gen(hostseckey: bytes) -> bytes:
    """The 33-byte host public key of a 32-byte host secret key; raises as `host_secret`.

    The secret key is long-term: with the public recovery data it restores every share of its owner, so it must be
    unpredictable, and kept for as long as any key made with it is in use.
    """
    return host_secret(hostseckey).point().to_bytes()


@dataclass(frozen=True, slots=True)
class SessionParams:
    """The ordered 33-byte host public keys of all participants and the threshold t; checked when it is made.

    A participant's number is its place in `hostpubkeys`. Everyone must have authentic copies: compare `params_hash`.
    Raises ThresholdOrCountError, InvalidHostPubkeyError or DuplicateHostPubkeyError.
    """

    hostpubkeys: Sequence[bytes]
    t: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "hostpubkeys", tuple(self.hostpubkeys))
        if not 1 <= self.t <= self.n <= MAX_PARTICIPANTS:
            raise ThresholdOrCountError(f"a threshold of {self.t} does not fit {self.n} participants")
        _check_points(self.hostpubkeys)
        _check_distinct(self.hostpubkeys)

    @property
    def n(self) -> int:
        return len(self.hostpubkeys)

    def participant_of(self, hostpubkey: bytes) -> int:
        """Whose key this is; raises HostSeckeyError where it is nobody's."""
        try:
            return self.hostpubkeys.index(hostpubkey)
        except ValueError as error:
            raise HostSeckeyError("the host secret key matches none of the host public keys") from error


def params_hash(params: SessionParams) -> bytes:
    """32 bytes that are equal exactly where threshold and host public keys are: for comparison out of band."""
    return tagged_hash(BIP_TAG + "params_hash", count_bytes(params.t), *params.hostpubkeys)


def _check_points(hostpubkeys: Sequence[bytes]) -> None:
    for participant, hostpubkey in enumerate(hostpubkeys):
        try:
            Point.parse(hostpubkey)
        except ValueError as error:
            raise InvalidHostPubkeyError(participant) from error


def _check_distinct(hostpubkeys: Sequence[bytes]) -> None:
    seen: dict[bytes, int] = {}
    for participant, hostpubkey in enumerate(hostpubkeys):
        if hostpubkey in seen:
            raise DuplicateHostPubkeyError(seen[hostpubkey], participant)
        seen[hostpubkey] = participant
