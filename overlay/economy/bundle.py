r"""Bundles: a holding with everything that proves it, checked with no network, no ledger and no trust in its maker.

    "COUNTERFOIL BUNDLE 1\n" | SHA-256 of what follows, 32 | deflated msgpack array:
    [made u64, holder 74, voucher 32, [[block 32, index]...], [block...], [part...]]

`made` is when its maker says that it was made (milliseconds). Then what is held (mints and outputs of proposals, in
rising order), the half-blocks as they travel (in the rising order of their hashes) and the disclosed parts
`[block, index, count, salt, content, [step...]]` (in the order of blocks and indices). Whoever checks believes none of
it: signatures and commitments are verified, everything is folded into an empty ledger in memory, and what that ledger
says of the holdings is what the bundle proves. As text, for a QR code, it is "COUNTERFOIL:" and the deflated array in
base32 (RFC 4648, without padding), whose digits and capitals a QR code packs closely; the hash is left out, as the code
corrects errors by itself and every block carries a signature.
"""

import base64
import binascii
import contextlib
import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from overlay.economy.errors import Refused
from overlay.economy.holdings import Holding, HoldingsView, holding
from overlay.economy.members import COMMONS_ID_BYTES, Commons, MembersView, commons, member, member_keys
from overlay.economy.provenance import trail_of_sources
from overlay.economy.standing import Standing, current_holdings, look_at
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, BlockHash, HalfBlock, MalformedBlock, unpack
from overlay.trustchain.commitment import BadDisclosure, Disclosure
from overlay.trustchain.connection import Connection
from overlay.trustchain.ledger import commitment, meaning
from overlay.trustchain.statements import AdmitMember, Source
from overlay.trustchain.validation import check as check_block
from overlay.trustchain.view import SCHEMA as FOLDED
from overlay.trustchain.view import View, make_tables

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

VIEWS: tuple[View, ...] = (MembersView(), HoldingsView())


class BadBundle(Exception):
    """Bytes that are no bundle, or one that does not prove what it is for; one sentence says why."""


class _Bundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    made: Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
    holder: Annotated[bytes, Meta(min_length=74, max_length=74)]
    voucher: Annotated[bytes, Meta(min_length=32, max_length=32)]
    holdings: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=MAX_HOLDINGS)]
    blocks: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_BLOCKS)]
    parts: Annotated[tuple[Disclosure, ...], Meta(max_length=MAX_PARTS)]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a bundle proves by itself. Quantities are sums over its holdings; `commons` is None where it does not show
    that issuer and holder belong to one."""

    voucher: BlockHash
    promise: str
    unit: str
    issuer: PublicKey
    issuer_name: str
    holder: PublicKey
    holder_name: str
    final: int
    provisional: int
    expires: int
    expired: bool
    commons: Commons | None
    exchanges: int
    made: int

    @property
    def sentence(self) -> str:
        """What this proves and what it cannot, for people."""
        who = f"{self.issuer_name or 'an unnamed member'} ({short(self.issuer)})"
        whose = f"{self.holder_name or 'an unnamed member'} ({short(self.holder)})"
        amounts = [
            f"{quantity} {self.unit} of '{self.promise}' {word}"
            for quantity, word in (
                (self.final, "that the issuer has confirmed"),
                (self.provisional, "that the issuer has not confirmed yet"),
            )
            if quantity
        ]
        belong = f", both members of '{self.commons.name}'" if self.commons else ""
        ended = " The promise has expired." if self.expired else ""
        return (
            f"This proves that {who} made a promise and that {whose}{belong} came to hold {' and '.join(amounts)},"
            f" by {self.exchanges} exchanges, each signed by both sides.{ended} It cannot prove that nothing of it was"
            " spent since, nor that whoever shows it is the holder: ask the issuer for that."
        )


# Making --------------------------------------------------------------------------------------------------------------


def make(db: sqlite3.Connection, holder: PublicKey, voucher: BlockHash, now: int) -> bytes:
    """All that `holder` holds of a voucher at `now`, with what proves it. Raises Refused, TooLongAHistory."""
    held = [each.holding for each in current_holdings(db, holder, now, voucher) if not each.pending]
    if not held:
        raise Refused("you hold nothing of this voucher that is not bound in an open proposal")
    if len(held) > MAX_HOLDINGS:
        raise Refused(f"you hold this voucher in more than {MAX_HOLDINGS} pieces; give some of them first")
    trail = trail_of_sources(db, ANYONE, (each.source for each in held))
    issuer = blocks.by_hash(db, voucher)
    chosen = dict.fromkeys(_membership(db, {holder, *([issuer.public_key] if issuer else ())}), 0)
    for number, mask in trail:
        chosen[number] = chosen.get(number, 0) | mask
    chosen = dict.fromkeys(_claims(db, list(chosen)), 0) | chosen
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
    bundle = _Bundle(now, holder, voucher, sources, tuple(packed), tuple(parts))
    deflated = zlib.compress(msgspec.msgpack.encode(bundle), 9)
    made = MAGIC + hashlib.sha256(deflated).digest() + deflated
    if len(made) > MAX_BUNDLE_BYTES:
        raise Refused("what proves this holding is too long for a bundle; let its issuer exchange it for a new one")
    return made


def _in_order(source: Source) -> tuple[bytes, int]:
    return source.block, source.index


def _membership(db: sqlite3.Connection, keys: Iterable[PublicKey]) -> Iterator[int]:
    """The small numbers of the blocks that show who these members are: profiles, charter, admissions."""
    for key in keys:
        row = db.execute(
            "SELECT block FROM member_profile WHERE key = ? ORDER BY sequence DESC, block LIMIT 1", (key,)
        ).fetchone()
        yield from (() if row is None else _numbers(db, [row[0]]))
        yield from _admissions(db, key)


def _admissions(db: sqlite3.Connection, key: PublicKey) -> Iterator[int]:
    """From the founder of a member's commons down to it, sponsor by sponsor; nothing where that is not known."""
    for charter, founder in db.execute("SELECT charter, founder FROM member_commons ORDER BY charter").fetchall():
        sponsors, at = _sponsors(db, founder), key
        if at != founder and at not in sponsors:
            continue
        yield from _numbers(db, [charter])
        while at != founder:
            yield from _admission(db, sponsors[at], at)
            at = sponsors[at]
        return


def _claims(db: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[int]:
    """By what the authors of these blocks go on for older keys: only with it are their words those of an issuer."""
    waiting = list({block.public_key for each in numbers if (block := blocks.by_id(db, each))})
    for key in waiting:  # grows while it is gone through
        for claim, old in db.execute("SELECT claim, old FROM member_claim WHERE new = ? ORDER BY claim", (key,)):
            yield from _numbers(db, [claim])
            waiting += [old] if old not in waiting else []


def _sponsors(db: sqlite3.Connection, founder: PublicKey) -> dict[PublicKey, PublicKey]:
    """Who admitted each member, by the fewest steps from the founder."""
    admitted: dict[PublicKey, list[PublicKey]] = {}
    for sponsor, guest in db.execute("SELECT sponsor, member FROM member_admission ORDER BY sponsor, member"):
        admitted.setdefault(sponsor, []).append(guest)
    found, waiting = dict[PublicKey, PublicKey](), [founder]
    for sponsor in waiting:  # grows while it is gone through
        for guest in admitted.get(sponsor, ()):
            if guest != founder and guest not in found:
                found[guest] = sponsor
                waiting.append(guest)
    return found


def _admission(db: sqlite3.Connection, sponsor: PublicKey, guest: PublicKey) -> Iterator[int]:
    """The first statement by which a member admitted another."""
    rows = db.execute(
        "SELECT id, raw FROM block WHERE agent = ? AND type = ? ORDER BY sequence, hash",
        (blocks.agent_of(db, sponsor), b"declare"),
    )
    for number, raw in rows:
        if meaning(unpack(raw)) == AdmitMember(guest):
            yield number
            return


def _numbers(db: sqlite3.Connection, hashes: Iterable[bytes]) -> list[int]:
    return [number for each in hashes if (number := blocks.find_id(db, each)) is not None]


def text_of(bundle: bytes) -> str | None:
    """A bundle as text for a QR code; None when it is too large for one."""
    text = SCHEME + base64.b32encode(bundle[len(MAGIC) + HASH_BYTES :]).decode().rstrip("=")
    return text if len(text) <= MAX_QR_CHARACTERS else None


# Checking ------------------------------------------------------------------------------------------------------------


def check(raw: bytes, now: int) -> Proof:
    """What a bundle, as a file or as text, proves at `now`. Raises BadBundle; nothing else, whatever the bytes."""
    bundle = _decode(_inflated(raw))
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None, factory=Connection)) as db:
        _fold(db, _verified(bundle), bundle.parts)
        return _proven(db, bundle, now)


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


def _decode(content: bytes) -> _Bundle:
    """The one encoding that `make` gives, in the orders that it gives; raises BadBundle."""
    try:
        bundle = msgspec.msgpack.decode(content, type=_Bundle)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadBundle(f"this bundle was made by something else, or by another version: {error}") from error
    places = [_in_order(each) for each in bundle.holdings]
    parts = [(part.block, part.index) for part in bundle.parts]
    if places != sorted(set(places)) or parts != sorted(set(parts)) or msgspec.msgpack.encode(bundle) != content:
        raise BadBundle("this bundle is not in the form in which this program writes it")
    return bundle


def _verified(bundle: _Bundle) -> list[HalfBlock]:
    """The blocks, each of them signed by its author; raises BadBundle naming whose is not."""
    found = []
    for raw in bundle.blocks:
        try:
            block = unpack(raw)
        except MalformedBlock as error:
            raise BadBundle(f"a statement in this bundle cannot be read: {error}") from error
        verdict = check_block(block)
        if verdict is not None:
            raise BadBundle(f"this bundle contains a forgery: {verdict}")
        found.append(block)
    hashes = [block.hash for block in found]
    if hashes != sorted(set(hashes)):
        raise BadBundle("this bundle is not in the form in which this program writes it")
    return found


def _fold(db: sqlite3.Connection, found: Sequence[HalfBlock], parts: Sequence[Disclosure]) -> None:
    """Make an empty ledger of exactly these; raises BadBundle for a part that belongs to none of them."""
    blocks.prepare(db)
    db.executescript(blocks.SCHEMA)
    db.executescript(FOLDED)
    for view in VIEWS:
        make_tables(db, view)
    by_hash = {block.hash: block for block in found}
    for block in found:
        blocks.insert(db, block)
        said = meaning(block)
        if said is not None:
            for view in VIEWS:
                view.fold_block(db, block, said)
    blocks.settle(db)
    for part in parts:
        _fold_part(db, by_hash.get(BlockHash(part.block)), part)


def _fold_part(db: sqlite3.Connection, block: HalfBlock | None, part: Disclosure) -> None:
    try:
        is_true = block is not None and part.root() == commitment(block)
    except BadDisclosure as error:
        raise BadBundle(f"a part in this bundle is malformed: {error}") from error
    if block is None or not is_true:
        raise BadBundle("a part in this bundle does not belong to the statement that it names")
    for view in VIEWS:
        view.fold_part(db, block, part)


def _proven(db: sqlite3.Connection, bundle: _Bundle, now: int) -> Proof:
    voucher, holder = BlockHash(bundle.voucher), PublicKey(bundle.holder)
    mint = db.execute("SELECT issuer, promise, unit, expires FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    if mint is None:
        raise BadBundle("this bundle lacks the promise itself")
    issuer, promise, unit, expires = mint
    _refuse_cheats(db)
    sums = {Standing.FINAL: 0, Standing.PROVISIONAL: 0}
    for source in bundle.holdings:
        found = holding(db, source)
        if found is None or (found.holder, found.voucher) != (holder, voucher):
            raise BadBundle("this bundle does not prove that its holder came to hold what it names")
        sums[_standing(db, source, now)] += found.quantity
    return Proof(
        voucher=voucher,
        promise=promise,
        unit=unit,
        issuer=PublicKey(issuer),
        issuer_name=member(db, issuer).name,
        holder=holder,
        holder_name=member(db, holder).name,
        final=sums[Standing.FINAL],
        provisional=sums[Standing.PROVISIONAL],
        expires=expires,
        expired=bool(expires and expires <= now),
        commons=_common(db, PublicKey(issuer), holder),
        exchanges=db.execute("SELECT count(DISTINCT proposal) FROM voucher_leg WHERE made").fetchone()[0],
        made=bundle.made,
    )


def _refuse_cheats(db: sqlite3.Connection) -> None:
    """Two different statements of one member with one number prove that its word is worth nothing."""
    for first, _ in blocks.forks(db):
        raise BadBundle(f"this bundle itself proves that {short(first.public_key)} has signed two histories")


def _standing(db: sqlite3.Connection, source: Source, now: int) -> Standing:
    """Of a holding that this bundle itself does not show to be gone; raises BadBundle."""
    look = look_at(db, source, now)
    if look is None or not look.is_there:
        raise BadBundle("this bundle itself shows that what it names was spent or refused")
    return look.came


def _common(db: sqlite3.Connection, issuer: PublicKey, holder: PublicKey) -> Commons | None:
    """The commons to which the bundle shows both to belong."""
    for (charter,) in db.execute("SELECT charter FROM member_commons ORDER BY charter").fetchall():
        if {issuer, holder} <= member_keys(db, charter[:COMMONS_ID_BYTES]):
            return commons(db, charter[:COMMONS_ID_BYTES])
    return None
