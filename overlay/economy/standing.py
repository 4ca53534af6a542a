"""Which spend of a holding stands: the judgement over the facts that the holdings view has folded (DESIGN 3.3).

The issuer of a voucher orders the spends of its holdings on its own chain: by its half where it answers a proposal, by
a witness statement otherwise (also where it proposed itself: a proposal can still be cancelled, so it orders nothing,
docs/decisions/issuer-as-proposer.md). The first whole spend that it accepted is final; what spends the same holding
later, or not at all in its eyes, is refused. Nothing here depends on the order in which blocks arrived.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from overlay.economy.holdings import Holding, agreement_of, holdings, is_whole
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash


class Standing(Enum):
    """How far an exchange has come, in the words that members read."""

    OPEN = "proposed"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    UNPROVEN = "unproven"  # agreed, but this node does not know where its inputs come from
    PROVISIONAL = "provisional"
    FINAL = "final"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg as it was folded."""

    proposal: BlockHash
    position: int
    giver: PublicKey
    receiver: PublicKey
    voucher: BlockHash
    issuer: PublicKey
    quantity: int
    change: int


@dataclass(frozen=True, slots=True)
class Word:
    """What a voucher's issuer said of a leg: at which place of its chain, and whether it was the first spend."""

    sequence: int
    first: bool


def legs_of(db: sqlite3.Connection, proposal: bytes) -> list[Leg]:
    """The legs of an exchange or offer that this node knows."""
    rows = db.execute(
        "SELECT l.proposal, l.position, l.giver, l.receiver, l.voucher, m.issuer, l.quantity, l.change"
        " FROM voucher_leg l JOIN voucher_mint m ON m.id = l.voucher WHERE l.proposal = ? ORDER BY l.position",
        (proposal,),
    )
    return [Leg(BlockHash(a), b, PublicKey(c), PublicKey(d), BlockHash(e), PublicKey(f), g, h)
            for a, b, c, d, e, f, g, h in rows]  # fmt: skip


def word_on(db: sqlite3.Connection, leg: Leg) -> Word | None:
    """What the issuer has said of an agreed leg, if anything: its first word counts."""
    agreement = agreement_of(db, leg.proposal)
    if agreement is None:
        return None
    (counterparty,) = db.execute(
        "SELECT counterparty FROM voucher_exchange WHERE proposal = ?", (leg.proposal,)
    ).fetchone()
    if leg.issuer == counterparty:
        return Word(agreement[1], first=True)
    row = db.execute(
        "SELECT sequence, first FROM voucher_witness WHERE proposal = ? AND author = ? AND agreement = ?"
        " AND legs >> ? & 1 ORDER BY sequence, block LIMIT 1",
        (leg.proposal, leg.issuer, agreement[0], leg.position),
    ).fetchone()
    return Word(row[0], bool(row[1])) if row else None


def standing(db: sqlite3.Connection, proposal: bytes, now: int) -> Standing:
    """How an exchange (or offer) stands at `now` (milliseconds), as far as this node can tell."""
    if agreement_of(db, proposal) is None:
        return _unanswered(db, proposal, now)
    legs = legs_of(db, proposal)
    each = [_leg_standing(db, leg) for leg in legs]
    for worst in (Standing.REFUSED, Standing.UNPROVEN, Standing.PROVISIONAL):
        if worst in each:
            return worst
    return Standing.FINAL


def _unanswered(db: sqlite3.Connection, proposal: bytes, now: int) -> Standing:
    row = db.execute("SELECT valid_until FROM voucher_exchange WHERE proposal = ?", (proposal,)).fetchone()
    if row is None:
        return Standing.UNPROVEN
    cancelled = db.execute(
        "SELECT 1 FROM voucher_cancel c JOIN voucher_exchange e USING (proposal)"
        " WHERE c.proposal = ? AND c.author IN (e.proposer, e.counterparty)",
        (proposal,),
    ).fetchone()
    if cancelled:
        return Standing.CANCELLED
    return Standing.LAPSED if row[0] <= now else Standing.OPEN


def _leg_standing(db: sqlite3.Connection, leg: Leg) -> Standing:
    word = word_on(db, leg)
    if word is not None and not word.first:
        return Standing.REFUSED
    if not is_whole(db, leg.proposal, leg.position):
        return Standing.UNPROVEN
    if _is_defeated(db, leg, word):
        return Standing.REFUSED
    if word is not None:
        return Standing.FINAL  # the issuer vouches for all that came before
    sources = {block for block, _ in inputs_of(db, leg)}
    if any(standing(db, source, 0) is Standing.REFUSED for source in sources if agreement_of(db, source)):
        return Standing.REFUSED
    return Standing.PROVISIONAL


def _is_defeated(db: sqlite3.Connection, leg: Leg, word: Word | None) -> bool:
    """Whether the issuer accepted another whole spend of one of the leg's inputs, and before this one."""
    mine = _rank(leg, word) if word else None
    for rival in rivals_of(db, leg):
        other = word_on(db, rival)
        if other is None or not other.first or not is_whole(db, rival.proposal, rival.position):
            continue
        if (mine is None or _rank(rival, other) < mine) and not _refused_by_word(db, rival.proposal):
            return True
    return False


def _rank(leg: Leg, word: Word) -> tuple[int, bytes, int]:
    return word.sequence, leg.proposal, leg.position


def _refused_by_word(db: sqlite3.Connection, proposal: bytes) -> bool:
    words = (word_on(db, leg) for leg in legs_of(db, proposal))
    return any(word is not None and not word.first for word in words)


def inputs_of(db: sqlite3.Connection, leg: Leg) -> list[tuple[BlockHash, int]]:
    """The holdings that a leg consumes, as (block, index)."""
    rows = db.execute(
        "SELECT block, idx FROM voucher_input WHERE proposal = ? AND position = ? ORDER BY block, idx",
        (leg.proposal, leg.position),
    )
    return [(BlockHash(block), index) for block, index in rows]


def rivals_of(db: sqlite3.Connection, leg: Leg) -> list[Leg]:
    """The other legs, agreed or not, that consume a holding which this one consumes."""
    rows = db.execute(
        "SELECT DISTINCT o.proposal, o.position FROM voucher_input i JOIN voucher_input o USING (block, idx)"
        " WHERE i.proposal = ? AND i.position = ? AND NOT (o.proposal = i.proposal AND o.position = i.position)",
        (leg.proposal, leg.position),
    ).fetchall()
    return [other for proposal, at in rows for other in legs_of(db, proposal) if other.position == at]


@dataclass(frozen=True, slots=True)
class HoldingStanding:
    """A holding of a member as it is now: `standing` of where it came from; `pending` while a proposal waits."""

    holding: Holding
    standing: Standing
    pending: bool


def current_holdings(db: sqlite3.Connection, holder: PublicKey, now: int) -> list[HoldingStanding]:
    """What a member holds at `now`: not spent, not refused, not expired."""
    found = []
    for each in holdings(db, holder):
        came = Standing.FINAL if each.block == each.voucher else standing(db, each.block, now)
        if came in (Standing.REFUSED, Standing.UNPROVEN) or _has_expired(db, each.voucher, now):
            continue
        uses = [standing(db, proposal, now) for proposal in _uses(db, each)]
        if Standing.FINAL in uses or Standing.PROVISIONAL in uses:
            continue
        found.append(HoldingStanding(each, came, Standing.OPEN in uses))
    return found


def _uses(db: sqlite3.Connection, each: Holding) -> list[bytes]:
    rows = db.execute(
        "SELECT DISTINCT proposal FROM voucher_input WHERE block = ? AND idx = ?", (each.block, each.index)
    )
    return [proposal for (proposal,) in rows]


def _has_expired(db: sqlite3.Connection, voucher: bytes, now: int) -> bool:
    (expires,) = db.execute("SELECT expires FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    return bool(expires and expires <= now)


@dataclass(frozen=True, slots=True)
class Supply:
    """What became of one voucher, in its smallest steps: outstanding = minted - redeemed - expired."""

    minted: int
    redeemed: int
    expired: int

    @property
    def outstanding(self) -> int:
        return self.minted - self.redeemed - self.expired


def supply(db: sqlite3.Connection, voucher: bytes, now: int) -> Supply:
    """Supply of one voucher at `now`; exact at its issuer, who is a party to every redemption."""
    minted, expires = db.execute("SELECT quantity, expires FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    rows = db.execute(
        "SELECT l.proposal, l.quantity FROM voucher_leg l JOIN voucher_mint m ON m.id = l.voucher"
        " WHERE l.voucher = ? AND l.receiver = m.issuer",
        (voucher,),
    ).fetchall()
    redeemed = sum(quantity for proposal, quantity in rows if standing(db, proposal, now) is Standing.FINAL)
    return Supply(minted, redeemed, minted - redeemed if expires and expires <= now else 0)
