"""Proposals that move no money by themselves: changes of a charter, paid work, a group's vote in another group."""

import sqlite3
from dataclasses import dataclass

import msgspec

from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import AmendCharter, Media

_amendment_decoder = msgspec.msgpack.Decoder(AmendCharter)


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of the charter in version `group`; `deadline` in milliseconds."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    said: AmendCharter
    deadline: int


@dataclass(frozen=True, slots=True)
class Work:
    """A patch or a piece of work and its price: `amount` satoshis to `script`, on behalf of `worker`."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    text: str
    worker: PublicKey
    script: bytes
    amount: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """How the group, a member of another, votes there on the proposal `about`."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    about: BlockHash
    choice: str
    reason: str
    deadline: int

    @property
    def title(self) -> str:
        """A name for people."""
        return f"Vote {self.choice} in the council"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proposal stands on its proposer's chain, and when that one says it was made (milliseconds)."""

    kind: str
    group: BlockHash
    proposer: PublicKey
    sequence: int
    opened: int
    deadline: int


def place(db: sqlite3.Connection, proposal: bytes) -> Place | None:
    """What every proposal has, of whatever kind."""
    row = db.execute(
        "SELECT kind, charter, proposer, sequence, opened, deadline FROM group_proposal WHERE id = ?", (proposal,)
    ).fetchone()
    return Place(row[0], BlockHash(row[1]), PublicKey(row[2]), *row[3:]) if row else None


def amendment(db: sqlite3.Connection, id_: bytes) -> Amendment | None:
    """The amendment of that id, whoever proposed it."""
    found, row = place(db, id_), db.execute("SELECT said FROM group_amendment WHERE id = ?", (id_,)).fetchone()
    if found is None or row is None:
        return None
    said = _amendment_decoder.decode(row[0])
    return Amendment(BlockHash(id_), found.group, found.proposer, said.title, said, found.deadline)


def work(db: sqlite3.Connection, id_: bytes) -> Work | None:
    """The work of that id, whoever proposed it."""
    row = db.execute("SELECT title, text, worker, script, amount FROM group_work WHERE id = ?", (id_,)).fetchone()
    found = place(db, id_)
    if found is None or row is None:
        return None
    title, text, worker, script, amount = row
    head = (BlockHash(id_), found.group, found.proposer)
    return Work(*head, title, text, PublicKey(worker), script, amount, found.deadline)


def instruction(db: sqlite3.Connection, id_: bytes) -> Instruction | None:
    """The instruction of that id, whoever proposed it."""
    row = db.execute("SELECT about, choice, reason FROM group_instruction WHERE id = ?", (id_,)).fetchone()
    found = place(db, id_)
    if found is None or row is None:
        return None
    head = (BlockHash(id_), found.group, found.proposer)
    return Instruction(*head, BlockHash(row[0]), row[1], row[2], found.deadline)


def media(db: sqlite3.Connection, block: bytes) -> Media | None:
    """The content that a proposal or a delivery names."""
    row = db.execute("SELECT infohash, sha256, size FROM group_media WHERE block = ?", (block,)).fetchone()
    return Media(*row) if row else None
