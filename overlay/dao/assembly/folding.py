"""Tables of what groups decide beside payments and texts, and how statements get into them.

`group_proposal` has every proposal of every class; `group_slot` those of which only one can be decided.
"""

import sqlite3

import msgspec

from overlay.trustchain.block import HalfBlock
from overlay.trustchain.statements import (
    MAX_QUANTITY,
    AcceptWork,
    AmendCharter,
    Anything,
    Comment,
    Delegate,
    DeliverWork,
    InstructVote,
    Media,
    ProposeDocument,
    ProposePayment,
    ProposeText,
    ProposeWork,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS group_rule (
    charter BLOB NOT NULL, subject TEXT NOT NULL, rule BLOB NOT NULL, PRIMARY KEY (charter, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_proposal (
    id BLOB PRIMARY KEY, charter BLOB NOT NULL, kind TEXT NOT NULL, proposer BLOB NOT NULL, sequence INTEGER NOT NULL,
    opened INTEGER NOT NULL, deadline INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_proposal_deadline ON group_proposal (charter, deadline, id);
CREATE TABLE IF NOT EXISTS group_slot (
    slot BLOB NOT NULL, proposal BLOB NOT NULL, charter BLOB NOT NULL, PRIMARY KEY (slot, proposal)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_media (
    block BLOB PRIMARY KEY, infohash BLOB NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_amendment (
    id BLOB PRIMARY KEY, base BLOB NOT NULL, said BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_amendment_base ON group_amendment (base, id);
CREATE TABLE IF NOT EXISTS group_work (
    id BLOB PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, worker BLOB NOT NULL, script BLOB NOT NULL,
    amount INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_delivery (
    id BLOB PRIMARY KEY, work BLOB NOT NULL, author BLOB NOT NULL, sequence INTEGER NOT NULL, note TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_delivery_work ON group_delivery (work, sequence, id);
CREATE TABLE IF NOT EXISTS group_acceptance (
    id BLOB PRIMARY KEY, work BLOB NOT NULL, delivery BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_instruction (
    id BLOB PRIMARY KEY, charter BLOB NOT NULL, about BLOB NOT NULL, choice TEXT NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_instruction_about ON group_instruction (about, id);
CREATE TABLE IF NOT EXISTS group_delegation (
    charter BLOB NOT NULL, subject TEXT NOT NULL, author BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
    target BLOB, PRIMARY KEY (charter, subject, author, sequence, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_comment (
    proposal BLOB NOT NULL, time INTEGER NOT NULL, author BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB NOT NULL,
    text TEXT NOT NULL, PRIMARY KEY (proposal, author, sequence, block)) WITHOUT ROWID;
"""

Proposing = ProposePayment | ProposeText | AmendCharter | ProposeWork | InstructVote


def fold(db: sqlite3.Connection, block: HalfBlock, said: Anything) -> None:
    """Add what a statement of these says; each block comes once."""
    place = (block.public_key, block.sequence_number, block.hash)
    match said:
        case ProposePayment() | ProposeText() | AmendCharter() | ProposeWork() | InstructVote():
            _fold_proposal(db, block, said)
        case DeliverWork(work=work, evidence=evidence, note=note):
            row = (block.hash, work, block.public_key, block.sequence_number, note)
            db.execute("INSERT INTO group_delivery VALUES (?,?,?,?,?)", row)
            _fold_media(db, block, evidence)
        case Delegate(group=group, subject=subject, to=to):
            db.execute("INSERT INTO group_delegation VALUES (?,?,?,?,?,?)", (group, subject, *place, to))
        case Comment(proposal=about, text=text):
            time = min(block.timestamp, MAX_QUANTITY)
            db.execute("INSERT INTO group_comment VALUES (?,?,?,?,?,?)", (about, time, *place, text))


def _fold_proposal(db: sqlite3.Connection, block: HalfBlock, said: Proposing) -> None:
    opened = min(block.timestamp, MAX_QUANTITY)
    row = (block.hash, said.group, _kind(said), block.public_key, block.sequence_number, opened, said.deadline)
    db.execute("INSERT INTO group_proposal VALUES (?,?,?,?,?,?,?)", row)
    match said:
        case AmendCharter():
            raw = msgspec.msgpack.encode(said)
            db.execute("INSERT INTO group_amendment VALUES (?,?,?)", (block.hash, said.group, raw))
            _fold_slot(db, said.group, block, said)
        case ProposeWork():
            work = (block.hash, said.title, said.text, said.worker, said.script, said.amount)
            db.execute("INSERT INTO group_work VALUES (?,?,?,?,?,?)", work)
            _fold_media(db, block, said.content)
        case AcceptWork():
            db.execute("INSERT INTO group_acceptance VALUES (?,?,?)", (block.hash, said.work, said.delivery))
            _fold_slot(db, said.work, block, said)
        case InstructVote():
            told = (block.hash, said.group, said.about, said.choice, said.reason)
            db.execute("INSERT INTO group_instruction VALUES (?,?,?,?,?)", told)
            _fold_slot(db, said.about, block, said)
        case ProposeDocument():
            _fold_media(db, block, said.content)


def _kind(said: Proposing) -> str:
    match said:
        case ProposePayment():
            return "payment"
        case ProposeText():
            return "text"
        case AmendCharter():
            return "amendment"
        case ProposeWork():
            return "work"
        case _:
            return "instruction"


def _fold_slot(db: sqlite3.Connection, slot: bytes, block: HalfBlock, said: Proposing) -> None:
    db.execute("INSERT INTO group_slot VALUES (?,?,?)", (slot, block.hash, said.group))


def _fold_media(db: sqlite3.Connection, block: HalfBlock, media: Media | None) -> None:
    if media is not None:
        row = (block.hash, media.infohash, media.sha256, media.size)
        db.execute("INSERT INTO group_media VALUES (?,?,?,?)", row)
