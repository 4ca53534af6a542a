"""The view of who shares content where, and of how much useful data members got from whom (DESIGN 8).

A tally is a pair: the downloader says how many bytes it received from the linked member since its last tally, the
uploader countersigns. The announcement that maps a BitTorrent peer id and port to a member is a signed statement.
"""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import AgreeTally, AnnounceSeed, Anything, TallyUpload


@dataclass(frozen=True, slots=True)
class Seed:
    """Under which BitTorrent peer id (40 hex digits) and port a member shares content."""

    member: PublicKey
    token: str
    port: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Bytes that `downloader` signed for; `agreed` when `uploader` countersigned."""

    id: BlockHash
    downloader: PublicKey
    uploader: PublicKey
    received: int
    agreed: bool


class TalliesView:
    """Folds announcements and both halves of tallies."""

    name: ClassVar[str] = "content"
    schema: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS content_seed (
        member BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL, token BLOB NOT NULL,
        port INTEGER NOT NULL, PRIMARY KEY (member, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS content_tally (
        id BLOB PRIMARY KEY, downloader BLOB NOT NULL, sequence INTEGER NOT NULL, uploader BLOB NOT NULL,
        received INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS content_tally_pair ON content_tally (downloader, uploader);
    CREATE TABLE IF NOT EXISTS content_agreed (
        tally BLOB NOT NULL, id BLOB NOT NULL, author BLOB NOT NULL, link_key BLOB NOT NULL,
        link_sequence INTEGER NOT NULL, PRIMARY KEY (tally, id)) WITHOUT ROWID;
    """

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        match statement:
            case AnnounceSeed(token=token, port=port):
                row = (block.public_key, block.sequence_number, block.hash, token, port)
                db.execute("INSERT INTO content_seed VALUES (?,?,?,?,?)", row)
            case TallyUpload(received=received) if not block.is_agreement:
                tally = (block.hash, block.public_key, block.sequence_number, block.link_public_key, received)
                db.execute("INSERT INTO content_tally VALUES (?,?,?,?,?)", tally)
            case AgreeTally(tally=id_):
                agreed = (id_, block.hash, block.public_key, block.link_public_key, block.link_sequence_number)
                db.execute("INSERT INTO content_agreed VALUES (?,?,?,?,?)", agreed)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        """Bodies say nothing of bandwidth."""


def seeds(db: sqlite3.Connection) -> list[Seed]:
    """The newest announcement of each member."""
    rows = db.execute("SELECT member, token, port FROM content_seed ORDER BY sequence, block")
    newest = {member: Seed(PublicKey(member), token.hex(), port) for member, token, port in rows}
    return [newest[member] for member in sorted(newest)]


def announce(tx: Transaction, token: str, port: int) -> None:
    """Sign where we share content, unless that is what we said last."""
    mine = [seed for seed in seeds(tx.db) if seed.member == tx.identity.public_key]
    if mine != [Seed(tx.identity.public_key, token, port)]:
        tx.append(AnnounceSeed(bytes.fromhex(token), port))


def tallies(db: sqlite3.Connection) -> list[Tally]:
    """All tallies that this node knows, by id."""
    rows = db.execute(
        "SELECT t.id, downloader, uploader, received, EXISTS (SELECT 1 FROM content_agreed a WHERE a.tally = t.id"
        " AND a.author = t.uploader AND a.link_key = t.downloader AND a.link_sequence = t.sequence)"
        " FROM content_tally t ORDER BY t.id"
    )
    return [Tally(BlockHash(a), PublicKey(b), PublicKey(c), d, bool(e)) for a, b, c, d, e in rows]


def sign_tally(tx: Transaction, uploader: PublicKey, total: int, infohashes: tuple[bytes, ...]) -> None:
    """Sign for what came from `uploader` beyond the tallies before; `total` counts all bytes ever received.

    Signs nothing when nothing is new.
    """
    (before,) = tx.db.execute(
        "SELECT coalesce(sum(received), 0) FROM content_tally WHERE downloader = ? AND uploader = ?",
        (tx.identity.public_key, uploader),
    ).fetchone()
    if total > before:
        block = tx.append(TallyUpload(total - before, infohashes), to=uploader)
        tx.post(uploader, block.hash)


def countersign(tx: Transaction, tally: BlockHash) -> None:
    """Agree, once, to a tally that names us as its uploader."""
    block = blocks.by_hash(tx.db, tally)
    known = {each.id for each in tallies(tx.db) if not each.agreed and each.uploader == tx.identity.public_key}
    if block is not None and tally in known:
        agreed = tx.append(AgreeTally(tally), link=block)
        tx.post(block.public_key, agreed.hash)
