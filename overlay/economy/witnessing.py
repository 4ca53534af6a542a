"""Giving our word, as the issuer of vouchers, on agreed exchanges of others (docs/ledger.md).

Issuers give their word in the order of their keys, each only when those before it have accepted; an issuer to whom
the exchange was proposed has given its word by agreeing. When the time of a proposal is over, whoever has not accepted
refuses, so that one silent issuer binds nobody for ever.
"""

import sqlite3
from dataclasses import dataclass

from overlay.economy import provenance, succession, weighing
from overlay.economy.facts import Leg, leg_at, legs_of, other_issuers, word_on
from overlay.economy.standing import Standing, holding_standing, is_cancelled
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import Witness


@dataclass(frozen=True, slots=True)
class _Agreed:
    """An agreed exchange, as its issuers need to know it."""

    proposal: BlockHash
    agreement: BlockHash
    number: int
    proposer: PublicKey
    counterparty: PublicKey
    valid_until: int


def give_words(tx: Transaction, proposals: list[int]) -> None:
    """Give every word that is due on these exchanges, and on those for which that makes it due."""
    waiting, due = list(proposals), True
    while due:
        said = {proposal: _give_words(tx, proposal) for proposal in waiting}
        due = any(said.values())
        waiting = [proposal for proposal in waiting if said[proposal] is False]


def _give_words(tx: Transaction, proposal: int) -> bool | None:
    """True when a word was given, False when one may be due later, None when nothing is to be said here."""
    me = tx.identity.public_key
    agreed = _agreed(tx.db, proposal)
    if agreed is None:
        return None
    line = _line(tx, is_counterparty=agreed.counterparty == me)
    legs, gave = [leg for leg in legs_of(tx.db, agreed.proposal) if _is_ours(tx, line, leg)], list[bool]()
    for parts in sorted({leg.parts for leg in legs}):
        mine = [leg for leg in legs if leg.parts == parts]
        if mine[0].own is not None or word_on(tx.db, mine[0]) is not None:
            continue
        verdict = _verdict(tx, agreed, mine, parts)
        gave.append(verdict is not None)
        if verdict is not None:
            _say(tx, agreed, mine, first=verdict)
    return any(gave) if gave else None


def _line(tx: Transaction, *, is_counterparty: bool) -> set[PublicKey]:
    """For whom we speak as issuer: ourselves, where our agreement does not say it already, and keys before ours."""
    me = tx.identity.public_key
    before = {blocks.key_of(tx.db, each) for each in succession.forebears(tx.db, blocks.agent_id(tx.db, me))}
    return before if is_counterparty else {me} | before


def _is_ours(tx: Transaction, line: set[PublicKey], leg: Leg) -> bool:
    """Whether we judge a leg; of vouchers of a key before ours only what we owe."""
    if leg.issuer not in line:
        return False
    me = tx.identity.public_key
    return leg.issuer == me or succession.may_judge(tx.db, me, leg.issuer, leg.voucher)


def _verdict(tx: Transaction, agreed: _Agreed, legs: list[Leg], parts: int) -> bool | None:
    """Whether to accept our legs of an exchange; None when there is nothing to say, or not yet."""
    if all(leg.word == weighing.REFUSED for leg in legs):
        return None
    if tx.now > agreed.valid_until or is_cancelled(tx.db, agreed.number):
        return False
    if any(leg.has_expired(tx.now) for leg in legs):
        return False
    if parts != sum(1 << leg.position for leg in legs) or not all(leg.made for leg in legs):
        return None
    return _is_first(tx, legs, agreed)


def _is_first(tx: Transaction, legs: list[Leg], agreed: _Agreed) -> bool | None:
    """Whether our legs spend what is final, and before anything else; None as long as others have to speak first."""
    sources = [source for leg in legs for source in _sources(tx.db, leg)]
    came = {Standing.FINAL if is_final else holding_standing(tx.db, source) for source, is_final in sources}
    if Standing.REFUSED in came or len({source for source, _ in sources}) < len(sources):
        return False
    if came != {Standing.FINAL}:
        return None
    if any(weighing.rivals_of(tx.db, leg.place, least=3) for leg in legs):
        return False
    return True if _is_my_turn(tx, legs[0], agreed) else None


def _sources(db: sqlite3.Connection, leg: Leg) -> list[tuple[tuple[int, int], bool]]:
    """The holdings that a leg consumes, and whether what each came from is plainly final."""
    rows = db.execute(
        "SELECT i.source, i.idx, s.proposal IS NULL OR (s.word = 1 AND NOT s.beaten) FROM voucher_input i"
        " LEFT JOIN voucher_leg s ON s.proposal = i.source AND s.position = i.idx / 2"
        " WHERE i.proposal = ? AND i.position = ?",
        leg.place,
    )
    return [((source, index), bool(is_final)) for source, index, is_final in rows.fetchall()]


def _is_my_turn(tx: Transaction, leg: Leg, agreed: _Agreed) -> bool:
    earlier = [
        (key, parts) for key, parts in other_issuers(tx.db, leg) if key < leg.issuer or key == agreed.counterparty
    ]
    words = (weighing.words_of(tx.db, agreed.number, blocks.agent_id(tx.db, key), parts) for key, parts in earlier)
    return all(each.first for each in words)


def _say(tx: Transaction, agreed: _Agreed, legs: list[Leg], *, first: bool) -> None:
    rivals = [rival for leg in legs for rival in weighing.rivals_of(tx.db, leg.place)]
    if first:
        _release(tx, rivals)
    _sign(tx, agreed, legs[0], first=first)
    for rival in () if first else rivals:
        if _stands(tx.db, rival):  # the proof for the loser: what was accepted before
            for party in (agreed.proposer, agreed.counterparty):
                provenance.post(tx, party, provenance.exchange_trail(tx.db, rival))


def _sign(tx: Transaction, agreed: _Agreed, leg: Leg, *, first: bool) -> None:
    """Say it, to the parties and to the other issuers, whose own words may wait for it."""
    word = tx.append(Witness(agreed.proposal, agreed.agreement, leg.parts, first), to=agreed.proposer)
    others = (succession.newest_key_of(tx.db, key) for key, _ in other_issuers(tx.db, leg))
    concerned = {agreed.proposer, agreed.counterparty, *others}
    for receiver in sorted(concerned):
        tx.post(receiver, word.hash)


def _release(tx: Transaction, rivals: list[tuple[int, int]]) -> None:
    """Take back what we accepted and another issuer refused, before we accept another spend of the same."""
    for place in rivals:
        rival, agreed = leg_at(tx.db, place), _agreed(tx.db, place[0])
        if rival is None or agreed is None:
            continue
        said = weighing.words_of(tx.db, place[0], blocks.agent_id(tx.db, rival.issuer), rival.parts)
        if said.accepted and not said.refused:
            _sign(tx, agreed, rival, first=False)


def _agreed(db: sqlite3.Connection, proposal: int) -> _Agreed | None:
    row = db.execute(
        "SELECT h.hash, g.hash, a.key, b.key, p.valid_until FROM voucher_proposal p JOIN half h ON h.id = p.block"
        " JOIN half g ON g.id = p.agreement JOIN agent a ON a.id = p.proposer JOIN agent b ON b.id = p.counterparty"
        " WHERE p.block = ?",
        (proposal,),
    ).fetchone()
    return _Agreed(row[0], row[1], proposal, row[2], row[3], row[4]) if row else None


def _stands(db: sqlite3.Connection, leg: tuple[int, int]) -> bool:
    """Whether a leg stands: accepted by its issuer and refused by nobody."""
    query = "SELECT 1 FROM voucher_input WHERE proposal = ? AND position = ? AND stage = 3 LIMIT 1"
    return db.execute(query, leg).fetchone() is not None
