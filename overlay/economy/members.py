"""The view of who belongs to the commons and how they want to be shown."""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.economy.claiming import is_claim
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import AdmitMember, Anything, FoundCommons, Profile, SucceedKey, VouchForKey

COMMONS_ID_BYTES = 20


@dataclass(frozen=True, slots=True)
class Commons:
    """A commons by its founding charter."""

    charter: BlockHash
    founder: PublicKey
    name: str
    purpose: str
    mib_weight: int

    @property
    def id(self) -> bytes:
        """The 20 bytes that name this commons on the network."""
        return self.charter[:COMMONS_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Member:
    """One member as it describes itself; `forked` when it is proven to have signed two histories."""

    key: PublicKey
    name: str
    about: str
    headless: bool
    forked: bool


class MembersView:
    """Who vouched for whom, and the newest profile of each. Everyone whom a member admitted is a member."""

    name: ClassVar[str] = "member"
    schema: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS member_commons (
        charter BLOB PRIMARY KEY, founder BLOB NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL,
        mib_weight INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS member_admission (
        sponsor BLOB NOT NULL, member BLOB NOT NULL, PRIMARY KEY (sponsor, member)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS member_profile (
        key BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL, name TEXT NOT NULL, about TEXT NOT NULL,
        headless INTEGER NOT NULL, PRIMARY KEY (key, sequence, block)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS member_claim (
        claim BLOB PRIMARY KEY, old BLOB NOT NULL, new BLOB NOT NULL, head BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS member_claim_on ON member_claim (old);
    CREATE INDEX IF NOT EXISTS member_claim_by ON member_claim (new);
    CREATE TABLE IF NOT EXISTS member_vouch (
        claim BLOB NOT NULL, sponsor BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
        member BLOB NOT NULL, stands INTEGER NOT NULL, PRIMARY KEY (claim, sponsor, sequence, block)) WITHOUT ROWID;
    """

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        match statement:
            case FoundCommons(name=name, purpose=purpose, mib_weight=weight):
                row = (block.hash, block.public_key, name, purpose, weight)
                db.execute("INSERT INTO member_commons VALUES (?,?,?,?,?)", row)
            case AdmitMember(member=member):
                _fold_admission(db, block, member)
            case VouchForKey(member=member, claim=claim, stands=stands):
                if stands:
                    _fold_admission(db, block, member)
                vouch = (claim, block.public_key, block.sequence_number, block.hash, member, stands)
                db.execute("INSERT INTO member_vouch VALUES (?,?,?,?,?,?)", vouch)
            case SucceedKey(old=old, head=head) if is_claim(block, statement):
                db.execute("INSERT INTO member_claim VALUES (?,?,?,?)", (block.hash, old, block.public_key, head))
            case Profile(name=name, about=about, headless=headless):
                row_ = (block.public_key, block.sequence_number, block.hash, name, about, headless)
                db.execute("INSERT INTO member_profile VALUES (?,?,?,?,?,?)", row_)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        """Bodies say nothing of membership."""


def _fold_admission(db: sqlite3.Connection, block: HalfBlock, member: bytes) -> None:
    db.execute("INSERT OR IGNORE INTO member_admission VALUES (?,?)", (block.public_key, member))


def commons(db: sqlite3.Connection, commons_id: bytes) -> Commons | None:
    """The commons whose charter's hash begins with these 20 bytes."""
    row = db.execute(
        "SELECT charter, founder, name, purpose, mib_weight FROM member_commons WHERE substr(charter, 1, 20) = ?",
        (commons_id,),
    ).fetchone()
    return Commons(BlockHash(row[0]), PublicKey(row[1]), row[2], row[3], row[4]) if row else None


def member_keys(db: sqlite3.Connection, commons_id: bytes) -> set[PublicKey]:
    """The founder and everyone admitted by a member, directly or through others."""
    rows = db.execute(
        "WITH RECURSIVE belongs (key) AS ("
        " SELECT founder FROM member_commons WHERE substr(charter, 1, 20) = ?"
        " UNION SELECT member FROM member_admission JOIN belongs ON sponsor = belongs.key)"
        " SELECT key FROM belongs",
        (commons_id,),
    )
    return {PublicKey(key) for (key,) in rows}


def member(db: sqlite3.Connection, key: PublicKey) -> Member:
    """How one key shows itself; a key without a profile has empty texts."""
    row = db.execute(
        "SELECT name, about, headless FROM member_profile WHERE key = ? ORDER BY sequence DESC, block LIMIT 1", (key,)
    ).fetchone()
    name, about, headless = row or ("", "", 0)
    return Member(key, name, about, bool(headless), blocks.has_forked(db, key))
