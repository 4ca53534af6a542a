"""How far an exchange has come, and what a member holds: told from facts and words alone (docs/ledger.md).

The issuer of a voucher orders the spends of its holdings on its own chain. The first whole spend that it accepted is
final; what spends the same holding later, or not at all in its eyes, is refused. Nothing here depends on the order in
which blocks arrived.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from overlay.economy.facts import Leg, Place, Word, legs_of, word_on
from overlay.economy.holdings import Holding
from overlay.economy.supply import Supply, supply
from overlay.economy.weighing import REFUSED, has_lost
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Source

# Exchanges that have no word of their issuer yet, looked through behind one that has none either: at 20 us each they
# take 20 ms. What has a longer history without the issuer counts as unproven until the issuer is in reach.
MAX_PROVISIONAL = 1_024


class Standing(Enum):
    """How far an exchange has come, in the words that members read."""

    OPEN = "proposed"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    UNPROVEN = "unproven"  # agreed, but this node does not know where its inputs come from
    PROVISIONAL = "provisional"
    FINAL = "final"
    REFUSED = "refused"


def standing(db: sqlite3.Connection, proposal: bytes, now: int) -> Standing:
    """How an exchange (or offer) stands at `now` (milliseconds), as far as this node can tell."""
    number = blocks.find_id(db, proposal)
    return Standing.UNPROVEN if number is None else standing_of(db, number, now)


def standing_of(db: sqlite3.Connection, proposal: int, now: int) -> Standing:
    """`standing` by the small number of the proposal."""
    query = "SELECT agreed, valid_until, is_offer FROM voucher_proposal WHERE block = ?"
    row = db.execute(query, (proposal,)).fetchone()
    if row is None:
        return Standing.UNPROVEN
    agreed, valid_until, is_offer = row
    if agreed is None:
        exchange = taken_up_by(db, proposal) if is_offer else None
        return _unanswered(db, proposal, valid_until, now) if exchange is None else standing_of(db, exchange, now)
    if _was_declined_first(db, proposal):
        return Standing.CANCELLED
    query = "SELECT position FROM voucher_leg WHERE proposal = ?"
    each = [leg_standing(db, (proposal, position)) for (position,) in db.execute(query, (proposal,)).fetchall()]
    for worst in (Standing.REFUSED, Standing.UNPROVEN, Standing.PROVISIONAL, Standing.FINAL):
        if worst in each:
            return worst
    return Standing.FINAL if is_complete(db, proposal) else Standing.UNPROVEN


def is_complete(db: sqlite3.Connection, proposal: int) -> bool:
    """Whether this node knows every part of a body."""
    known, all_ = db.execute("SELECT count(*), max(count) FROM part WHERE block = ?", (proposal,)).fetchone()
    return bool(known and known == all_)


def taken_up_by(db: sqlite3.Connection, offer: int) -> int | None:
    """The agreed exchange, if any, that came of an offer: the first to which its author agreed."""
    row = db.execute(
        "SELECT e.block FROM voucher_proposal o JOIN voucher_proposal e ON e.offer = o.block"
        " JOIN half h ON h.id = e.agreement WHERE o.block = ? AND o.is_offer AND e.proposer = o.counterparty"
        " AND e.counterparty = o.proposer AND NOT e.is_offer ORDER BY e.agreed, h.hash LIMIT 1",
        (offer,),
    ).fetchone()
    return int(row[0]) if row else None


def _unanswered(db: sqlite3.Connection, proposal: int, valid_until: int, now: int) -> Standing:
    if is_cancelled(db, proposal):
        return Standing.CANCELLED
    return Standing.LAPSED if valid_until <= now else Standing.OPEN


def is_cancelled(db: sqlite3.Connection, proposal: int) -> bool:
    """Whether one of the parties has said so, before or after an agreement."""
    row = db.execute(
        "SELECT 1 FROM voucher_proposal p JOIN voucher_cancellation c ON c.proposal = p.block"
        " AND c.author IN (p.proposer, p.counterparty) WHERE p.block = ? LIMIT 1",
        (proposal,),
    ).fetchone()
    return row is not None


def _was_declined_first(db: sqlite3.Connection, proposal: int) -> bool:
    """Whether an issuer to whom its own voucher was proposed back said no before it said yes."""
    row = db.execute(
        "SELECT 1 FROM voucher_proposal p JOIN voucher_cancellation c ON c.proposal = p.block"
        " AND c.author = p.counterparty AND c.sequence < p.agreed WHERE p.block = ?1"
        " AND EXISTS (SELECT 1 FROM voucher_leg l JOIN voucher_mint m ON m.block = l.voucher"
        " WHERE l.proposal = ?1 AND m.agent = p.counterparty AND l.word = 2) LIMIT 1",
        (proposal,),
    ).fetchone()
    return row is not None


def leg_standing(db: sqlite3.Connection, leg: Place) -> Standing:
    """How one leg of an agreed exchange stands; others in the same exchange may stand worse."""
    known = _verdict(db, leg)
    return _by_history(db, leg) if known is None else known


def _verdict(db: sqlite3.Connection, leg: Place) -> Standing | None:
    """What the leg itself shows; None where it depends on where its inputs come from."""
    made, own, word, beaten = db.execute(
        "SELECT made, own, word, beaten FROM voucher_leg WHERE proposal = ? AND position = ?", leg
    ).fetchone()
    if not made:
        return Standing.UNPROVEN
    if word == REFUSED or beaten:
        return Standing.REFUSED
    if word:
        return Standing.FINAL
    if own is not None:
        return Standing.PROVISIONAL  # the issuer vouches for all that came before
    return Standing.REFUSED if has_lost(db, leg) else None


def _by_history(db: sqlite3.Connection, leg: Place) -> Standing:
    """A leg without a word stands unless what it came from, back to the issuer's words, has been refused."""
    seen, found, waiting = {leg}, set[Standing | None](), [leg]
    while waiting:
        for source in _sources(db, waiting.pop()):
            if source in seen:
                continue
            seen.add(source)
            if len(seen) > MAX_PROVISIONAL:
                return Standing.UNPROVEN
            known = _verdict(db, source)
            found.add(known)
            if known is None:
                waiting.append(source)
    return Standing.REFUSED if Standing.REFUSED in found else Standing.PROVISIONAL


def _sources(db: sqlite3.Connection, leg: Place) -> list[Place]:
    """The legs whose outputs a leg consumes; a mint is none."""
    return db.execute(
        "SELECT l.proposal, l.position FROM voucher_input i JOIN voucher_leg l"
        " ON l.proposal = i.source AND l.position = i.idx / 2 WHERE i.proposal = ? AND i.position = ?",
        leg,
    ).fetchall()


@dataclass(frozen=True, slots=True)
class HoldingStanding:
    """A holding of a member as it is now: `standing` of where it came from; `pending` while a proposal waits."""

    holding: Holding
    standing: Standing
    pending: bool


# A holding that lives, with its source's hash; whether it came of something final, and whether a leg that counts names
# it: then it takes a closer look.
_HELD = (
    "SELECT h.source, h.idx, s.hash, h.quantity, l.proposal IS NULL OR (l.word = 1 AND NOT l.beaten),"
    " EXISTS (SELECT 1 FROM voucher_input i WHERE i.source = h.source AND i.idx = h.idx AND i.stage >= 2)"
    " OR EXISTS (SELECT 1 FROM voucher_input i WHERE i.source = h.source AND i.idx = h.idx AND i.stage = 1"
    " AND i.rank IS NULL AND i.giver = h.holder), m.id, m.expires"
    " FROM voucher_holding h JOIN half s ON s.id = h.source JOIN voucher_mint m ON m.block = h.voucher"
    " LEFT JOIN voucher_leg l ON l.proposal = h.source AND l.position = h.idx / 2"
    " WHERE h.live = 1"
)


@dataclass(frozen=True, slots=True)
class Look:
    """A closer look at a holding that is not finally spent: where it came from, given on, bound by its holder."""

    came: Standing
    given: bool
    bound: bool

    @property
    def is_there(self) -> bool:
        return self.came in (Standing.FINAL, Standing.PROVISIONAL) and not self.given


def _look(db: sqlite3.Connection, row: tuple[Any, ...], now: int, but: frozenset[int] = frozenset()) -> Look:
    source, index, _, _, is_final, is_named, *_ = row
    came = Standing.FINAL if is_final else leg_standing(db, (source, index // 2))
    if not is_named:
        return Look(came, given=False, bound=False)
    return Look(came, not _is_kept(db, (source, index)), is_bound(db, (source, index), now, but=but))


def look_at(db: sqlite3.Connection, source: Source, now: int, but: frozenset[int] = frozenset()) -> Look | None:
    """What is to be known of a holding before it changes hands; None when it is unknown or finally spent. Open
    proposals in `but` (their small numbers) bind nothing."""
    place = (blocks.find_id(db, source.block), source.index)
    row = db.execute(f"{_HELD} AND h.source = ? AND h.idx = ?", place).fetchone()
    return _look(db, row, now, but) if row else None


def current_holdings(
    db: sqlite3.Connection, holder: PublicKey, now: int, voucher: bytes | None = None
) -> list[HoldingStanding]:
    """What a member holds at `now` (of one voucher, or all): not spent, not refused, not expired."""
    query = f"{_HELD} AND h.holder = ?1 AND (?2 IS NULL OR m.id = ?2) ORDER BY s.hash, h.idx"
    found = []
    for row in db.execute(query, (blocks.agent_of(db, holder), voucher)).fetchall():
        look = _look(db, row, now)
        if look.is_there and _is_in_force(row, now):
            found.append(HoldingStanding(_holding(row, holder), look.came, look.bound))
    return found


def free_holdings(db: sqlite3.Connection, holder: PublicKey, voucher: bytes, now: int) -> Iterator[Holding]:
    """What a member can give of a voucher at `now`, the largest first: neither spent nor bound, not expired."""
    query = f"{_HELD} AND h.holder = ? AND h.voucher = ? ORDER BY h.quantity DESC, h.source DESC, h.idx DESC"
    for row in db.execute(query, (blocks.agent_of(db, holder), blocks.find_id(db, voucher))):
        look = _look(db, row, now)
        if look.is_there and not look.bound and _is_in_force(row, now):
            yield _holding(row, holder)


def _holding(row: tuple[Any, ...], holder: PublicKey) -> Holding:
    return Holding(BlockHash(row[2]), row[1], BlockHash(row[6]), holder, row[3])


def _is_in_force(row: tuple[Any, ...], now: int) -> bool:
    expires = row[7]
    return bool(expires == 0 or expires > now)


def holding_standing(db: sqlite3.Connection, holding: Place) -> Standing:
    """How the leg stands that a holding, as (source, index), came from; what was minted is final."""
    leg = (holding[0], holding[1] // 2)
    if db.execute("SELECT 1 FROM voucher_leg WHERE proposal = ? AND position = ?", leg).fetchone() is None:
        return Standing.FINAL
    return leg_standing(db, leg)


def _is_kept(db: sqlite3.Connection, holding: Place) -> bool:
    """Whether a holding that is not finally spent has not been given provisionally either."""
    query = "SELECT proposal, position FROM voucher_input WHERE source = ? AND idx = ? AND stage BETWEEN 2 AND 3"
    return all(leg_standing(db, leg) is Standing.REFUSED for leg in db.execute(query, holding).fetchall())


def is_bound(db: sqlite3.Connection, holding: Place, now: int, *, but: frozenset[int] = frozenset()) -> bool:
    """Whether its holder has an open proposal or offer out that gives this holding, other than those in `but`."""
    rows = db.execute(
        "SELECT DISTINCT i.proposal FROM voucher_input i JOIN voucher_proposal p ON p.block = i.proposal"
        " WHERE i.source = ?1 AND i.idx = ?2 AND i.stage = 1 AND i.rank IS NULL AND p.agreed IS NULL"
        " AND p.valid_until > ?3 AND i.giver = (SELECT holder FROM voucher_holding WHERE source = ?1 AND idx = ?2)",
        (*holding, now),
    ).fetchall()
    return any(
        proposal not in but and not is_cancelled(db, proposal) and taken_up_by(db, proposal) is None
        for (proposal,) in rows
    )


__all__ = [
    "HoldingStanding",
    "Leg",
    "Standing",
    "Supply",
    "Word",
    "current_holdings",
    "legs_of",
    "standing",
    "supply",
    "word_on",
]
