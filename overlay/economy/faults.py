"""What members did wrong with vouchers, shown by their own signatures (see `trustchain.faults` for the principle)."""

import sqlite3
from collections.abc import Iterator

from overlay.economy import weighing
from overlay.economy.facts import Leg, leg_at, other_issuers
from overlay.economy.succession import GENERATION_BITS, forebears
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.faults import Fault, chain_faults

# Members' clocks differ: a holding that is given again shortly before the first proposal is over, by the giver's own
# clock, may honestly have been free already by its issuer's.
SKEW = 600_000


def faults(db: sqlite3.Connection, key: PublicKey) -> list[Fault]:
    """Everything that the known blocks prove against one member: of its chain, as a giver, and as an issuer."""
    agent = blocks.agent_id(db, key) if db.execute("SELECT 1 FROM agent WHERE key = ?", (key,)).fetchone() else 0
    return [
        *chain_faults(db, key),
        *_given_twice(db, key, agent),
        *_not_held(db, key, agent),
        *_given_after_expiry(db, key, agent),
        *_accepted_twice(db, key, agent),
        *_contradictions(db, key, agent),
    ]


def _given_twice(db: sqlite3.Connection, key: PublicKey, giver: int) -> Iterator[Fault]:
    """Two agreed spends of one holding, the later signed while the earlier could still be taken up."""
    rows = db.execute(
        "SELECT DISTINCT a.block, b.block FROM voucher_input i JOIN voucher_input j USING (source, idx)"
        " JOIN voucher_proposal a ON a.block = i.proposal JOIN voucher_proposal b ON b.block = j.proposal"
        " JOIN half x ON x.id = CASE WHEN a.proposer = ?1 THEN a.block ELSE a.agreement END"
        " JOIN half y ON y.id = CASE WHEN b.proposer = ?1 THEN b.block ELSE b.agreement END"
        " WHERE i.giver = ?1 AND j.giver = ?1 AND i.stage >= 2 AND j.stage >= 2 AND x.sequence < y.sequence"
        " AND b.timestamp < a.valid_until - ?2"
        " AND NOT EXISTS (SELECT 1 FROM voucher_cancellation c WHERE c.proposal = a.block)"
        " AND NOT EXISTS (SELECT 1 FROM voucher_issuer o WHERE o.proposal = a.block)",
        (giver, SKEW),
    ).fetchall()
    for first, second in _in_order(db, rows):
        yield Fault(key, f"{short(key)} gave one holding twice", (first, second))


def _not_held(db: sqlite3.Connection, key: PublicKey, giver: int) -> Iterator[Fault]:
    """An agreed leg that cannot be: its inputs are all known, and are another's, or sum up to something else."""
    rows = db.execute(
        "SELECT DISTINCT l.proposal, p.agreement FROM voucher_leg l JOIN voucher_proposal p ON p.block = l.proposal"
        " WHERE l.giver = ? AND l.made = 0 AND p.agreed IS NOT NULL AND NOT EXISTS (SELECT 1 FROM voucher_input i"
        " WHERE i.proposal = l.proposal AND i.position = l.position AND NOT EXISTS (SELECT 1 FROM voucher_holding h"
        " WHERE h.source = i.source AND h.idx = i.idx))",
        (giver,),
    ).fetchall()
    for proposal, agreement in _in_order(db, rows):
        yield Fault(key, f"{short(key)} gave what it did not hold", (proposal, agreement))


def _given_after_expiry(db: sqlite3.Connection, key: PublicKey, giver: int) -> Iterator[Fault]:
    rows = db.execute(
        "SELECT DISTINCT p.block, p.agreement FROM voucher_leg l JOIN voucher_proposal p ON p.block = l.proposal"
        " JOIN voucher_mint m ON m.block = l.voucher WHERE l.giver = ? AND p.proposer = l.giver"
        " AND p.agreed IS NOT NULL AND m.expires > 0 AND p.timestamp > m.expires",
        (giver,),
    ).fetchall()
    for proposal, agreement in _in_order(db, rows):
        yield Fault(key, f"{short(key)} gave a promise after it had expired", (proposal, agreement))


def _accepted_twice(db: sqlite3.Connection, key: PublicKey, issuer: int) -> Iterator[Fault]:
    """Two spends of one holding of its own voucher, or of one that it took over, the second accepted by this key."""
    rows = db.execute(
        "SELECT l.proposal, l.position FROM voucher_mint m JOIN voucher_leg l ON l.voucher = m.block"
        " WHERE m.agent = ? AND l.beaten AND l.own IS NOT NULL AND l.word <> 2 AND l.own >> ? = 0",
        (issuer, GENERATION_BITS),
    ).fetchall()
    rows += [leg for before in forebears(db, issuer) for leg in _accepted_after(db, issuer, before)]
    pairs = {(leg[0], rival[0]) for leg in rows for rival in weighing.rivals_of(db, leg, least=3)}
    for first, second in sorted({(min(pair), max(pair)) for pair in _in_order(db, list(pairs))}):
        yield Fault(key, f"{short(key)} accepted two spends of one holding of its own voucher", (first, second))


def _accepted_after(db: sqlite3.Connection, heir: int, before: int) -> list[tuple[int, int]]:
    """Legs in vouchers of a key that `heir` goes on for, which it accepted although another spend stood."""
    return db.execute(
        "SELECT l.proposal, l.position FROM voucher_mint m JOIN voucher_leg l ON l.voucher = m.block"
        " WHERE m.agent = ?1 AND l.beaten AND l.word <> 2 AND l.own >> ?3 > 0 AND EXISTS (SELECT 1 FROM"
        " voucher_witness w WHERE w.proposal = l.proposal AND w.author = ?2 AND w.legs = l.parts AND w.first)",
        (before, heir, GENERATION_BITS),
    ).fetchall()


def _contradictions(db: sqlite3.Connection, key: PublicKey, issuer: int) -> Iterator[Fault]:
    """An acceptance and a refusal of one exchange, which no other issuer's refusal explains."""
    rows = db.execute(
        "SELECT DISTINCT l.proposal, l.position FROM voucher_witness w JOIN voucher_leg l ON l.proposal = w.proposal"
        " JOIN voucher_mint m ON m.block = l.voucher AND m.agent = w.author WHERE w.author = ?",
        (issuer,),
    ).fetchall()
    shown = set[BlockHash]()
    for place in rows:
        leg = leg_at(db, place)
        if leg is not None and _contradicts_itself(db, issuer, leg):
            shown.add(leg.proposal)
    for proposal in sorted(shown):
        yield Fault(key, f"{short(key)} both accepted and refused one exchange", (proposal,))


def _contradicts_itself(db: sqlite3.Connection, issuer: int, leg: Leg) -> bool:
    said = weighing.words_of(db, leg.place[0], issuer, leg.parts)
    if not (said.accepted and said.refused):
        return False
    others = (
        weighing.words_of(db, leg.place[0], blocks.agent_id(db, other), parts)
        for other, parts in other_issuers(db, leg)
    )
    return not said.first or not any(each.refused for each in others)


def _in_order(db: sqlite3.Connection, pairs: list[tuple[int, int]]) -> list[tuple[BlockHash, BlockHash]]:
    """Pairs of small numbers as pairs of hashes, in an order that does not depend on what came first."""
    return sorted((blocks.hash_of(db, one), blocks.hash_of(db, other)) for one, other in pairs)


__all__ = ["Fault", "faults"]
