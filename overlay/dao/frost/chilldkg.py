"""ChillDKG: distributed key generation for FROST with encrypted shares, agreement of all, and recovery from one key.

Five messages, all bytes, all through a coordinator who is trusted with nothing but progress:

    participant_step1 -> pmsg1 -> coordinator_step1 -> cmsg1 -> participant_step2 -> pmsg2
    -> coordinator_finalize -> cmsg2 -> participant_finalize

States are frozen objects that live in memory and serve one call. A participant who loses its state before pmsg2 begins
a new session; one who loses it later needs only its host secret key and the recovery data, from anyone
(`participant_recover`). So nobody may erase its host key because a session seems to have failed: another may hold
the certificate, and the key may be in use.
"""

from overlay.dao.frost.chilldkg_coordinator import (
    CoordinatorState,
    coordinator_finalize,
    coordinator_investigate,
    coordinator_step1,
)
from overlay.dao.frost.chilldkg_participant import (
    ParticipantState1,
    ParticipantState2,
    participant_finalize,
    participant_investigate,
    participant_step1,
    participant_step2,
)
from overlay.dao.frost.params import SessionParams, hostpubkey_gen, params_hash
from overlay.dao.frost.recovery import (
    coordinator_recover,
    participant_recover,
    participant_recovery_ack_sign,
    participant_recovery_acks_verify,
)
from overlay.dao.frost.simplpedpop import DKGOutput

__all__ = [
    "CoordinatorState",
    "DKGOutput",
    "ParticipantState1",
    "ParticipantState2",
    "SessionParams",
    "coordinator_finalize",
    "coordinator_investigate",
    "coordinator_recover",
    "coordinator_step1",
    "hostpubkey_gen",
    "params_hash",
    "participant_finalize",
    "participant_investigate",
    "participant_recover",
    "participant_recovery_ack_sign",
    "participant_recovery_acks_verify",
    "participant_step1",
    "participant_step2",
]
