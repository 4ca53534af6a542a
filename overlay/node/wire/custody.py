"""Who holds a group's keys, and getting a lost share back."""

from typing import Literal

from overlay.node.wire.base import Tell


class Recovered(Tell, frozen=True):
    """What came of asking the others: whether shares came back, and whether this member holds both now."""

    restored: bool
    holds_treasury: bool
    holds_chain: bool


class Holder(Tell, frozen=True):
    """One member of a group, and of which of its keys it says that it holds a share."""

    public_key: str
    name: str
    treasury: bool
    chain: bool


class GroupKeys(Tell, frozen=True):
    """A group's keys: of its treasury, and of its own chain, on which it has said `said` things.

    `version` is the charter's version whose members hold the treasury's key; `changing` that the newest version waits
    for it. `writers` have to take part for the chain to grow. `my_share` says how this node's own stands.
    """

    treasury_key: str
    chain_key: str
    said: int
    version: str
    changing: bool
    threshold: int
    writers: int
    holders: tuple[Holder, ...]
    my_share: Literal["held", "lost", "none"]
