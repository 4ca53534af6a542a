"""Counts votes: every member's node does, whether or not it sees a Bitcoin chain."""

from collections.abc import Iterable

from overlay.dao.assembly.agenda import Agenda
from overlay.dao.assembly.belonging import belongs, nesting
from overlay.dao.assembly.charters import Charter, charters
from overlay.dao.assembly.governance import record_decision
from overlay.dao.assembly.motions import Amendment
from overlay.dao.assembly.proposals import Payment
from overlay.dao.assembly.tallies import tally
from overlay.trustchain.ledger import Ledger


class Counting:
    """One node's. A `Treasury` has its own; a node without a chain backend calls `step` instead of the treasury's."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._agenda = ledger, Agenda(ledger)

    async def step(self) -> None:
        """Record what this node counts as approved in all groups of its member. Raises SigningRefused."""
        db, me = self._ledger.db, self._ledger.identity.public_key
        await self.decided(group for group in charters(db) if belongs(db, group, me))

    async def decided(self, groups: Iterable[Charter]) -> list[tuple[Charter, list[Payment]]]:
        """Record what is counted; of each group what is decided, due, and not settled as paid, by the deadlines.

        Councils come before the groups that sit in them, and amendments last: what a node has counted stays decided
        only if it says so before it adopts another charter. Raises SigningRefused.
        """
        ordered = sorted(groups, key=lambda group: nesting(self._ledger.db, group), reverse=True)
        return [(group, await self._decided(group)) for group in ordered]

    async def _decided(self, group: Charter) -> list[Payment]:
        me, found = self._ledger.identity.public_key, []
        for asked, stands in sorted(self._agenda.of(group), key=lambda each: isinstance(each[0], Amendment)):
            if me not in stands.deciders and (stands.passing or stands.final):
                await self._ledger.transact(lambda tx, asked=asked: record_decision(tx, group, asked))  # type: ignore[misc]
                stands = tally(self._ledger.db, group, asked, self._ledger.clock.now())
            if stands.final and isinstance(asked, Payment) and self._ledger.clock.now() >= stands.due:
                found.append(asked)
        return found
