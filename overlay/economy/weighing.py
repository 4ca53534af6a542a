"""What the issuers' words make of a leg (docs/ledger.md): the order of spends is that of the issuer's own chain.

The word of an issuer on an exchange is its agreement half where the exchange was proposed to it, and a witness
statement otherwise (also where it proposed itself: a proposal can still be cancelled, so it orders nothing,
docs/decisions/issuer-as-proposer.md). Its first word counts, by the place on its chain. To decline a proposal before
agreeing to it is a refusal. Where an issuer's fork puts two words at one place, the refusal counts as the first.

Where several issuers are concerned, all must accept. An issuer that has accepted is bound until another has refused;
then it takes its acceptance back by a second word (a release), and only then accepts another spend of the same
holding. Who goes on for an issuer speaks for it, behind all that the issuer itself has said (`succession.py`). The
refusal alone, should its author also have accepted, does not undo what the first issuer still holds to.
"""

import sqlite3
from dataclasses import dataclass

from overlay.economy.succession import GENERATION_BITS, line_of
from overlay.economy.supply import count_redeemed
from overlay.trustchain import blocks

Place = tuple[int, int]
NO_WORD, ACCEPTED, REFUSED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Words:
    """What one issuer has said of one exchange: where on its chain it first accepted, and where it first refused; the
    lower place stands first.

    Places on the chains of those who go on for it have their generation above the 32 bits of the number."""

    said: tuple[tuple[int, bool], ...]

    @property
    def first(self) -> bool | None:
        return self.said[0][1] if self.said else None

    @property
    def accepted(self) -> bool:
        return any(yes for _, yes in self.said)

    @property
    def refused(self) -> bool:
        return any(not yes for _, yes in self.said)


_WORDS = (
    "SELECT (SELECT min(w.sequence) FROM voucher_witness w WHERE w.proposal = ?1 AND w.author = ?2 AND w.legs = ?3"
    " AND w.first = word.first AND w.agreement = a.block) AS place, word.first FROM voucher_agreement a"
    " CROSS JOIN (SELECT 0 AS first UNION ALL SELECT 1) word WHERE a.proposal = ?1"
)


def words_of(db: sqlite3.Connection, proposal: int, issuer: int, parts: int) -> Words:
    """The words of an issuer on an agreed exchange, as far as they judge exactly the legs `parts` (a bit mask)."""
    query = "SELECT counterparty, agreed FROM voucher_proposal WHERE block = ?"
    counterparty, agreed = db.execute(query, (proposal,)).fetchone() or (None, None)
    return _words(db, proposal, issuer, parts, agreed if issuer == counterparty else None)


def _words(db: sqlite3.Connection, proposal: int, issuer: int, parts: int, agreed: int | None) -> Words:
    """The same; `agreed` is the place of the agreement half where the issuer itself has signed it."""
    said = [
        (generation << GENERATION_BITS | sequence, bool(first))
        for author, generation in line_of(db, issuer)
        for sequence, first in db.execute(_WORDS, (proposal, author, parts)).fetchall()
        if sequence is not None
    ]
    if agreed is not None:
        said.append(_as_counterparty(db, proposal, issuer, agreed))
    return Words(tuple(sorted(said)))


def _as_counterparty(db: sqlite3.Connection, proposal: int, issuer: int, agreed: int) -> tuple[int, bool]:
    """The word that lies in the agreement, or in having declined before, of an issuer to whom it was proposed."""
    query = "SELECT min(sequence) FROM voucher_cancellation WHERE proposal = ? AND author = ?"
    (declined,) = db.execute(query, (proposal, issuer)).fetchone()
    return (declined, False) if declined is not None and declined < agreed else (agreed, True)


def others_of(db: sqlite3.Connection, leg: Place) -> list[tuple[int, int]]:
    """The other issuers that a leg names, each with the parts that it judges."""
    query = "SELECT issuer, parts FROM voucher_issuer WHERE proposal = ? AND position = ?"
    return db.execute(query, leg).fetchall()


def weigh_all(db: sqlite3.Connection, proposal: int) -> None:
    """Weigh every made leg of an exchange anew: somebody has said something of it."""
    query = "SELECT proposal, position FROM voucher_leg WHERE proposal = ? AND made ORDER BY position"
    for leg in db.execute(query, (proposal,)).fetchall():
        weigh(db, leg)


def weigh(db: sqlite3.Connection, leg: Place) -> None:
    """Bring the derived columns of a made leg, of its inputs and of its rivals up to date."""
    issuer, parts, was_own, was_word, redeems, counterparty, agreed, has_others = db.execute(
        "SELECT m.agent, l.parts, l.own, l.word, l.receiver = m.agent, p.counterparty, p.agreed,"
        " EXISTS (SELECT 1 FROM voucher_issuer o WHERE o.proposal = l.proposal AND o.position = l.position)"
        " FROM voucher_leg l JOIN voucher_mint m ON m.block = l.voucher JOIN voucher_proposal p ON p.block = l.proposal"
        " WHERE l.proposal = ? AND l.position = ?",
        leg,
    ).fetchone()
    own = _words(db, leg[0], issuer, parts, agreed if issuer == counterparty else None)
    others = [words_of(db, leg[0], other, mask) for other, mask in others_of(db, leg)] if has_others else []
    place, word = own.said[0][0] if own.first else None, _verdict(own, others)
    if (place, word) == (was_own, was_word):
        return
    stands, stood = _stands(place, word), _stands(was_own, was_word)
    _change(db, leg, "own = ?, word = ?, beaten = beaten AND ? IS NOT NULL", (place, word, place), redeems)
    query = "UPDATE voucher_input SET stage = ?, rank = ? WHERE proposal = ? AND position = ?"
    db.execute(query, (3 if stands else 2, None if place is None else _rank(db, leg, place), *leg))
    if word != was_word and ACCEPTED in (word, was_word):
        _refresh_inputs(db, leg, word)
    if stands or stood:
        least = min(each for each in (place, was_own) if each is not None)
        _compare(db, _WITH_RIVALS, leg, _rank(db, leg, least))
    else:
        _compare(db, _ALONE, leg)


def _change(db: sqlite3.Connection, leg: Place, columns: str, values: tuple[int | None, ...], redeems: bool) -> None:
    """Set derived columns of a leg, and count it where that makes or unmakes a settled redemption."""
    before = redeems and _is_settled(db, leg)
    db.execute(f"UPDATE voucher_leg SET {columns} WHERE proposal = ? AND position = ?", (*values, *leg))  # noqa: S608
    after = redeems and _is_settled(db, leg)
    if before != after:
        query = "SELECT voucher, quantity FROM voucher_leg WHERE proposal = ? AND position = ?"
        mint, quantity = db.execute(query, leg).fetchone()
        count_redeemed(db, mint, quantity if after else -quantity)


def _is_settled(db: sqlite3.Connection, leg: Place) -> bool:
    query = "SELECT word = 1 AND NOT beaten FROM voucher_leg WHERE proposal = ? AND position = ?"
    return bool(db.execute(query, leg).fetchone()[0])


def _stands(place: int | None, word: int) -> bool:
    """Whether a leg keeps others from its inputs: its issuer accepted it, and nobody has refused it."""
    return place is not None and word != REFUSED


def _verdict(own: Words, others: list[Words]) -> int:
    all_accepted = all(each.accepted for each in others)
    another_refused = any(each.refused for each in others)
    if own.first is False or (another_refused and (own.refused or not all_accepted)):
        return REFUSED
    return ACCEPTED if own.first and all_accepted else NO_WORD


def _refresh_inputs(db: sqlite3.Connection, leg: Place, word: int) -> None:
    """A holding lives until a leg that consumes it has been accepted by all."""
    inputs = db.execute("SELECT source, idx FROM voucher_input WHERE proposal = ? AND position = ?", leg).fetchall()
    for source, index in inputs:
        spent = word == ACCEPTED or _is_spent(db, source, index)
        db.execute("UPDATE voucher_holding SET live = ? WHERE source = ? AND idx = ?", (not spent, source, index))


def _is_spent(db: sqlite3.Connection, source: int, index: int) -> bool:
    row = db.execute(
        "SELECT 1 FROM voucher_input i JOIN voucher_leg l USING (proposal, position)"
        " WHERE i.source = ? AND i.idx = ? AND i.stage = 3 AND l.word = 1",
        (source, index),
    ).fetchone()
    return row is not None


def rivals_of(db: sqlite3.Connection, leg: Place, *, least: int = 2) -> list[Place]:
    """The other made legs that consume a holding which this one consumes; with `least` 3 only those that stand."""
    return db.execute(
        "SELECT DISTINCT o.proposal, o.position FROM voucher_input i JOIN voucher_input o"
        " ON o.source = i.source AND o.idx = i.idx AND o.stage BETWEEN ?3 AND 3"
        " WHERE i.proposal = ?1 AND i.position = ?2 AND NOT (o.proposal = ?1 AND o.position = ?2)",
        (*leg, least),
    ).fetchall()


# Of some made legs those whose `beaten` is to change: a rival that stands was accepted before, which the first of those
# that stand shows for each input. What has no place of its own is beaten by whatever stands, and there may be a
# thousand of them: that is worked out when it is read (`has_lost`).
_CHANGED = (
    "SELECT l.proposal, l.position, NOT l.beaten, l.receiver = m.agent FROM ({legs}) rival"
    " CROSS JOIN voucher_leg l USING (proposal, position) JOIN voucher_mint m ON m.block = l.voucher"
    " WHERE l.beaten <> EXISTS (SELECT 1 FROM voucher_input mine CROSS JOIN voucher_input first"
    " ON first.source = mine.source AND first.idx = mine.idx AND first.stage = 3 AND first.rank < mine.rank"
    " WHERE mine.proposal = l.proposal AND mine.position = l.position)"
)
_ALONE = _CHANGED.format(legs="SELECT ?1 AS proposal, ?2 AS position")
# Nothing changes before this leg (its rank, now or before, is the third parameter), nor behind the first of the others
# that stand, whatever becomes of this one.
_WITH_RIVALS = _CHANGED.format(
    legs="WITH spent AS (SELECT i.source, i.idx, (SELECT f.rank FROM voucher_input f WHERE f.source = i.source"
    " AND f.idx = i.idx AND f.stage = 3 AND f.rank IS NOT NULL AND (f.proposal <> ?1 OR f.position <> ?2)"
    " ORDER BY f.rank LIMIT 1) AS first FROM voucher_input i WHERE i.proposal = ?1 AND i.position = ?2)"
    " SELECT ?1 AS proposal, ?2 AS position"
    " UNION SELECT o.proposal, o.position FROM spent CROSS JOIN voucher_input o ON o.source = spent.source"
    " AND o.idx = spent.idx AND o.stage IN (2, 3) AND o.rank BETWEEN ?3 AND ifnull(spent.first, x'ff')"
)


def has_lost(db: sqlite3.Connection, leg: Place) -> bool:
    """Whether another leg stands on one of the inputs of a leg that has no place of its own."""
    row = db.execute(
        "SELECT 1 FROM voucher_input mine CROSS JOIN voucher_input other ON other.source = mine.source"
        " AND other.idx = mine.idx AND other.stage = 3 WHERE mine.proposal = ? AND mine.position = ? LIMIT 1",
        leg,
    ).fetchone()
    return row is not None


def _compare(db: sqlite3.Connection, which: str, leg: Place, *least: bytes) -> None:
    """Whether a rival that stands was accepted before this leg, and the same of its rivals where it is asked."""
    for proposal, position, beaten, redeems in db.execute(which, (*leg, *least)).fetchall():
        _change(db, (proposal, position), "beaten = ?", (beaten,), redeems)


def _rank(db: sqlite3.Connection, leg: Place, place: int) -> bytes:
    """Orders legs by the place of the word; where an issuer's fork makes places equal, hash and position decide."""
    return place.to_bytes(8) + blocks.hash_of(db, leg[0]) + leg[1].to_bytes()
