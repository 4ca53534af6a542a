"""Whether a block may be stored: typed verdicts that name the culprit.

Only what the block itself shows decides (form, sequence, signature), so that every peer that gets the same bytes
judges alike, whatever arrived before. What a block means beside others (a second spend, a fork) is found by views.
"""

from dataclasses import dataclass
from enum import Enum

from overlay.keys import PublicKey, short
from overlay.trustchain.block import ANYONE, GENESIS_HASH, GENESIS_SEQUENCE, HalfBlock


class Fault(Enum):
    """What makes a block invalid, in words for people."""

    SEQUENCE = "its number is below 1"
    GENESIS = "only the first block of a chain has no predecessor"
    LINK_TO_ANYONE = "it answers a block of nobody in particular"
    SIGNATURE = "its signature is not that of its author"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A block that is refused; `culprit` is the key it names as its author (who may not have made it)."""

    culprit: PublicKey
    sequence_number: int
    fault: Fault

    def __str__(self) -> str:
        return f"block {self.sequence_number} of {short(self.culprit)} is refused: {self.fault.value}"


def check(block: HalfBlock) -> Invalid | None:
    """The first thing wrong with a block, cheap checks first; None when it is valid."""
    fault = _fault(block)
    return Invalid(block.public_key, block.sequence_number, fault) if fault else None


def _fault(block: HalfBlock) -> Fault | None:
    if block.sequence_number < GENESIS_SEQUENCE:
        return Fault.SEQUENCE
    if block.is_genesis != (block.previous_hash == GENESIS_HASH):
        return Fault.GENESIS
    if block.is_agreement and block.link_public_key == ANYONE:
        return Fault.LINK_TO_ANYONE
    return None if block.has_valid_signature() else Fault.SIGNATURE
