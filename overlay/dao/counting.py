"""Counts votes: every member's node does, whether or not it sees a Bitcoin chain."""

from overlay.dao.agenda import Agenda
from overlay.dao.charters import Charter, belongs, charters
from overlay.dao.governance import record_decision
from overlay.dao.proposals import Payment
from overlay.dao.tallies import tally
from overlay.trustchain.ledger import Ledger


class Counting:
    """One node's. A `Treasury` has its own; a node without a chain backend calls `step` instead of the treasury's."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._agenda = ledger, Agenda(ledger)

    async def step(self) -> None:
        """Record what this node counts as approved in all groups of its member. Raises SigningRefused."""
        for group in charters(self._ledger.db):
            if belongs(self._ledger.db, group, self._ledger.identity.public_key):
                await self.decided(group)

    async def decided(self, group: Charter) -> list[Payment]:
        """Record what is counted; the payments that are decided, due, and not settled as paid, by their deadlines.

        Raises SigningRefused.
        """
        me, found = self._ledger.identity.public_key, []
        for asked, stands in self._agenda.of(group):
            if me not in stands.deciders and stands.passing:
                await self._ledger.transact(lambda tx, asked=asked: record_decision(tx, group, asked))  # type: ignore[misc]
                stands = tally(self._ledger.db, group, asked, self._ledger.clock.now())
            if stands.final and isinstance(asked, Payment) and self._ledger.clock.now() >= stands.due:
                found.append(asked)
        return found
