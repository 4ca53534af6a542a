"""How much to take provisionally from one member: what stands to be lost, in the commons' scale (docs/ledger.md).

The giver's reputation gives the limit. What is at stake is what the giver says it got for it, and at least one for each
step that is handed over: a giver that says little must not get around the limit.
"""

import sqlite3
from collections.abc import Sequence

from overlay.economy.errors import Refused
from overlay.economy.facts import Leg, inputs_of
from overlay.economy.standing import Standing, leg_standing, look_at
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Transaction


def check_limit(tx: Transaction, legs: Sequence[Leg], giver: PublicKey, weight: int, limit: int) -> None:
    """Refuse to take what is not final beyond `limit`, together with what is provisional from this giver already."""
    taken = sum(leg.quantity for leg in legs if _is_uncertain(tx, leg))
    if not taken:
        return
    stake, before = max(weight, taken), exposure(tx.db, tx.identity.public_key, giver)
    if stake + before > limit:
        also = f", besides {before} that you have taken so already" if before else ""
        raise Refused(
            f"this would take {stake} from {short(giver)} that its issuer has still to confirm{also}; your limit for"
            f" this member is {limit}. Wait for the issuer, or say that you take the risk (--beyond-limit)"
        )


def _is_uncertain(tx: Transaction, leg: Leg) -> bool:
    looks = (look_at(tx.db, source, tx.now) for source in inputs_of(tx.db, leg))
    return any(look is None or look.came is not Standing.FINAL for look in looks)


def exposure(db: sqlite3.Connection, receiver: PublicKey, giver: PublicKey) -> int:
    """What would be lost if all that one member gave another, and no issuer has judged, were refused."""
    rows = db.execute(
        "SELECT l.proposal, l.position, l.quantity, p.weight FROM voucher_leg l"
        " JOIN voucher_proposal p ON p.block = l.proposal"
        " WHERE l.made = 1 AND l.word = 0 AND l.receiver = ? AND l.giver = ? ORDER BY l.proposal",
        (blocks.agent_of(db, receiver), blocks.agent_of(db, giver)),
    ).fetchall()
    stakes: dict[int, tuple[int, int]] = {}
    for proposal, position, quantity, weight in rows:
        if leg_standing(db, (proposal, position)) is Standing.PROVISIONAL:
            stakes[proposal] = (weight, stakes.get(proposal, (0, 0))[1] + quantity)
    return sum(max(stake) for stake in stakes.values())
