"""Invitations: one line of text (or a QR code) that lets one newcomer in.

counterfoil:<base64url of msgpack [commons id, inviter's key, addresses, one-time code] + 4 bytes of SHA-256>
"""

import base64
import binascii
import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from overlay.keys import InvalidKey, PublicKey, parse_public_key
from overlay.network.community import Address
from overlay.network.messages import Wire
from overlay.trustchain.statements import Key

SCHEME = "counterfoil:"
CODE_BYTES = 16
CHECK_BYTES = 4
# A QR code that a telephone reads off a screen holds about 600 characters.
MAX_TEXT = 600
MAX_ADDRESSES = 4


class BadInvitation(ValueError):
    """A text that is no whole invitation; the message says what is wrong with it."""


class Invitation(Wire, frozen=True):
    """Where to find one member of a commons, and the code that it will accept once."""

    commons: Annotated[bytes, Meta(min_length=20, max_length=20)]
    inviter: Key
    addresses: Annotated[
        tuple[tuple[Annotated[str, Meta(max_length=64)], Annotated[int, Meta(ge=1, le=65535)]], ...],
        Meta(min_length=1, max_length=MAX_ADDRESSES),
    ]
    code: Annotated[bytes, Meta(min_length=CODE_BYTES, max_length=CODE_BYTES)]

    def to_text(self) -> str:
        raw = msgspec.msgpack.encode(self)
        return SCHEME + base64.urlsafe_b64encode(raw + _check(raw)).decode().rstrip("=")

    @property
    def member(self) -> PublicKey:
        return PublicKey(self.inviter)

    @property
    def places(self) -> list[Address]:
        return [(host, port) for host, port in self.addresses]


def parse(text: str) -> Invitation:
    """Read an invitation; raises BadInvitation with one sentence."""
    text = "".join(text.split())
    if not text.startswith(SCHEME):
        raise BadInvitation(f"an invitation begins with '{SCHEME}'")
    if len(text) > MAX_TEXT:
        raise BadInvitation(f"an invitation has at most {MAX_TEXT} characters, this has {len(text)}")
    encoded = text[len(SCHEME) :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInvitation("this invitation has a character that does not belong there") from error
    raw, check = raw[:-CHECK_BYTES], raw[-CHECK_BYTES:]
    if _check(raw) != check:
        raise BadInvitation("this invitation is incomplete or mistyped: its check digits do not fit")
    try:
        invitation = msgspec.msgpack.decode(raw, type=Invitation)
        parse_public_key(invitation.inviter)
    except (msgspec.DecodeError, InvalidKey, RecursionError, UnicodeDecodeError) as error:
        raise BadInvitation(f"this invitation was made by something else: {error}") from error
    return invitation


def _check(raw: bytes) -> bytes:
    return hashlib.sha256(b"counterfoil invitation" + raw).digest()[:CHECK_BYTES]
