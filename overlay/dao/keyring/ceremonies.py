"""The two key generations of a group, seen alike: messages of all, certificate of all, public recovery data.

`TREASURY` is ChillDKG for the Bitcoin key, `LEDGER` PedPop for the Ed25519 key of the group's own chain; both between
the host keys that the members bound with their signatures under the charter.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from overlay.dao.assembly import shares
from overlay.dao.assembly.charters import Charter
from overlay.dao.frost import chilldkg, pedpop, pedpop_coordinator
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.ed25519 import ED25519
from overlay.dao.frost.params import SessionParams
from overlay.dao.frost.pedpop_transcript import Transcript
from overlay.dao.frost.resharing_plan import Holders
from overlay.dao.frost.secp256k1 import SECP256K1
from overlay.dao.keyring import custody, group_key, recovery_data
from overlay.keys import Identity, PublicKey
from overlay.trustchain.ledger import Transaction


class Participation(Protocol):
    """One participant between its two messages; in memory, for one use."""

    @property
    def message(self) -> bytes:
        """The first message, to the coordinator."""

    def certify(self, message: bytes, aux_rand: bytes) -> bytes:
        """Check what the coordinator sent, and sign it. Raises ProtocolError, ValueError."""


class Coordination(Protocol):
    """The coordinator between its two messages."""

    @property
    def message(self) -> bytes:
        """What goes to all."""

    def finalize(self, sigs: Sequence[bytes]) -> bytes:
        """The public recovery data. Raises ProtocolError, ValueError."""


class Ceremony(Protocol):
    """One kind of key generation; `prefix` begins the names of its services."""

    prefix: str

    def holders(self, db: sqlite3.Connection, group: Charter) -> dict[PublicKey, tuple[bytes, bytes]]:
        """Who said that it holds a share."""

    def stored(self, db: sqlite3.Connection, group: Charter) -> bytes | None:
        """The recovery data that this node keeps."""

    def begin(self, secret: bytes, params: SessionParams, random: bytes) -> Participation:
        """Take part. Raises ValueError."""

    def join(self, begun: Sequence[bytes], params: SessionParams) -> Coordination:
        """Coordinate. Raises ProtocolError, ValueError."""

    def keep(self, tx: Transaction, group: Charter, recovery: bytes) -> None:
        """Check recovery data and say that we hold a share. Raises BadRecovery."""

    def key_of(self, db: sqlite3.Connection, group: Charter) -> bytes | None:
        """The key that all members of this version of a charter say they hold shares of."""

    @property
    def suite(self) -> Arithmetic:
        """For resharing."""

    def known(self, recovery: bytes) -> Holders:
        """What everybody knows of a key's holders. Raises ValueError."""

    def secshare(self, db: sqlite3.Connection, identity: Identity, group: Charter) -> bytes | None:
        """Our secret share in this version of a charter. Raises BadRecovery."""


@dataclass(frozen=True, slots=True)
class _TreasuryPart:
    secret: bytes
    state: chilldkg.ParticipantState1
    message: bytes

    def certify(self, message: bytes, aux_rand: bytes) -> bytes:
        return bytes(chilldkg.participant_step2(self.secret, self.state, message, aux_rand)[1])


@dataclass(frozen=True, slots=True)
class _TreasuryCoordination:
    state: chilldkg.CoordinatorState
    message: bytes

    def finalize(self, sigs: Sequence[bytes]) -> bytes:
        return bytes(chilldkg.coordinator_finalize(self.state, list(sigs))[2])


class _Treasury:
    prefix = "keygen"

    def holders(self, db: sqlite3.Connection, group: Charter) -> dict[PublicKey, tuple[bytes, bytes]]:
        return shares.share_holders(db, group)

    def stored(self, db: sqlite3.Connection, group: Charter) -> bytes | None:
        return custody.stored(db, group)

    def begin(self, secret: bytes, params: SessionParams, random: bytes) -> Participation:
        return _TreasuryPart(secret, *chilldkg.participant_step1(secret, params, random))

    def join(self, begun: Sequence[bytes], params: SessionParams) -> Coordination:
        return _TreasuryCoordination(*chilldkg.coordinator_step1(list(begun), params))

    def keep(self, tx: Transaction, group: Charter, recovery: bytes) -> None:
        custody.keep(tx, group, recovery)

    def key_of(self, db: sqlite3.Connection, group: Charter) -> bytes | None:
        is_held = shares.custodians(db, group).version == group.version
        return shares.threshold_key(db, group) if is_held else None

    @property
    def suite(self) -> Arithmetic:
        return SECP256K1

    def known(self, recovery: bytes) -> Holders:
        return recovery_data.treasury_holders(recovery)

    def secshare(self, db: sqlite3.Connection, identity: Identity, group: Charter) -> bytes | None:
        share = custody.share_in(db, identity, group)
        return share.output.secshare if share is not None else None


@dataclass(frozen=True, slots=True)
class _LedgerPart:
    secret: bytes
    state: pedpop.ParticipantState1
    message: bytes

    def certify(self, message: bytes, aux_rand: bytes) -> bytes:
        pmsgs = pedpop_coordinator.split(ED25519, message, self.state.params)
        return pedpop.participant_step2(ED25519, self.secret, self.state, pmsgs, aux_rand)[1]


@dataclass(frozen=True, slots=True)
class _LedgerCoordination:
    transcript: Transcript

    @property
    def message(self) -> bytes:
        return b"".join(self.transcript.pmsgs)

    def finalize(self, sigs: Sequence[bytes]) -> bytes:
        return pedpop_coordinator.finalize(self.transcript, sigs)


class _Ledger:
    prefix = "ledger-key"

    def holders(self, db: sqlite3.Connection, group: Charter) -> dict[PublicKey, tuple[bytes, bytes]]:
        return group_key.holders(db, group)

    def stored(self, db: sqlite3.Connection, group: Charter) -> bytes | None:
        return group_key.stored(db, group)

    def begin(self, secret: bytes, params: SessionParams, random: bytes) -> Participation:
        return _LedgerPart(secret, *pedpop.participant_step1(ED25519, secret, params, random))

    def join(self, begun: Sequence[bytes], params: SessionParams) -> Coordination:
        return _LedgerCoordination(pedpop_coordinator.join(ED25519, begun, params))

    def keep(self, tx: Transaction, group: Charter, recovery: bytes) -> None:
        group_key.keep(tx, group, recovery)

    def key_of(self, db: sqlite3.Connection, group: Charter) -> bytes | None:
        return group_key.key_of(db, group)

    @property
    def suite(self) -> Arithmetic:
        return ED25519

    def known(self, recovery: bytes) -> Holders:
        return recovery_data.ledger_holders(recovery)

    def secshare(self, db: sqlite3.Connection, identity: Identity, group: Charter) -> bytes | None:
        share = group_key.share_of(db, identity, group)
        return share.share.secshare if share is not None else None


TREASURY: Final[Ceremony] = _Treasury()
LEDGER: Final[Ceremony] = _Ledger()
