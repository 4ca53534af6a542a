"""What happens, as it happens."""

from typing import Literal

from overlay.node.wire.base import Tell


class Event(Tell, frozen=True):
    """One server-sent event: what changed (`topic` is the event's name), in a sentence; fetch the rest."""

    topic: Literal["people", "vouchers", "exchanges", "content", "groups", "proposals", "cheats", "status"]
    sentence: str
    id: str
    time: int
