"""The view that turns fulfilled pairs of half-blocks into evidence: receiver -> provider, by the receiver's word.

Only a pair counts: a half that nobody answered gives nothing, so no statement of one party alone moves a score. The
weight of an exchange is what the receiver's half says, in the commons' scale; that of a bandwidth tally is its bytes
times what the charter says a MiB is worth. Weights are integers in millionths of the scale's unit.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import AgreeExchange, AgreeTally, Anything, ProposeExchange, TallyUpload

UNIT = 1_000_000
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """One party's word, countersigned by the other: `provider` did something of this worth for `receiver`."""

    receiver: PublicKey
    provider: PublicKey
    weight: int
    block: BlockHash


class FeedbackView:
    """Folds the halves; pairs are joined when asked."""

    name: ClassVar[str] = "feedback"
    schema: ClassVar[str] = """
    CREATE TABLE IF NOT EXISTS feedback_half (
        block INTEGER PRIMARY KEY, worth INTEGER NOT NULL, received INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS feedback_answer (
        proposal INTEGER NOT NULL, block INTEGER NOT NULL, worth INTEGER NOT NULL,
        PRIMARY KEY (proposal, block)) WITHOUT ROWID;
    """

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, statement: Anything) -> None:
        match statement:
            case ProposeExchange(weight=worth):
                self._fold_half(db, block, worth, 0)
            case TallyUpload(received=received):
                self._fold_half(db, block, 0, received)
            case AgreeExchange(proposal=half, weight=worth):
                self._fold_answer(db, block, half, worth)
            case AgreeTally(tally=half):
                self._fold_answer(db, block, half, 0)

    def fold_part(self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure) -> None:
        """Bodies are private; what counts in everyone's eyes is public."""

    def _fold_half(self, db: sqlite3.Connection, block: HalfBlock, worth: int, received: int) -> None:
        if not block.is_agreement and block.link_public_key != block.public_key:
            row = (blocks.block_id(db, block.hash), worth, received)
            db.execute("INSERT INTO feedback_half VALUES (?,?,?)", row)

    def _fold_answer(self, db: sqlite3.Connection, block: HalfBlock, half: bytes, worth: int) -> None:
        row = (blocks.block_id(db, half), blocks.block_id(db, block.hash), worth)
        db.execute("INSERT INTO feedback_answer VALUES (?,?,?)", row)


# Who said what to whom stands in the blocks; of several answers at one place the one with the lowest hash counts.
_PAIRS = (
    "SELECT author.key, other.key, f.worth, f.received, h.hash, min(a.hash), g.worth FROM {halves} f"
    " CROSS JOIN half h ON h.id = f.block CROSS JOIN feedback_answer g ON g.proposal = f.block"
    " CROSS JOIN half a ON a.id = g.block"
    " JOIN agent author ON author.id = h.agent JOIN agent other ON other.id = h.link_agent"
    " WHERE a.agent = h.link_agent AND a.link_agent = h.agent AND a.link_sequence = h.sequence"
    " GROUP BY f.block ORDER BY h.hash"
)


def evidence(db: sqlite3.Connection, mib_weight: int) -> list[Evidence]:
    """All that fulfilled pairs say, in the order of their blocks' hashes; `mib_weight` is the charter's."""
    return _read(db.execute(_PAIRS.format(halves="feedback_half")), mib_weight)


def evidence_of(db: sqlite3.Connection, half: bytes, mib_weight: int) -> list[Evidence]:
    """What one pair says, named by the half that was answered; nothing while it is not fulfilled."""
    one = "(SELECT * FROM feedback_half WHERE block = ?)"
    return _read(db.execute(_PAIRS.format(halves=one), (blocks.find_id(db, half),)), mib_weight)


def answers_to(db: sqlite3.Connection, half: bytes) -> list[BlockHash]:
    """All blocks that were ever signed as an answer to a half, by whomever."""
    query = "SELECT h.hash FROM feedback_answer a JOIN half h ON h.id = a.block WHERE a.proposal = ?"
    return [BlockHash(hash_) for (hash_,) in db.execute(query, (blocks.find_id(db, half),))]


def half_of(block: HalfBlock, said: Anything | None) -> BlockHash | None:
    """The half whose pair a block may make or change; None where it says nothing of that kind."""
    match said:
        case ProposeExchange() | TallyUpload():
            return block.hash
        case AgreeExchange(proposal=half) | AgreeTally(tally=half):
            return BlockHash(half)
        case _:
            return None


def _read(rows: Iterable[tuple[bytes, bytes, int, int, bytes, bytes, int]], mib_weight: int) -> list[Evidence]:
    found = []
    for author, counterparty, worth, received, half, answer, answer_worth in rows:
        weight = worth * UNIT + received * mib_weight * UNIT // MIB
        found.append(Evidence(PublicKey(author), PublicKey(counterparty), weight, BlockHash(half)))
        back = answer_worth * UNIT
        found.append(Evidence(PublicKey(counterparty), PublicKey(author), back, BlockHash(answer)))
    return [each for each in found if each.weight > 0]
