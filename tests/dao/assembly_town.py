"""Groups without a treasury, for tests of how they decide: real ledgers, and a clock that is set by hand."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from overlay.dao.assembly import governance, mandates
from overlay.dao.assembly.amendments import propose_amendment
from overlay.dao.assembly.bylaws import Charter
from overlay.dao.assembly.charters import current
from overlay.dao.assembly.counting import Counting
from overlay.dao.assembly.groups import GroupsView
from overlay.dao.assembly.proposals import Proposal, proposal
from overlay.dao.assembly.tallies import Tally, tally
from overlay.dao.funds import policy, treasury
from overlay.economy.members import MembersView
from overlay.keys import Identity, PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import (
    AmendCharter,
    Anything,
    Decide,
    Delegate,
    FoundAssembly,
    InstructVote,
    ProposeText,
    Rule,
    encode,
)
from tests.town import HandClock, SeededRandomness

MINUTE = 60_000
HOUR = 60 * MINUTE
MAJORITY = Rule("majority")


class Person:
    """One member's node, as far as governing goes."""

    def __init__(self, role: str, folder: Path, clock: HandClock) -> None:
        self.role, self.clock = role, clock
        self.identity = Identity.from_seed(hashlib.sha512(role.encode()).digest())
        tables = [policy.SCHEMA, treasury.SCHEMA]
        views = [MembersView(), GroupsView()]
        path = folder / f"{role}.db"
        self.ledger = Ledger(path, self.identity, views, clock, SeededRandomness(role), "NORMAL", tables=tables)
        self.counting = Counting(self.ledger)

    @property
    def key(self) -> PublicKey:
        return self.identity.public_key

    def group(self, id_: bytes) -> Charter:
        found = current(self.ledger.db, id_)
        assert found is not None
        return found

    def asked(self, id_: bytes) -> Proposal:
        found = proposal(self.ledger.db, id_)
        assert found is not None
        return found

    def tally(self, id_: bytes) -> Tally:
        asked = self.asked(id_)
        return tally(self.ledger.db, self.group(asked.group), asked, self.clock.now())

    async def say(self, said: Anything) -> BlockHash:
        """Sign anything at all."""
        return (await self.ledger.append(said)).hash

    async def text(self, group: bytes, title: str = "open on Sundays", minutes: int = 60) -> BlockHash:
        said = ProposeText(self.group(group).version, title, "from May on", self.clock.now() + minutes * MINUTE)
        return (await self.ledger.transact(lambda tx: governance.propose_text(tx, said))).hash

    async def vote(self, id_: bytes, choice: str = "yes", reason: str = "") -> BlockHash:
        return (await self.ledger.transact(lambda tx: governance.cast_vote(tx, id_, choice, reason))).hash

    async def amend(self, group: bytes, minutes: int = 60, **changes: Any) -> BlockHash:
        fields: dict[str, Any] = {"admit": (), "remove": (), "threshold": 0, "rules": ()}
        until = self.clock.now() + minutes * MINUTE
        said = AmendCharter(self.group(group).version, "change", "", **(fields | changes), deadline=until)
        return (await self.ledger.transact(lambda tx: propose_amendment(tx, said))).hash

    async def delegate(self, group: bytes, to: PublicKey | None, subject: str = "texts") -> BlockHash:
        version, said = self.group(group).version, Delegate(group, subject, to)
        return (await self.ledger.transact(lambda tx: mandates.delegate(tx, version, said))).hash

    async def instruct(self, group: bytes, about: bytes, choice: str = "yes", reason: str = "") -> BlockHash:
        said = InstructVote(self.group(group).version, about, choice, reason, self.clock.now() + 30 * MINUTE)
        return (await self.ledger.transact(lambda tx: mandates.instruct(tx, said))).hash

    async def count_alone(self, id_: bytes) -> bool:
        """Record what this node counts, if it does; nobody hears of it yet."""
        asked = self.asked(id_)
        group = self.group(asked.group)
        return await self.ledger.transact(lambda tx: governance.record_decision(tx, group, asked))

    def fork(self, said: Anything, at: int) -> HalfBlock:
        """Another block for a place of its own chain."""
        kind, transaction = encode(said)
        (before,) = blocks.at(self.ledger.db, self.key, at - 1)
        made = HalfBlock(self.key, at, ANYONE, 0, before.hash, kind, transaction, self.clock.now())
        return made.signed_by(self.identity)


class AssemblyTown:
    """People who hear all that any of them says, when `tell` is awaited."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, HandClock()
        self.people: dict[str, Person] = {}

    def __getattr__(self, role: str) -> Person:
        return self.people[role]

    def add(self, *roles: str) -> list[Person]:
        for role in roles:
            self.people[role] = Person(role, self.folder, self.clock)
        return [self.people[role] for role in roles]

    def close(self) -> None:
        for person in self.people.values():
            person.ledger.close()

    async def found(self, members: Iterable[PublicKey], threshold: int = 2, **rules: Rule) -> BlockHash:
        """A group, its first person the founder."""
        keys = tuple(members)
        classes = {"payments": MAJORITY, "texts": MAJORITY, "amendments": MAJORITY, "works": MAJORITY} | rules
        said = FoundAssembly("assembly", "", keys, threshold, **classes, limits=None)
        founder = next(person for person in self.people.values() if person.key in keys)
        made = await founder.ledger.transact(lambda tx: governance.found_group(tx, said))
        await self.tell()
        return made.hash

    async def tell(self, *people: Person) -> None:
        """These people (all, if none is named) get every block that any of them has."""
        present = people or tuple(self.people.values())
        everything = [block for person in present for block in blocks.everything(person.ledger.db)]
        for person in present:
            assert await person.ledger.ingest(everything) == []

    async def count(self, *people: Person) -> None:
        """Nodes count, until there is nothing more to count."""
        present = people or tuple(self.people.values())
        for _ in range(3):
            for person in present:
                await person.counting.step()
            await self.tell(*present)

    async def vote(self, id_: bytes, **choices: str) -> None:
        """All hear of a proposal, these vote, all hear of that and count."""
        await self.tell()
        for role, choice in choices.items():
            await self.people[role].vote(id_, choice, "because")
        await self.tell()
        await self.count()


def word(id_: bytes, *votes: bytes) -> Decide:
    return Decide(id_, True, votes)
