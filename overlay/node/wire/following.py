"""Whom a member follows, keys that take the place of others, and what was lost by a cheat."""

from typing import Annotated

from msgspec import Meta

from overlay.node.wire.base import Ask, Tell


class FollowMember(Ask, frozen=True):
    """Whom to follow, or to follow no longer."""

    member: str


class Followed(Tell, frozen=True):
    public_key: str
    name: str


class Following(Tell, frozen=True):
    """Whom you follow: nobody else learns that."""

    members: tuple[Followed, ...]


class Renewal(Tell, frozen=True):
    """A new key in a new data folder. Hand `claim` to members who know you: they vouch for it."""

    public_key: str
    folder: str
    claim: str


class VouchForKey(Ask, frozen=True):
    """Say that you know whose new key this is; with `take_back` that you do not say so any more."""

    claim: Annotated[str, Meta(max_length=2_000)]
    take_back: bool = False


class KeyClaim(Tell, frozen=True):
    """A new key that goes on for an old one, which consents. `is_successor` once members vouch for it alone."""

    public_key: str
    name: str
    old: str
    old_name: str
    sponsors: tuple[str, ...]
    is_successor: bool
    owes: tuple[str, ...]


class KeyClaims(Tell, frozen=True):
    claims: tuple[KeyClaim, ...]


class LostClaim(Tell, frozen=True):
    """An exchange of yours that stands as refused: what the giver owes you, why, and the statements that prove it.

    `what` has one line for each voucher; `proof` holds whole half-blocks in hex.
    """

    exchange: str
    giver: str
    giver_name: str
    what: tuple[str, ...]
    reason: str
    giver_proven_cheat: bool
    proof: tuple[str, ...]


class LostClaims(Tell, frozen=True):
    claims: tuple[LostClaim, ...]
