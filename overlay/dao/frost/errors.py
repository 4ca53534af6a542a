"""Who is to blame. A ValueError means that our own caller erred; every error of this page names another party.

The names in key generation are those of the ChillDKG BIP.
"""


class InvalidContributionError(Exception):
    """A party of a signing session sent something invalid.

    `signer` is its index in the list of signers (not its identifier), or None for the coordinator; `what` names the
    contribution: pubnonce, psig, aggnonce or aggothernonce.
    """

    def __init__(self, signer: int | None, what: str) -> None:
        self.signer = signer
        self.what = what
        party = "the coordinator" if signer is None else f"the signer at index {signer}"
        super().__init__(f"{party} sent an invalid {what}")


class MsgParseError(ValueError):
    """Bytes are not the message that they should be; the text says which part is wrong."""


class MsgLengthError(MsgParseError):
    """The message does not have the one length that its session allows."""


class ProtocolError(Exception):
    """A message received during key generation shows that some party is faulty."""


class FaultyParticipantError(ProtocolError):
    """Raised to the coordinator: this participant broke the protocol, given that its message came unaltered."""

    def __init__(self, participant: int, what: str) -> None:
        self.participant = participant
        self.what = what
        super().__init__(f"participant {participant}: {what}")


class FaultyCoordinatorError(ProtocolError):
    """Raised to a participant: the coordinator broke the protocol."""


class FaultyParticipantOrCoordinatorError(ProtocolError):
    """Raised to a participant: `participant` broke the protocol, or the coordinator did and framed it."""

    def __init__(self, participant: int, what: str) -> None:
        self.participant = participant
        self.what = what
        super().__init__(f"participant {participant} or the coordinator: {what}")


class UnknownFaultyParticipantOrCoordinatorError(ProtocolError):
    """Raised to a participant: its share is wrong, and only an investigation can tell by whose fault.

    `investigation` is what `participant_investigate` needs (an `encpedpop.Investigation`). It holds secrets of this
    participant: keep it in memory.
    """

    def __init__(self, investigation: object, what: str) -> None:
        self.investigation = investigation
        super().__init__(what)


class MisshapenParticipantMsgError(FaultyParticipantError, ValueError):
    """A participant's message has the wrong length. The BIP leaves this to the transport; here it has a culprit."""


class MisshapenCoordinatorMsgError(FaultyCoordinatorError, ValueError):
    """The coordinator's message has the wrong length."""


class HostSeckeyError(ValueError):
    """The host secret key is invalid, or belongs to no participant of the session."""


class RandomnessError(ValueError):
    """The randomness is all zeros: the generator is broken."""


class RecoveryDataError(ValueError):
    """Recovery data is malformed, not certified by all, or of another session."""


class InvalidRecoveryAckError(FaultyParticipantError):
    """A participant's acknowledgement of the recovery data does not verify. The key itself is not in doubt."""


class SessionParamsError(ValueError):
    """The parameters of a key generation are invalid."""


class ThresholdOrCountError(SessionParamsError):
    """Not 1 <= t <= n <= 2^32 - 1."""


class InvalidHostPubkeyError(SessionParamsError):
    """The host public key of `participant` is not a compressed point."""

    def __init__(self, participant: int) -> None:
        self.participant = participant
        super().__init__(f"the host public key of participant {participant} is invalid")


class DuplicateHostPubkeyError(SessionParamsError):
    """Two participants, `first` and `second`, have one host public key: at least one of them is faulty."""

    def __init__(self, first: int, second: int) -> None:
        self.first = first
        self.second = second
        super().__init__(f"participants {first} and {second} have the same host public key")
