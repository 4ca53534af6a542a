"""Claims of a new key to go on for an old one: making them, handing them over as a text, judging them by themselves.

A claim is the first statement of the new key's chain and carries the old key's consent, so nobody can make one to
another's key, and a key goes on for one other at most. What members make of a claim stands in `succession.py`.
"""

import base64
import binascii
import hashlib

from overlay.keys import Identity, InvalidKey, PublicKey, parse_public_key, verify
from overlay.trustchain.block import (
    ANYONE,
    GENESIS_HASH,
    GENESIS_SEQUENCE,
    BlockHash,
    HalfBlock,
    MalformedBlock,
    unpack,
)
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import CONSENT, Anything, SucceedKey, encode
from overlay.trustchain.validation import check

PREFIX = "counterfoil-key:"
# A typing error in a text that people hand on must not look like a forgery: 4 bytes of SHA-256 tell it.
CHECK_BYTES = 4
# A claim has 268 + 7 + 185 bytes, with prefix and check 635 characters; the largest block would have 1,945.
MAX_TEXT = 2_000


class BadClaim(ValueError):
    """A text that is no valid claim; the message is one sentence for people."""


def make_claim(old: Identity, new: Identity, head: BlockHash, now: int) -> HalfBlock:
    """The first block of the new key's chain, by which the old one's promises up to `head`, a hash on its chain, stay
    owed (GENESIS_HASH: none). Whoever has the old key can make one: keep both secret."""
    kind, transaction = encode(SucceedKey(old.public_key, head, old.sign(CONSENT + new.public_key)))
    first = HalfBlock(new.public_key, GENESIS_SEQUENCE, ANYONE, 0, GENESIS_HASH, kind, transaction, now)
    return first.signed_by(new)


def is_claim(block: HalfBlock, said: Anything | None) -> bool:
    """Whether a block (of a valid signature) is a claim in force: first of its chain, with the old key's consent."""
    if not isinstance(said, SucceedKey) or not block.is_genesis or said.old == block.public_key:
        return False
    try:
        old = parse_public_key(said.old)
    except InvalidKey:
        return False
    return verify(old, CONSENT + block.public_key, said.consent)


def to_text(claim: HalfBlock) -> str:
    """One line that a member hands to those who are to vouch."""
    raw = claim.pack()
    return PREFIX + base64.urlsafe_b64encode(raw + _check(raw)).decode().rstrip("=")


def from_text(text: str) -> tuple[HalfBlock, PublicKey]:
    """The claim in a text, and the old key that it names. Raises BadClaim."""
    block = _block(text.strip())
    said = meaning(block)
    if check(block) is not None or not isinstance(said, SucceedKey) or not is_claim(block, said):
        raise BadClaim("this is no claim that the old key has consented to")
    return block, PublicKey(said.old)


def _block(text: str) -> HalfBlock:
    if len(text) > MAX_TEXT or not text.startswith(PREFIX):
        raise BadClaim(f"a claim to go on for an old key is one line that begins with {PREFIX}")
    encoded = text[len(PREFIX) :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadClaim("this claim has characters that do not belong into it") from error
    if len(raw) <= CHECK_BYTES or _check(raw[:-CHECK_BYTES]) != raw[-CHECK_BYTES:]:
        raise BadClaim("this claim is incomplete or has a typing error; copy the whole line")
    try:
        return unpack(raw[:-CHECK_BYTES])
    except MalformedBlock as error:
        raise BadClaim(f"this claim cannot be read: {error}") from error


def _check(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()[:CHECK_BYTES]
