"""Invitations: one line of text (or a QR code) that lets one newcomer in.

counterfoil:<base64url of msgpack [commons id, inviter's key, addresses, one-time code] + 4 bytes of SHA-256>
"""

import base64
import binascii
import hashlib
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from overlay.keys import InvalidKey, PublicKey, parse_public_key
from overlay.network.addresses import is_numeric, is_reachable
from overlay.network.endpoint import Address
from overlay.network.messages import Wire
from overlay.trustchain.statements import Key

SCHEME = "counterfoil:"
CODE_BYTES = 16
CHECK_BYTES = 4
# A QR code that a telephone reads off a screen holds about 600 characters. The largest invitation has 4 addresses of
# 64 + 5 bytes: 20 + 74 + 16 + 4 x 69 + 10 + 4 bytes of check are 400, in base64 534 characters, with the scheme 546.
MAX_TEXT = 600
MAX_ADDRESSES = 4
# What is pasted may have line breaks and spaces of a letter in it, but not a book.
MAX_PASTED = 10 * MAX_TEXT
# A host name by RFC 1123: labels of letters, digits and hyphens.
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


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
    text = "".join(text.split()) if len(text) <= MAX_PASTED else text
    if not text.startswith(SCHEME):
        raise BadInvitation(f"an invitation begins with '{SCHEME}'")
    if len(text) > MAX_TEXT:
        raise BadInvitation(f"an invitation has at most {MAX_TEXT} characters, this has {len(text)}")
    raw = _decode(text[len(SCHEME) :])
    try:
        invitation = msgspec.msgpack.decode(raw, type=Invitation)
        parse_public_key(invitation.inviter)
    except (msgspec.DecodeError, InvalidKey, RecursionError, UnicodeDecodeError) as error:
        raise BadInvitation("this invitation was made by something else, or by another version") from error
    for address in invitation.addresses:
        check_address(address)
    return invitation


def check_address(address: Address) -> None:
    """Whether an invitation may name this address; raises BadInvitation. Loopback is fine: it is how one tries out."""
    host, port = address
    if is_numeric(host):
        if ":" in host:
            raise BadInvitation(f"the address {host} is IPv6, which this version does not speak; name an IPv4 address")
        if not is_reachable(address):
            raise BadInvitation(f"nobody can be reached at {host}:{port}; name the address that others see")
    elif not _HOST_NAME.fullmatch(host):
        raise BadInvitation("an address in this invitation is neither an IP address nor a host name")


def _decode(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInvitation("this invitation has a character that does not belong there") from error
    raw, check = raw[:-CHECK_BYTES], raw[-CHECK_BYTES:]
    if _check(raw) != check:
        raise BadInvitation("this invitation is incomplete or mistyped: its check digits do not fit")
    return raw


def _check(raw: bytes) -> bytes:
    return hashlib.sha256(b"counterfoil invitation" + raw).digest()[:CHECK_BYTES]
