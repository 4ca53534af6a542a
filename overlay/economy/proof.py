"""Checking a bundle by itself, with no network, no ledger and no trust in its maker: what it proves.

Signatures and commitments are verified, everything is folded into an empty ledger in memory, and what that ledger says
of the holdings is what the bundle proves.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from overlay.economy.bundle import BadBundle, Bundle, unpacked
from overlay.economy.holdings import HoldingsView, holding
from overlay.economy.members import COMMONS_ID_BYTES, Commons, MembersView, commons, member, member_keys
from overlay.economy.standing import Standing, look_at
from overlay.keys import PublicKey, short
from overlay.trustchain import block_tables, blocks, growth
from overlay.trustchain.block import BlockHash, HalfBlock, MalformedBlock, unpack
from overlay.trustchain.commitment import BadDisclosure, Disclosure
from overlay.trustchain.connection import Connection
from overlay.trustchain.ledger import commitment, meaning
from overlay.trustchain.statements import Source
from overlay.trustchain.validation import check as check_block
from overlay.trustchain.view import SCHEMA as FOLDED
from overlay.trustchain.view import View, make_tables

VIEWS: tuple[View, ...] = (MembersView(), HoldingsView())


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


def check(raw: bytes, now: int) -> Proof:
    """What a bundle, as a file or as text, proves at `now`. Raises BadBundle; nothing else, whatever the bytes."""
    bundle = unpacked(raw)
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None, factory=Connection)) as db:
        _fold(db, _verified(bundle), bundle.parts)
        return _proven(db, bundle, now)


def _verified(bundle: Bundle) -> list[HalfBlock]:
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
    block_tables.prepare(db)
    db.executescript(block_tables.SCHEMA)
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
    growth.settle(db)
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


def _proven(db: sqlite3.Connection, bundle: Bundle, now: int) -> Proof:
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
