"""Who belongs, whom this member trusts and why, and who is proven to have cheated."""

from overlay.economy.members import member
from overlay.economy.succession import owed_by, predecessor_of, successor_of
from overlay.keys import PublicKey, short
from overlay.node.actions.lookup import name_of
from overlay.node.actions.registry import query
from overlay.node.node import Node
from overlay.node.wire import CheatProof, CheatProofs, Nothing, People, Person
from overlay.trustchain import blocks


@query("people", "list")
def people(node: Node, ask: Nothing) -> People:
    """List the members with their reputation in your eyes, the most trusted first."""
    online = set(node.home.network.online())
    found = [_person(node, key, key in online) for key in node.home.members()]
    return People(tuple(sorted(found, key=lambda person: (-person.score, person.name, person.public_key))))


@query("people", "cheats")
def cheats(node: Node, ask: Nothing) -> CheatProofs:
    """List the members that are proven to have signed two histories, with the proofs."""
    return CheatProofs(
        tuple(
            CheatProof(
                first.public_key.hex(),
                name_of(node, first.public_key),
                first.sequence_number,
                first.pack().hex(),
                second.pack().hex(),
            )
            for first, second in blocks.forks(node.db)
        )
    )


def _person(node: Node, key: PublicKey, online: bool) -> Person:
    shown, me = member(node.db, key), key == node.identity.public_key
    score = node.home.opinions.score(key)
    rank = None if me else node.home.opinions.rank(key)
    return Person(
        public_key=key.hex(),
        short=short(key),
        name=shown.name,
        about=shown.about,
        headless=shown.headless,
        me=me,
        online=online or me,
        proven_cheat=shown.forked,
        score=score.value,
        low=score.low,
        high=score.high,
        rank=rank.place if rank and score.value > 0 else None,
        succeeds=(predecessor_of(node.db, key, node.home.commons.id) or b"").hex(),
        succeeded_by=(successor_of(node.db, key, node.home.commons.id) or b"").hex(),
        owes=len(owed_by(node.db, key, node.home.commons.id)),
    )
