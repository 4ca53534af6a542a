"""Tells a peer blocks of a chain: whole or what one declares alone, piece by piece, and the proofs of forks.

Blocks are handed on as they were stored, without being read.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable

from overlay.keys import PublicKey
from overlay.network.heads import DECLARE
from overlay.network.messages import MAX_FORKS, AskRange, frames
from overlay.network.network import Refusal

LAST_SEQUENCE = 0xFFFF_FFFF
# Blocks of one piece of an answer: 64 of at most 1,445 bytes are less than a stream's outbox (128 KiB).
BLOCKS_PER_PIECE = 64


async def tell(db: sqlite3.Connection, keeps: Callable[[PublicKey], bool], ask: AskRange) -> AsyncIterator[bytes]:
    """What was asked for, as pieces of frames; `keeps` says whose chains are kept whole. Raises Refusal."""
    key, first = PublicKey(ask.key), ask.first
    if ask.forks:
        yield frames(raw_forks(db, key))
        return
    told = raw_declares if ask.declares else raw_chain
    # Whoever asks for the end of its own chain names the last block that it knows. Of a chain that is not kept we
    # may have that very block and none behind it, and our silence must not be taken for a word that there is none.
    asks_for_end = ask.last == LAST_SEQUENCE and not ask.declares
    if not keeps(key) and not told(db, key, first + asks_for_end, ask.last, 1):
        raise Refusal("this node does not keep that chain, and knows nothing of its end")
    while found := told(db, key, first, ask.last, BLOCKS_PER_PIECE):
        yield frames(raw for _, raw in found)
        first = found[-1][0] + 1


def raw_forks(db: sqlite3.Connection, key: PublicKey) -> list[bytes]:
    """The proofs that `key` signed twice at one place: two blocks each, MAX_FORKS places at most."""
    rows = db.execute(
        "SELECT first, second FROM fork WHERE agent = (SELECT id FROM agent WHERE key = ?) ORDER BY sequence LIMIT ?",
        (key, MAX_FORKS),
    )
    return [raw for pair in rows for raw in pair]


def raw_chain(db: sqlite3.Connection, key: PublicKey, first: int, last: int, limit: int) -> list[tuple[int, bytes]]:
    """One block at each of at most `limit` places first..last of a chain, in order, each with its number."""
    rows = db.execute(
        "SELECT sequence, raw, min(hash) FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?)"
        " AND sequence BETWEEN ? AND ? GROUP BY sequence ORDER BY sequence LIMIT ?",
        (key, first, last, limit),
    )
    return [(sequence, raw) for sequence, raw, _ in rows]


def raw_declares(db: sqlite3.Connection, key: PublicKey, first: int, last: int, limit: int) -> list[tuple[int, bytes]]:
    """The same of the blocks that declare something, alone."""
    rows = db.execute(
        "SELECT sequence, raw, min(hash) FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?)"
        " AND sequence BETWEEN ? AND ? AND type = ? GROUP BY sequence ORDER BY sequence LIMIT ?",
        (key, first, last, DECLARE, limit),
    )
    return [(sequence, raw) for sequence, raw, _ in rows]
