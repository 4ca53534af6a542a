"""Which proposals a node still has to look after: all it knows at its start, then those that news are about.

A long ledger holds thousands that are long over; a node looks twice a second and must not go through them all.
"""

from overlay.dao import chronicle
from overlay.dao.charters import Charter
from overlay.dao.proposals import Proposal, Text, proposal
from overlay.dao.tallies import CLOSING, Tally, tally
from overlay.keys import PublicKey
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Changes, Ledger, meaning
from overlay.trustchain.statements import CastVote, Decide, ProposePayment, ProposeText


class Agenda:
    """One node's; it listens to the ledger for as long as that lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: set[bytes] | None = None
        ledger.listeners.append(self._on_changes)

    def of(self, group: Charter) -> list[tuple[Proposal, Tally]]:
        """The members' proposals of a group that are open, or decided and not settled as paid, by their deadlines."""
        db, now, me = self._ledger.db, self._ledger.clock.now(), self._ledger.identity.public_key
        if self._open is None:
            self._open = set(chronicle.unfinished(db, now - CLOSING))
        found = []
        for id_ in tuple(self._open):
            asked = proposal(db, id_)
            if asked is None or asked.group != group.id:
                continue
            stands = tally(db, group, asked, now)
            if chronicle.is_settled_as_paid(db, id_) or _is_over(group, asked, stands, now, me):
                self._open.discard(id_)
            else:
                found.append((asked, stands))
        return sorted(found, key=lambda each: (each[0].deadline, each[0].id))

    def _on_changes(self, changes: Changes) -> None:
        # A proof that somebody signed two histories only takes votes away: it brings back nothing that is over.
        if self._open is not None:
            self._open |= {about for block in changes.blocks if (about := _proposal_of(block))}


def _is_over(group: Charter, asked: Proposal, stands: Tally, now: int, me: PublicKey) -> bool:
    """Whether no look can change anything: what lapsed, and what was agreed to and counted by this node, too."""
    if asked.proposer not in group.members:
        return True
    if stands.final:
        return isinstance(asked, Text) and (me in stands.deciders or not stands.passing)
    return now > asked.deadline + CLOSING


def _proposal_of(block: HalfBlock) -> bytes | None:
    match meaning(block):
        case ProposePayment() | ProposeText():
            return block.hash
        case CastVote(proposal=about) | Decide(proposal=about):
            return about
        case _:
            return None
