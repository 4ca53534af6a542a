"""After the storm: whether all honest nodes have come to agree, and on what they still differ."""

import sqlite3
from collections.abc import Iterator

from overlay.dao.assembly.charters import charters
from overlay.dao.keyring.group_key import agent_of
from overlay.economy.facts import legs_of
from overlay.economy.standing import Standing, current_holdings, standing, supply
from overlay.keys import PublicKey
from overlay.node.guard import CHECKING
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from tests.simulation.folding import Rows, tables
from tests.simulation.invariants import Inspector, Violation
from tests.simulation.member import Member

# The tables that follow from public blocks alone are alike everywhere; these also follow from what was shown to whom.
PRIVATE_TABLES = ("voucher_leg", "voucher_input", "voucher_holding", "voucher_held", "voucher_issuer")
# How much of a voucher came back is known to its issuer, and to others as far as they were shown.
PRIVATE_COLUMNS = frozenset(("voucher_mint.redeemed",))
UNSETTLED = (Standing.PROVISIONAL, Standing.UNPROVEN)


class Peace:
    """The state that the nodes must reach by themselves."""

    def __init__(self, members: list[Member], inspector: Inspector) -> None:
        self._members, self._inspector = members, inspector

    def obstacles(self) -> list[str]:
        """What still keeps the honest nodes from agreeing; nothing when they do."""
        found = [*self._asking(), *self._owed(), *self._lacking(), *self._lacking_of_groups(), *self._unproven()]
        return found or [each for member in self._honest() for each in self._unsettled(member)]

    def check(self) -> None:
        """Same blocks, same views, same verdicts (invariants 2, 3 and 5)."""
        honest = self._honest()
        reference = self._public_tables(honest[0])
        for member in honest:
            mine = self._public_tables(member)
            different = [name for name in mine if mine[name] != reference[name]]
            if different:
                raise Violation(f"3: {member.role} and {honest[0].role} have the same blocks but differ in {different}")
            self._inspector.check_exchanges(member, _agreed(member.up.db))
            self._check_verdicts(member)
            if not self._inspector.cheats:
                self._check_supply(member)

    def _check_supply(self, member: Member) -> None:
        """Of what a member has issued, everything outstanding is in somebody's hands (invariant 4)."""
        db, now = member.up.db, member.clock.now()
        for (voucher,) in db.execute("SELECT id FROM voucher_mint WHERE issuer = ?", (member.key,)).fetchall():
            found = [each for holder in self._members for each in current_holdings(db, holder.key, now, voucher)]
            held, outstanding = sum(each.holding.quantity for each in found), supply(db, voucher, now).outstanding
            if held != outstanding:
                raise Violation(f"4: {outstanding} of a voucher of {member.role} are outstanding, but {held} are held")

    def _honest(self) -> list[Member]:
        return [member for member in self._members if not member.is_cheat and member.node is not None]

    def _asking(self) -> Iterator[str]:
        """Who started just before may still wait for the answers by which it knows that it may sign."""
        for member in self._honest():
            if member.up.ledger.signing_refusal == CHECKING:
                yield f"3: {member.role} does not know yet whether it may sign"

    def _owed(self) -> Iterator[str]:
        for member in self._honest():
            (owed,) = member.up.db.execute("SELECT count(*) FROM outbox").fetchone()
            if owed:
                yield f"2: {member.role} still owes {owed} blocks"

    def _lacking(self) -> Iterator[str]:
        known = {member.role: self._public_blocks(member) for member in self._honest()}
        everything = set[bytes]().union(*known.values())
        for role, mine in known.items():
            if mine != everything:
                yield f"3: {role} lacks {len(everything - mine)} blocks of honest members"

    def proven(self) -> list[PublicKey]:
        """The cheats against whom every honest node has a proof."""
        honest = self._honest()
        cheats = sorted(self._inspector.cheats)
        return [key for key in cheats if all(blocks.has_forked(member.up.db, key) for member in honest)]

    def _unproven(self) -> Iterator[str]:
        """Cheats whose two blocks at one place are both known to honest nodes, and yet not all have the proof."""
        proven = self.proven()
        for cheat in sorted(self._inspector.cheats):
            if cheat not in proven and self._has_shown_two_histories(cheat):
                yield f"5: not everybody has the proof against {self._inspector.name(cheat)}"

    def _unsettled(self, member: Member) -> Iterator[str]:
        """Agreed exchanges of a member that are neither final nor refused though all concerned are there."""
        db, now = member.up.db, member.clock.now()
        there = {other.key for other in self._honest()}
        for proposal in sorted(_agreed(db)):
            block = blocks.by_hash(db, proposal)
            if block is None or member.key not in (block.public_key, block.link_public_key):
                continue
            concerned = {block.public_key, block.link_public_key} | {leg.issuer for leg in legs_of(db, proposal)}
            if concerned <= there and standing(db, proposal, now) in UNSETTLED:
                yield f"2: an exchange of {member.role} is neither final nor refused: {proposal.hex()[:8]}"

    def _check_verdicts(self, member: Member) -> None:
        """What is final for one party is final for the other: its legs have gone both or neither."""
        db = member.up.db
        for proposal, by in sorted(self._inspector.final.items()):
            block = blocks.by_hash(db, proposal)
            is_party = block is not None and member.key in (block.public_key, block.link_public_key)
            if is_party and standing(db, proposal, member.clock.now()) is not Standing.FINAL:
                raise Violation(f"5: an exchange is final for {by}, but not for {member.role}")

    def _has_shown_two_histories(self, key: PublicKey) -> bool:
        query = "SELECT sequence, hash FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?)"
        shown = {place for member in self._honest() for place in member.up.db.execute(query, (key,))}
        return len({sequence for sequence, _ in shown}) < len(shown)

    def _public_blocks(self, member: Member) -> set[bytes]:
        """All blocks but those of cheats, of whose two histories one may be unknown to some, and of groups, which their
        members hand one another."""
        rows = member.up.db.execute("SELECT key, hash FROM block JOIN agent ON agent.id = agent")
        others = self._inspector.cheats | self._groups().keys()
        return {hash_ for key, hash_ in rows if key not in others}

    def _groups(self) -> dict[PublicKey, set[PublicKey]]:
        """The keys of groups that sign a chain of their own, and their members."""
        known = ((member.up.db, group) for member in self._honest() for group in charters(member.up.db))
        return {agent: set(group.members) for db, group in known if (agent := agent_of(db, group))}

    def _lacking_of_groups(self) -> Iterator[str]:
        for agent, members in self._groups().items():
            written = {
                member.role: self._blocks_of(member, agent) for member in self._honest() if member.key in members
            }
            everything = set[bytes]().union(*written.values())
            for role, mine in written.items():
                if mine != everything:
                    yield f"3: {role} lacks {len(everything - mine)} blocks of its group"

    def _blocks_of(self, member: Member, key: PublicKey) -> set[bytes]:
        query = "SELECT hash FROM block JOIN agent ON agent.id = agent WHERE key = ?"
        return {hash_ for (hash_,) in member.up.db.execute(query, (key,))}

    def _public_tables(self, member: Member) -> Rows:
        dubious, found = self._not_everybodys(), tables(member.up.db, member.up.ledger.views, PRIVATE_COLUMNS)
        return {
            name: [row for row in rows if not dubious.intersection(row)]
            for name, rows in found.items()
            if name not in PRIVATE_TABLES
        }

    def _not_everybodys(self) -> set[bytes]:
        """The keys of cheats and groups and the hashes of all their blocks that anybody knows: rows with these may
        differ."""
        keys = self._inspector.cheats | self._groups().keys()
        return keys.union(*(self._blocks_of(member, key) for key in keys for member in self._honest()))


def _agreed(db: sqlite3.Connection) -> set[BlockHash]:
    rows = db.execute(
        "SELECT proposal FROM voucher_exchange JOIN voucher_agreement USING (proposal) WHERE NOT is_offer"
    )
    return {BlockHash(proposal) for (proposal,) in rows}
