"""A node at a glance, and belonging to a commons."""

from typing import Annotated

from msgspec import Meta

from overlay.node.wire.base import Ask, Line, Name, Tell


class CommonsModel(Tell, frozen=True):
    id: str
    name: str
    purpose: str
    founder: str


class Status(Tell, frozen=True):
    """One node at a glance. `signing` is empty when it may sign, else why not; `notices` need the member's eyes."""

    public_key: str
    name: str
    headless: bool
    commons: CommonsModel | None
    address: str
    content_address: str
    online: int
    members: int
    blocks: int
    signing: str
    notices: tuple[str, ...]
    counters: dict[str, int]
    pid: int
    rss_mb: float
    ledger: str
    version: str
    did: str = ""  # `did:key` of the signing half


class FoundCommons(Ask, frozen=True):
    """Found a commons and become its first member."""

    commons: Name
    purpose: Line
    name: Name
    about: Line = ""


class JoinCommons(Ask, frozen=True):
    """Join a commons with the text of an invitation."""

    invitation: Annotated[str, Meta(max_length=1000)]
    name: Name
    about: Line = ""


class InvitationModel(Tell, frozen=True):
    """One newcomer may join with this text; `qr` is the same as lines of block characters."""

    text: str
    qr: str
