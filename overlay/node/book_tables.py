"""The tables that the books are written as: their columns, and the rows of each.

Keys, hashes and ids are lower-case hex, times milliseconds since the Unix epoch. Secrets are never written. Terms that
this node knows of other members' exchanges (it is shown them as an issuer) are written only `with_private`. What each
column means stands in docs/using.md; columns are only ever added, at the end.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from overlay.economy.facts import legs_of
from overlay.economy.members import COMMONS_ID_BYTES, member, member_keys
from overlay.economy.standing import current_holdings, leg_standing, standing, supply
from overlay.keys import PublicKey, did_key
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import Deed, MalformedStatement, Note, Want, decode_part

Cell = str | int | bool
Row = tuple[Cell, ...]
LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose books, as of when, and whether what others showed in confidence is wanted too."""

    me: PublicKey
    now: int
    with_private: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns with their types, in order, and what reads the rows from a ledger."""

    columns: Mapping[str, type]
    rows: Callable[[sqlite3.Connection, Asked], Iterator[Row]]


def _statements(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    for block in blocks.everything(db):
        said = meaning(block)
        yield (
            block.hash.hex(),
            block.public_key.hex(),
            block.sequence_number,
            block.link_public_key.hex(),
            block.link_sequence_number,
            block.previous_hash.hex(),
            block.type.decode("latin-1"),
            _number(block.timestamp),
            "" if said is None else _json(said),
        )


def _number(value: int) -> int:
    """What a column of 64 bits can hold: timestamps have one bit more, and a lying issuer's sums any number."""
    return max(-LARGEST - 1, min(LARGEST, value))


def _json(said: object) -> str:
    return msgspec.json.encode(_readable(said)).decode()


def _readable(value: object) -> Any:
    """Statements as named fields, keys and hashes in hex."""
    match value:
        case msgspec.Struct():
            tag = value.__struct_config__.tag
            fields = {name: _readable(getattr(value, name)) for name in value.__struct_fields__}
            return fields if tag is None else {"says": tag, **fields}
        case tuple():
            return [_readable(each) for each in value]
        case bytes():
            return value.hex()
    return value


def _members(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    charters = db.execute("SELECT charter FROM member_commons ORDER BY charter").fetchall()
    for key in sorted({key for (charter,) in charters for key in member_keys(db, charter[:COMMONS_ID_BYTES])}):
        shown = member(db, key)
        yield (key.hex(), did_key(key), shown.name, shown.about, shown.headless, shown.forked)


def _vouchers(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    rows = db.execute("SELECT id, issuer, promise, unit, terms, expires FROM voucher_mint ORDER BY id").fetchall()
    for voucher, issuer, promise, unit, terms, expires in rows:
        found = supply(db, voucher, asked.now)
        sums = (_number(each) for each in (found.minted, found.redeemed, found.expired, found.outstanding))
        yield (voucher.hex(), issuer.hex(), promise, unit, terms, expires, *sums)


def _exchanges(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    query = (
        "SELECT proposal, proposer, counterparty, timestamp, valid_until, weight, offer, is_offer FROM voucher_exchange"
        " ORDER BY proposal"
    )
    for proposal, proposer, counterparty, *said, offer, is_offer in db.execute(query):
        stands = standing(db, proposal, asked.now).value
        names = (proposal.hex(), proposer.hex(), counterparty.hex())
        yield (*names, *said, offer.hex() if offer else "", bool(is_offer), stands)


def _shown(db: sqlite3.Connection, asked: Asked) -> Iterator[tuple[BlockHash, PublicKey, PublicKey]]:
    """The exchanges whose terms may be written: proposal, proposer, counterparty."""
    for proposal, *parties in db.execute(
        "SELECT proposal, proposer, counterparty FROM voucher_exchange ORDER BY proposal"
    ):
        if asked.with_private or asked.me in parties:
            yield BlockHash(proposal), PublicKey(parties[0]), PublicKey(parties[1])


def _legs(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    for proposal, _, _ in _shown(db, asked):
        for leg in legs_of(db, proposal):
            hands = (leg.giver.hex(), leg.receiver.hex(), leg.voucher.hex())
            stands = leg_standing(db, leg.place).value
            yield (proposal.hex(), leg.position, *hands, leg.quantity, leg.change, stands)


def _terms(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    for proposal, proposer, counterparty in _shown(db, asked):
        for disclosed in blocks.parts(db, proposal):
            with contextlib.suppress(MalformedStatement):
                match decode_part(disclosed.content):
                    case Deed(from_proposer=by_proposer, text=text):
                        doer = proposer if by_proposer else counterparty
                        yield (proposal.hex(), disclosed.index, "deed", doer.hex(), text, "", 0)
                    case Note(text=text):
                        yield (proposal.hex(), disclosed.index, "note", proposer.hex(), text, "", 0)
                    case Want(voucher=voucher, quantity=quantity):
                        yield (proposal.hex(), disclosed.index, "want", proposer.hex(), "", voucher.hex(), quantity)


def _holdings(db: sqlite3.Connection, asked: Asked) -> Iterator[Row]:
    for each in current_holdings(db, asked.me, asked.now):
        held = each.holding
        place = (held.block.hex(), held.index, held.voucher.hex())
        yield (*place, held.quantity, each.standing.value, each.pending)


def _columns(names: str, **others: type) -> dict[str, type]:
    """Column names in order, text unless said otherwise."""
    return {name: others.get(name, str) for name in names.split()}


TABLES: dict[str, Table] = {
    "statements": Table(
        _columns(
            "hash author sequence link_author link_sequence previous_hash kind timestamp statement",
            sequence=int,
            link_sequence=int,
            timestamp=int,
        ),
        _statements,
    ),
    "members": Table(_columns("key did name about headless proven_cheat", headless=bool, proven_cheat=bool), _members),
    "vouchers": Table(
        _columns(
            "id issuer promise unit terms expires minted redeemed expired outstanding",
            expires=int,
            minted=int,
            redeemed=int,
            expired=int,
            outstanding=int,
        ),
        _vouchers,
    ),
    "exchanges": Table(
        _columns(
            "proposal proposer counterparty timestamp valid_until weight offer is_offer standing",
            timestamp=int,
            valid_until=int,
            weight=int,
            is_offer=bool,
        ),
        _exchanges,
    ),
    "legs": Table(
        _columns(
            "proposal position giver receiver voucher quantity change standing",
            position=int,
            quantity=int,
            change=int,
        ),
        _legs,
    ),
    "terms": Table(_columns("proposal position kind by text voucher quantity", position=int, quantity=int), _terms),
    "holdings": Table(
        _columns("block position voucher quantity standing pending", position=int, quantity=int, pending=bool),
        _holdings,
    ),
}
