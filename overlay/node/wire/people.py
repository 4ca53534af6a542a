"""Members, reputations and their reasons, proofs of cheating."""

from overlay.node.wire.base import Tell


class Person(Tell, frozen=True):
    """A member as this node's owner sees it. `score` is MeritRank's, with its 95 % interval; `proven_cheat` counts.

    `succeeds` is the proven key whose place this one takes, `succeeded_by` the key that takes the place of this one,
    each in hex or empty; `owes` counts the promises of the keys before this one that it owes.
    """

    public_key: str
    short: str
    name: str
    about: str
    headless: bool
    me: bool
    online: bool
    proven_cheat: bool
    score: float
    low: float
    high: float
    rank: int | None
    succeeds: str = ""
    succeeded_by: str = ""
    owes: int = 0


class People(Tell, frozen=True):
    people: tuple[Person, ...]


class CheatProof(Tell, frozen=True):
    """Two statements of one key at one place of its chain."""

    public_key: str
    name: str
    sequence_number: int
    first: str
    second: str


class CheatProofs(Tell, frozen=True):
    proofs: tuple[CheatProof, ...]
