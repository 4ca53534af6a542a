"""What a member has done wrong beside other blocks: derived from the set of known blocks, whatever came first.

Storing is decided by each block alone (`validation.py`), so that every peer keeps the same; these faults are found by
comparing. Each names its culprit and the blocks that show it. A fault is reported only where the blocks prove it: what
an unknown block might still explain is none.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import AgreeExchange, AgreeTally


@dataclass(frozen=True, slots=True)
class Fault:
    """What `culprit` did, in words for people, and the blocks (hashes) that show it."""

    culprit: PublicKey
    sentence: str
    blocks: tuple[BlockHash, ...]


def chain_faults(db: sqlite3.Connection, key: PublicKey) -> list[Fault]:
    """Faults of one member's chain and of its answers to others, in the order of its chain."""
    return [*_forks(db, key), *_broken_links(db, key), *_wrong_answers(db, key)]


def _forks(db: sqlite3.Connection, key: PublicKey) -> Iterator[Fault]:
    places = db.execute(
        "SELECT sequence FROM forked WHERE agent = (SELECT id FROM agent WHERE key = ?) ORDER BY sequence", (key,)
    ).fetchall()
    for (sequence,) in places:
        shown = tuple(block.hash for block in blocks.at(db, key, sequence)[:2])
        yield Fault(key, f"{short(key)} signed two different statements {sequence}", shown)


def _broken_links(db: sqlite3.Connection, key: PublicKey) -> Iterator[Fault]:
    """A block whose known predecessors are all other than the one that it names."""
    rows = db.execute(
        "SELECT h.sequence, h.hash, min(p.hash) FROM half h JOIN half p ON p.agent = h.agent"
        " AND p.sequence = h.sequence - 1 WHERE h.agent = (SELECT id FROM agent WHERE key = ?)"
        " GROUP BY h.id HAVING sum(p.hash = substr(h.tail, 1, 32)) = 0 ORDER BY h.sequence, h.hash",
        (key,),
    )
    for sequence, block, predecessor in rows:
        sentence = f"statement {sequence} of {short(key)} does not follow its statement {sequence - 1}"
        yield Fault(key, sentence, (BlockHash(block), BlockHash(predecessor)))


def _wrong_answers(db: sqlite3.Connection, key: PublicKey) -> Iterator[Fault]:
    answered: dict[bytes, BlockHash] = {}
    for answer, named in _answers(db, key):
        at = f"statement {answer.sequence_number} of {short(key)}"
        asked = blocks.by_hash(db, named)
        if asked is not None and not _fits(answer, asked):
            yield Fault(key, f"{at} names one statement and links to another", (answer.hash, asked.hash))
        elif named in answered:
            yield Fault(key, f"{at} answers what it had answered before", (answered[named], answer.hash))
        answered.setdefault(named, answer.hash)


def _answers(db: sqlite3.Connection, key: PublicKey) -> Iterator[tuple[HalfBlock, bytes]]:
    """The agreement halves of ours on a chain, each with the hash that it says it answers."""
    rows = db.execute(
        "SELECT h.id FROM half h JOIN agent a ON a.id = h.agent WHERE a.key = ? AND h.link_sequence > 0"
        " ORDER BY h.sequence, h.hash",
        (key,),
    ).fetchall()
    for (number,) in rows:
        block = blocks.by_id(db, number)
        match meaning(block) if block else None:
            case AgreeExchange(proposal=named) | AgreeTally(tally=named) if block:
                yield block, named


def _fits(answer: HalfBlock, asked: HalfBlock) -> bool:
    """Whether an answer links to the place of what it names, which was addressed to its author."""
    place = (asked.public_key, asked.sequence_number)
    return (answer.link_public_key, answer.link_sequence_number) == place and asked.link_public_key == answer.public_key
