"""Whose turn it is to write a group's chain, and what is to be written on it."""

from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter, charters
from overlay.dao.assembly.turns import FIRST_WAIT, LAST_WAIT, TURN_SECONDS
from overlay.dao.chain import group_statements
from overlay.dao.chain.group_chain import GroupChain
from overlay.dao.chain.group_scribe import NotWritten, Scribe
from overlay.dao.keyring import group_key
from overlay.dao.keyring.custody import BadRecovery
from overlay.network.network import Network
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Changes, Ledger

# Bitcoin blocks are no news of the ledger: what they settle is looked for so often.
LOOK_SECONDS = 5.0


@dataclass(slots=True)
class _Turn:
    """One group's: since when something is to be written, when it is tried again, and what was waited last."""

    since: float
    until: float
    waited: float


class GroupWords:
    """Writes what the groups of this node's member have to say. Call `step` whenever something may have changed."""

    def __init__(self, ledger: Ledger, network: Network) -> None:
        self.chain = GroupChain(ledger, network)
        self._ledger, self._scribe = ledger, Scribe(ledger, network, self.chain)
        self._turns: dict[bytes, _Turn] = {}
        self._has_news, self._looked = True, 0.0
        ledger.listeners.append(self._on_changes)

    async def step(self) -> None:
        """Write one block of each group whose turn is ours. Raises NotWritten with what was not written, at the end."""
        now = self._ledger.clock.monotonic()
        if not self._has_news and not self._turns and now - self._looked < LOOK_SECONDS:
            return
        self._has_news, self._looked = False, now
        failures = []
        for group in charters(self._ledger.db):
            if self._ledger.identity.public_key in group.roster:
                try:
                    await self._look_after(group)
                except (NotWritten, BadRecovery) as failure:
                    failures.append(f"{group.name}: {failure}")
        if failures:
            raise NotWritten(" ".join(failures))

    async def _look_after(self, group: Charter) -> None:
        db, clock, me = self._ledger.db, self._ledger.clock, self._ledger.identity.public_key
        agent = group_key.agent_of(db, group)
        by = group_key.writers(db, group, agent, blocks.first_gap(db, agent)) if agent is not None else None
        word = None
        if agent is not None and by is not None and me in by.members:
            word = group_statements.unsaid(db, group, by, agent, clock.now())
        if agent is None or by is None or word is None:
            self._turns.pop(group.id, None)
            return
        now, place = clock.monotonic(), by.members.index(me)
        turn = self._turns.setdefault(group.id, _Turn(now, now + place * TURN_SECONDS, 0.0))
        if now < turn.until:
            return
        # Whoever fails waits longer each time, and not as long as the others: two that disturb each other part.
        turn.waited = min(2 * turn.waited, LAST_WAIT) or FIRST_WAIT * (1 + place / len(by.members))
        turn.until = now + turn.waited
        await self._scribe.write(by, agent, word)
        self._turns.pop(group.id)

    def _on_changes(self, changes: Changes) -> None:
        self._has_news = self._has_news or bool(changes.blocks)
