"""What a member took in good faith and lost: a claim against the giver, with the statements that prove it.

A claim is for people: the ledger cannot make the giver pay. Everything in it is signed, so it convinces anybody.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from overlay.economy import weighing
from overlay.economy.facts import Leg, legs_of
from overlay.economy.provenance import exchange_trail
from overlay.economy.standing import Standing, standing_of
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock

TWICE = "the same had been given to somebody else, whom the issuer confirmed first"
BEFORE = "what it came from had been refused"
UNCONFIRMED = "its issuer has refused to confirm it"


@dataclass(frozen=True, slots=True)
class Loss:
    """An exchange that stands as refused: what `receiver` did not get, why, and the statements that show it.

    `proof` holds both halves, the issuers' words, the same of the spend that stands instead, and the proof that the
    giver signed two histories, where there is one.
    """

    proposal: BlockHash
    giver: PublicKey
    legs: tuple[Leg, ...]
    reason: str
    proof: tuple[HalfBlock, ...]


def losses(db: sqlite3.Connection, receiver: PublicKey, now: int) -> list[Loss]:
    """All losses of one member, by the exchange's hash."""
    me = blocks.agent_of(db, receiver)
    rows = db.execute(
        "SELECT h.hash, p.block FROM voucher_proposal p JOIN half h ON h.id = p.block WHERE p.agreed IS NOT NULL"
        " AND (p.proposer = ?1 OR p.counterparty = ?1) ORDER BY h.hash",
        (me,),
    ).fetchall()
    refused = (BlockHash(hash_) for hash_, number in rows if standing_of(db, number, now) is Standing.REFUSED)
    return [loss for proposal in refused if (loss := loss_in(db, proposal, receiver)) is not None]


def loss_in(db: sqlite3.Connection, proposal: BlockHash, receiver: PublicKey) -> Loss | None:
    """What one refused exchange cost a member; None where it was to get nothing."""
    legs = tuple(leg for leg in legs_of(db, proposal) if leg.receiver == receiver)
    if not legs:
        return None
    giver = legs[0].giver
    rivals = [rival for leg in legs for rival in weighing.rivals_of(db, leg.place, least=3)]
    trail = [number for place in [*(leg.place for leg in legs), *rivals] for number, _ in exchange_trail(db, place)]
    proof = {block.hash: block for block in (*_known(db, trail), *_forks(db, giver))}
    return Loss(proposal, giver, legs, _reason(legs, rivals), tuple(proof.values()))


def _reason(legs: Iterable[Leg], rivals: list[tuple[int, int]]) -> str:
    if rivals:
        return TWICE
    return UNCONFIRMED if any(leg.word == weighing.REFUSED for leg in legs) else BEFORE


def _known(db: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[HalfBlock]:
    for number in dict.fromkeys(numbers):
        block = blocks.by_id(db, number)
        if block is not None:
            yield block


def _forks(db: sqlite3.Connection, key: PublicKey) -> Iterator[HalfBlock]:
    """The first place at which a key signed twice."""
    query = "SELECT min(sequence) FROM forked WHERE agent = ?"
    (place,) = db.execute(query, (blocks.agent_of(db, key),)).fetchone()
    if place is not None:
        yield from blocks.at(db, key, place)[:2]
