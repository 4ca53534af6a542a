"""The view of who shares content where, and of how much useful data members got from whom.

A tally is a pair: the downloader says how many bytes it received from the linked member since its last tally, the
uploader countersigns. The announcement that maps a BitTorrent peer id and port to a member is a signed statement.
"""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.content.bandwidth import token_of
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import AgreeTally, AnnounceSeed, Anything, TallyUpload

# What this node counted itself: no view, but its own memory, kept beside the ledger.
SCHEMA = """
CREATE TABLE IF NOT EXISTS carried_bytes (downloader BLOB PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
"""


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
        member BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL, port INTEGER NOT NULL,
        PRIMARY KEY (member, sequence, block)) WITHOUT ROWID;
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
            case AnnounceSeed(port=port):
                row = (block.public_key, block.sequence_number, block.hash, port)
                db.execute("INSERT INTO content_seed VALUES (?,?,?,?)", row)
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
    rows = db.execute("SELECT member, port FROM content_seed ORDER BY sequence, block")
    newest = {member: Seed(PublicKey(member), token_of(PublicKey(member)), port) for member, port in rows}
    return [newest[member] for member in sorted(newest)]


def announce(tx: Transaction, port: int) -> None:
    """Sign where we share content, unless that is what we said last."""
    mine = [seed for seed in seeds(tx.db) if seed.member == tx.identity.public_key]
    if [seed.port for seed in mine] != [port]:
        tx.append(AnnounceSeed(port))


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


def record_sent(tx: Transaction, downloader: PublicKey, count: int) -> None:
    """Add to what this node knows that it has sent to a member, over all its runs."""
    tx.db.execute(
        "INSERT INTO carried_bytes VALUES (?,?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
        (downloader, count),
    )


def countersign(tx: Transaction, tally: BlockHash) -> None:
    """Agree, once, to a tally that names us as its uploader, as far as we know that we sent so much."""
    block, me = blocks.by_hash(tx.db, tally), tx.identity.public_key
    mine = [each for each in tallies(tx.db) if each.uploader == me]
    claim = next((each for each in mine if each.id == tally and not each.agreed), None)
    if block is None or claim is None:
        return
    before = sum(each.received for each in mine if each.agreed and each.downloader == claim.downloader)
    if before + claim.received <= sent_to(tx.db, claim.downloader):
        agreed = tx.append(AgreeTally(tally), link=block)
        tx.post(block.public_key, agreed.hash)


def sent_to(db: sqlite3.Connection, downloader: PublicKey) -> int:
    """The bytes that this node knows to have sent to a member."""
    row = db.execute("SELECT bytes FROM carried_bytes WHERE downloader = ?", (downloader,)).fetchone()
    return int(row[0]) if row else 0
