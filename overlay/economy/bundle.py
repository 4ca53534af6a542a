r"""Bundles: a holding with everything that proves it, to be checked with no network and no ledger (see `proof`).

    "COUNTERFOIL BUNDLE 1\n" | SHA-256 of what follows, 32 | deflated msgpack array:
    [made u64, holder 74, voucher 32, [[block 32, index]...], [block...], [part...]]

`made` is when its maker says that it was made (milliseconds). Then what is held (mints and outputs of proposals, in
rising order), the half-blocks as they travel (in the rising order of their hashes) and the disclosed parts
`[block, index, count, salt, content, [step...]]` (in the order of blocks and indices). As text, for a QR code, it is
"COUNTERFOIL:" and the deflated array in base32 (RFC 4648, without padding), whose digits and capitals a QR code packs
closely; the hash is left out, as the code corrects errors by itself and every block carries a signature.
"""

import base64
import binascii
import hashlib
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from overlay.economy.credentials import claims, membership
from overlay.economy.errors import Refused
from overlay.economy.holdings import Holding
from overlay.economy.provenance import trail_of_sources
from overlay.economy.standing import current_holdings
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, BlockHash
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import Source

MAGIC = b"COUNTERFOIL BUNDLE 1\n"
SCHEME = "COUNTERFOIL:"
HASH_BYTES = 32
# An exchange with the blocks and the leg that prove it has about 1,600 bytes, deflated 900: 4 MiB are more than 4,000
# exchanges, which take some seconds to check. Inflated, as the same keys come again and again, at most four times that.
MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MAX_INFLATED_BYTES = 4 * MAX_BUNDLE_BYTES
# What a holder has of one voucher; more holdings are first made one by giving them to oneself's issuer and back.
MAX_HOLDINGS = 256
# The smallest block has 268 bytes, the smallest part more than 100.
MAX_BLOCKS = MAX_INFLATED_BYTES // 268
MAX_PARTS = MAX_INFLATED_BYTES // 100
# A QR code of version 40 with the least correction holds 4,296 digits and capitals.
MAX_QR_CHARACTERS = 4_296


class BadBundle(Exception):
    """Bytes that are no bundle, or one that does not prove what it is for; one sentence says why."""


class Bundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a bundle says, believed by nobody: keys are 74 bytes, hashes 32, `blocks` half-blocks as they travel."""

    made: Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
    holder: Annotated[bytes, Meta(min_length=74, max_length=74)]
    voucher: Annotated[bytes, Meta(min_length=32, max_length=32)]
    holdings: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=MAX_HOLDINGS)]
    blocks: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_BLOCKS)]
    parts: Annotated[tuple[Disclosure, ...], Meta(max_length=MAX_PARTS)]


def _in_order(source: Source) -> tuple[bytes, int]:
    """What the holdings of a bundle are sorted by."""
    return source.block, source.index


def make(db: sqlite3.Connection, holder: PublicKey, voucher: BlockHash, now: int) -> bytes:
    """All that `holder` holds of a voucher at `now`, with what proves it. Raises Refused, TooLongAHistory."""
    held = [each.holding for each in current_holdings(db, holder, now, voucher) if not each.pending]
    if not held:
        raise Refused("you hold nothing of this voucher that is not bound in an open proposal")
    if len(held) > MAX_HOLDINGS:
        raise Refused(f"you hold this voucher in more than {MAX_HOLDINGS} pieces; give some of them first")
    trail = trail_of_sources(db, ANYONE, (each.source for each in held))
    issuer = blocks.by_hash(db, voucher)
    chosen = dict.fromkeys(membership(db, {holder, *([issuer.public_key] if issuer else ())}), 0)
    for number, mask in trail:
        chosen[number] = chosen.get(number, 0) | mask
    chosen = dict.fromkeys(claims(db, list(chosen)), 0) | chosen
    return _pack(db, holder, voucher, held, chosen, now)


def _pack(
    db: sqlite3.Connection,
    holder: PublicKey,
    voucher: BlockHash,
    held: Sequence[Holding],
    chosen: dict[int, int],
    now: int,
) -> bytes:
    found = sorted((blocks.hash_of(db, number), number, mask) for number, mask in chosen.items())
    packed = [block.pack() for _, number, _ in found if (block := blocks.by_id(db, number))]
    parts = [
        part for hash_, number, mask in found for part in blocks.parts_of(db, number, hash_) if mask >> part.index & 1
    ]
    sources = tuple(sorted((each.source for each in held), key=_in_order))
    bundle = Bundle(now, holder, voucher, sources, tuple(packed), tuple(parts))
    deflated = zlib.compress(msgspec.msgpack.encode(bundle), 9)
    made = MAGIC + hashlib.sha256(deflated).digest() + deflated
    if len(made) > MAX_BUNDLE_BYTES:
        raise Refused("what proves this holding is too long for a bundle; let its issuer exchange it for a new one")
    return made


def text_of(bundle: bytes) -> str | None:
    """A bundle as text for a QR code; None when it is too large for one."""
    text = SCHEME + base64.b32encode(bundle[len(MAGIC) + HASH_BYTES :]).decode().rstrip("=")
    return text if len(text) <= MAX_QR_CHARACTERS else None


def unpacked(raw: bytes) -> Bundle:
    """The bundle of a file or a text, in the one form that `make` and `text_of` give. Raises BadBundle; nothing else,
    whatever the bytes. What the bundle says is not checked."""
    return _decode(_inflated(raw))


def _inflated(raw: bytes) -> bytes:
    if len(raw) > MAX_BUNDLE_BYTES:
        raise BadBundle(f"a bundle has at most {MAX_BUNDLE_BYTES:,} bytes, not {len(raw):,}")
    deflated = _of_text(raw) if raw.startswith(SCHEME.encode()) else _of_file(raw)
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(deflated, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise BadBundle("this bundle is damaged: it cannot be inflated") from error
    if not inflater.eof or inflater.unused_data:
        raise BadBundle("this bundle is cut off, too long, or followed by something that does not belong to it")
    return content


def _of_file(raw: bytes) -> bytes:
    deflated = raw[len(MAGIC) + HASH_BYTES :]
    if not raw.startswith(MAGIC):
        raise BadBundle("this is no bundle of this program")
    if hashlib.sha256(deflated).digest() != raw[len(MAGIC) : len(MAGIC) + HASH_BYTES]:
        raise BadBundle("this bundle was damaged on its way: its hash does not fit")
    return deflated


def _of_text(raw: bytes) -> bytes:
    digits = b"".join(raw.split()).upper()[len(SCHEME) :]
    try:
        deflated = base64.b32decode(digits + b"=" * (-len(digits) % 8))
    except (binascii.Error, ValueError) as error:
        raise BadBundle("the text of this bundle has a character that does not belong there, or is cut off") from error
    if base64.b32encode(deflated).rstrip(b"=") != digits:
        raise BadBundle("the text of this bundle is not as this program writes it")
    return deflated


def _decode(content: bytes) -> Bundle:
    """The one encoding that `make` gives, in the orders that it gives; raises BadBundle."""
    try:
        bundle = msgspec.msgpack.decode(content, type=Bundle)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadBundle(f"this bundle was made by something else, or by another version: {error}") from error
    places = [_in_order(each) for each in bundle.holdings]
    parts = [(part.block, part.index) for part in bundle.parts]
    if places != sorted(set(places)) or parts != sorted(set(parts)) or msgspec.msgpack.encode(bundle) != content:
        raise BadBundle("this bundle is not in the form in which this program writes it")
    return bundle
