"""Reputation in one member's eyes: scores, reasons, and what cheating by invented members could bring."""

from typing import Annotated

from msgspec import Meta

from overlay.node.wire.base import Ask, Tell


class AskTrust(Ask, frozen=True):
    """Whose reputation is asked for."""

    member: str


class AskTop(Ask, frozen=True):
    """How many of the most trusted members to show."""

    count: Annotated[int, Meta(ge=1, le=1000)] = 10


class AskReport(Ask, frozen=True):
    """How many members the attacks of the report invent."""

    member: str
    sybils: Annotated[int, Meta(ge=1, le=10_000)] = 100


class Trust(Tell, frozen=True):
    """A score with its 95 % interval, its rank (0: none), and how much of the commons' scale to accept provisionally.

    `through` names the members whom every path of trust passes.
    """

    public_key: str
    member: str
    score: float
    low: float
    high: float
    rank: int
    tied: int
    limit: int
    through: tuple[str, ...]


class TrustList(Tell, frozen=True):
    members: tuple[Trust, ...]


class ReasonStep(Tell, frozen=True):
    """One edge of a path of trust: `receiver` says that `provider` fulfilled, in these blocks.

    `weight` is in millionths of the commons' scale.
    """

    receiver: str
    provider: str
    weight: int
    blocks: tuple[str, ...]


class Reason(Tell, frozen=True):
    """One path of trust, and what part of the score came along it."""

    share: float
    steps: tuple[ReasonStep, ...]


class WithoutExchange(Tell, frozen=True):
    """What the score would be without one exchange."""

    block: str
    receiver: str
    provider: str
    score: float


class Why(Tell, frozen=True):
    """Where a score comes from. A score of zero has no reasons."""

    member: str
    score: float
    reasons: tuple[Reason, ...]
    without: tuple[WithoutExchange, ...] = ()


class AttackGain(Tell, frozen=True):
    """What one attack would bring, as a multiple of the attacker's own score."""

    attack: str
    gain: float


class TrustReport(Tell, frozen=True):
    """What inventing members could bring to a member: `bound` is the most, `attacks` what four ways brought here."""

    member: str
    score: float
    sybils: int
    bound: float
    attacks: tuple[AttackGain, ...]


class TrustPicture(Tell, frozen=True):
    """The trust neighbourhood of this node's member, drawn."""

    svg: str
    png: bytes
