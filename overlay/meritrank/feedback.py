"""The view that turns fulfilled pairs of half-blocks into evidence: receiver -> provider, by the receiver's word.

Only a pair counts: a half that nobody answered gives nothing, so no statement of one party alone moves a score. The
weight of an exchange is what the receiver's half says, in the commons' scale; that of a bandwidth tally is its bytes
times what the charter says a MiB is worth. Weights are integers in millionths of the scale's unit.
"""

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from overlay.keys import PublicKey
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
        id BLOB PRIMARY KEY, author BLOB NOT NULL, counterparty BLOB NOT NULL, sequence INTEGER NOT NULL,
        worth INTEGER NOT NULL, received INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS feedback_answer (
        half BLOB NOT NULL, id BLOB NOT NULL, author BLOB NOT NULL, link_key BLOB NOT NULL,
        link_sequence INTEGER NOT NULL, worth INTEGER NOT NULL, PRIMARY KEY (half, id)) WITHOUT ROWID;
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
            row = (block.hash, block.public_key, block.link_public_key, block.sequence_number, worth, received)
            db.execute("INSERT INTO feedback_half VALUES (?,?,?,?,?,?)", row)

    def _fold_answer(self, db: sqlite3.Connection, block: HalfBlock, half: bytes, worth: int) -> None:
        link = (block.link_public_key, block.link_sequence_number)
        row = (half, block.hash, block.public_key, *link, worth)
        db.execute("INSERT INTO feedback_answer VALUES (?,?,?,?,?,?)", row)


def evidence(db: sqlite3.Connection, mib_weight: int) -> list[Evidence]:
    """All that fulfilled pairs say, in the order of their blocks' hashes; `mib_weight` is the charter's."""
    rows = db.execute(
        "SELECT h.author, h.counterparty, h.worth, h.received, h.id, min(a.id), a.worth"
        " FROM feedback_half h JOIN feedback_answer a ON a.half = h.id"
        " WHERE a.author = h.counterparty AND a.link_key = h.author AND a.link_sequence = h.sequence"
        " GROUP BY h.id ORDER BY h.id"
    )
    found = []
    for author, counterparty, worth, received, half, answer, answer_worth in rows:
        weight = worth * UNIT + received * mib_weight * UNIT // MIB
        found.append(Evidence(PublicKey(author), PublicKey(counterparty), weight, BlockHash(half)))
        back = answer_worth * UNIT
        found.append(Evidence(PublicKey(counterparty), PublicKey(author), back, BlockHash(answer)))
    return [each for each in found if each.weight > 0]
