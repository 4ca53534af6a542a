"""Which proposals a node still has to look after, and how they stand: kept up to date by what the ledger tells.

A long ledger holds thousands that are long over, and hundreds on which nothing happens; a node looks twice a second and
must not go through them all, nor count anew what nobody has voted on since.
"""

import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.governance import is_to_be_kept
from overlay.dao.assembly.motions import place
from overlay.dao.assembly.proposals import Payment, Proposal, proposal
from overlay.dao.assembly.tallies import CLOSING, NOT_A_MEMBER, Tally, tally
from overlay.dao.assembly.words import words
from overlay.keys import PublicKey
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Changes, Ledger, meaning
from overlay.trustchain.statements import (
    AmendCharter,
    CastVote,
    Decide,
    Delegate,
    DeliverWork,
    FoundCouncil,
    FoundGroup,
    InstructVote,
    ProposePayment,
    ProposeText,
    ProposeWork,
)

# What somebody says of one of these may change how others stand.
# Each may be tallied again whenever a charter is heard of: 0.1 ms each on one core.
MAX_STRANGE = 100
_FAR_REACHING = ("amendment", "work", "instruction")


@dataclass(slots=True)
class _Entry:
    """A proposal, and how it stood when last counted: that holds until this time, or until something is said of it."""

    asked: Proposal
    stands: Tally | None = None
    until: int = 0


class Agenda:
    """One node's; it listens to the ledger for as long as that lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: dict[bytes, _Entry | None] | None = None
        # Proposals by no member, the newest: the charter that makes their proposers members may be heard of later.
        self._strange: dict[bytes, None] = {}
        ledger.listeners.append(self._on_changes)

    def of(self, group: Charter) -> list[tuple[Proposal, Tally]]:
        """The members' proposals of a group that are open, or decided and not settled as paid, by their deadlines."""
        db, now, me = self._ledger.db, self._ledger.clock.now(), self._ledger.identity.public_key
        if self._open is None:
            self._open = dict.fromkeys((*chronicle.unfinished(db, now - CLOSING), *_not_over(db, now - CLOSING)))
        found = []
        for id_, entry in tuple(self._open.items()):
            known = entry or self._read(id_)
            if known is None:
                del self._open[id_]  # its own block brings it back
                continue
            if known.asked.group not in group.versions:
                continue
            stands = _stands(db, group, known, now)
            if stands.obstacle == NOT_A_MEMBER:
                self._set_aside(id_)
            elif _is_over(db, group, known.asked, stands, now, me):
                del self._open[id_]
            else:
                found.append((known.asked, stands))
        return sorted(found, key=lambda each: (each[0].deadline, each[0].id))

    def _set_aside(self, id_: bytes) -> None:
        if self._open is not None:
            del self._open[id_]
        self._strange[id_] = None
        if len(self._strange) > MAX_STRANGE:
            del self._strange[next(iter(self._strange))]

    def _read(self, id_: bytes) -> _Entry | None:
        asked = proposal(self._ledger.db, id_)
        entry = _Entry(asked) if asked else None
        if self._open is not None and entry is not None:
            self._open[id_] = entry
        return entry

    def _on_changes(self, changes: Changes) -> None:
        if self._open is None:
            return
        # A proof that somebody signed two histories only takes votes away: it brings back nothing that is over.
        self._open |= {about: None for block in changes.blocks if (about := _proposal_of(block))}
        if changes.forks or any(_reaches_far(self._ledger.db, block) for block in changes.blocks):
            self._open = dict.fromkeys((*self._open, *self._strange))
            self._strange.clear()


def open_now(db: sqlite3.Connection, group: Charter, now: int) -> list[tuple[Proposal, Tally]]:
    """The proposals of a group, under its charter as it stands, whose deadline has not come, and how they stand."""
    rows = db.execute(
        "SELECT id FROM group_proposal WHERE charter = ? AND deadline >= ? ORDER BY deadline, id", (group.version, now)
    )
    found = [asked for (id_,) in rows.fetchall() if (asked := proposal(db, id_))]
    return [(asked, tally(db, group, asked, now)) for asked in found]


def _stands(db: sqlite3.Connection, group: Charter, entry: _Entry, now: int) -> Tally:
    if entry.stands is None or now > entry.until:
        entry.stands = tally(db, group, entry.asked, now)
        last = entry.asked.deadline
        entry.until = next((time for time in (last, last + CLOSING) if now <= time), 1 << 63)
    return entry.stands


def _not_over(db: sqlite3.Connection, now: int) -> list[bytes]:
    return [bytes(id_) for (id_,) in db.execute("SELECT id FROM group_proposal WHERE deadline >= ?", (now,))]


def _is_over(db: sqlite3.Connection, group: Charter, asked: Proposal, stands: Tally, now: int, me: PublicKey) -> bool:
    """Whether no look can change anything: what lapsed, what is paid, what was agreed to and counted by this node."""
    if isinstance(asked, Payment) and stands.final:
        return chronicle.is_settled_as_paid(db, asked.id)
    if stands.final:
        counted = me in stands.deciders or (me not in group.members and _has_spoken(db, asked, me))
        return counted or not is_to_be_kept(group, asked, stands, me)
    return now > asked.deadline + CLOSING


def _has_spoken(db: sqlite3.Connection, asked: Proposal, me: PublicKey) -> bool:
    return any(word.author == me for word in words(db, asked.id))


def _proposal_of(block: HalfBlock) -> bytes | None:
    match meaning(block):
        case ProposePayment() | ProposeText() | AmendCharter() | ProposeWork() | InstructVote():
            return block.hash
        case CastVote(proposal=about) | Decide(proposal=about):
            return about
        case _:
            return None


def _reaches_far(db: sqlite3.Connection, block: HalfBlock) -> bool:
    """Whether a block may change how proposals stand that it does not name."""
    match meaning(block):
        case CastVote(proposal=about) | Decide(proposal=about):
            found = place(db, about)
            return found is not None and found.kind in _FAR_REACHING
        case FoundGroup() | FoundCouncil() | Delegate() | DeliverWork():
            return True
        case AmendCharter() | ProposeWork() | InstructVote():
            return True
        case _:
            return False
