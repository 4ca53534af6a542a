"""What the interface knows of its node: the newest answer of each list, and which lists an event makes stale."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from overlay.node.wire import (
    CheatProofs,
    Event,
    ExchangeModel,
    Exchanges,
    Group,
    Groups,
    HoldingModel,
    Holdings,
    Motion,
    Motions,
    People,
    Person,
    Proposal,
    Proposals,
    Status,
    Tell,
    Voucher,
    Vouchers,
)

# Each list that is kept: where the node tells it, and as what.
LISTS: dict[str, tuple[str, type[Tell]]] = {
    "status": ("status/show", Status),
    "people": ("people/list", People),
    "cheats": ("people/cheats", CheatProofs),
    "vouchers": ("voucher/list", Vouchers),
    "holdings": ("voucher/holdings", Holdings),
    "exchanges": ("exchange/list", Exchanges),
    "groups": ("group/list", Groups),
    "proposals": ("proposal/list", Proposals),
    "motions": ("proposal/recent", Motions),
}
ALL = frozenset(LISTS)

# What an event of each topic makes stale. An exchange moves holdings and what is outstanding; a fulfilled one also
# moves scores, of which the node tells by an event of its own. A decided payment moves a treasury's balance, a decided
# amendment changes a charter, and a charter says who votes.
AFFECTED: dict[str, frozenset[str]] = {
    "status": frozenset({"status"}),
    "people": frozenset({"people", "status"}),
    "cheats": frozenset({"cheats", "people"}),
    "vouchers": frozenset({"vouchers", "holdings"}),
    "exchanges": frozenset({"exchanges", "holdings", "vouchers"}),
    "content": frozenset({"vouchers"}),
    "groups": frozenset({"groups", "motions"}),
    "proposals": frozenset({"proposals", "motions", "groups"}),
}

# A node lets a listener that falls behind miss the oldest events: after so many at once, anything may have changed.
FLOOD = 64

# Two screens full of what happened; older events are in the lists themselves.
EVENTS_KEPT = 100

# What members vote on: payments come with what was paid, all others as motions.
Matter = Proposal | Motion


@dataclass
class State:
    """Owned by the app's message handlers alone; screens read it. `loaded` names the lists that have arrived."""

    status: Status | None = None
    people: People = field(default_factory=lambda: People(()))
    cheats: CheatProofs = field(default_factory=lambda: CheatProofs(()))
    vouchers: Vouchers = field(default_factory=lambda: Vouchers(()))
    holdings: Holdings = field(default_factory=lambda: Holdings(()))
    exchanges: Exchanges = field(default_factory=lambda: Exchanges(()))
    groups: Groups = field(default_factory=lambda: Groups(()))
    proposals: Proposals = field(default_factory=lambda: Proposals(()))
    motions: Motions = field(default_factory=lambda: Motions(()))
    loaded: set[str] = field(default_factory=set)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    heard_in_all: int = 0
    lost: str = ""
    troubles: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, answer: Tell) -> None:
        """Take in a newer answer of the list `name`."""
        setattr(self, name, answer)
        self.loaded.add(name)
        self.troubles.pop(name, None)

    def heard(self, events: Collection[Event]) -> frozenset[str]:
        """Keep the events; the lists that they make stale."""
        self.events.extendleft(events)
        self.heard_in_all += len(events)
        if len(events) >= FLOOD:
            return ALL
        return frozenset().union(*(AFFECTED[event.topic] for event in events))

    @property
    def joined(self) -> bool:
        """Whether the member belongs to a commons; without one a node tells its status and nothing else."""
        return self.status is not None and self.status.commons is not None

    @property
    def me(self) -> str:
        """The key of this member; empty until the status has arrived."""
        return self.status.public_key if self.status else ""

    @property
    def others(self) -> tuple[Person, ...]:
        """The members whom one can trade with."""
        return tuple(person for person in self.people.people if not person.me)

    @property
    def promised(self) -> tuple[Voucher, ...]:
        """What this member promised."""
        return tuple(voucher for voucher in self.vouchers.vouchers if voucher.issuer == self.me)

    @property
    def held(self) -> tuple[HoldingModel, ...]:
        """What this member holds of the promises of others."""
        return tuple(holding for holding in self.holdings.holdings if holding.issuer != self.me)

    @property
    def matters(self) -> tuple[Matter, ...]:
        """The proposals of every kind, each once."""
        others = (each for each in self.motions.motions if each.kind != "payment")
        return (*self.proposals.proposals, *others)

    def matter(self, id_: str) -> Matter | None:
        """The proposal with this id."""
        return next((each for each in self.matters if each.id == id_), None)

    def motion(self, id_: str) -> Motion | None:
        """What is said of a proposal of any kind, payments too, if it is among the newest."""
        return next((each for each in self.motions.motions if each.id == id_), None)

    def issuer(self, voucher: str) -> str:
        """The issuer's key, empty where this node does not know the voucher."""
        return next((each.issuer for each in self.vouchers.vouchers if each.id == voucher), "")

    def name_of(self, public_key: str) -> str:
        """How a member is called, "you" for oneself; a stranger by key."""
        if public_key == self.me:
            return "you"
        name = next((who.name for who in self.people.people if who.public_key == public_key), "")
        return called(name, public_key)

    def to_answer(self) -> tuple[ExchangeModel, ...]:
        """The exchanges that wait for this member's word."""
        return tuple(each for each in self.exchanges.exchanges if each.to_answer)

    def my_vote(self, matter: Matter) -> str:
        """What this member chose, or whom it left its vote to; empty while nobody did."""
        if isinstance(matter, Proposal):
            return matter.my_vote
        return next((each.choice for each in matter.votes if each.voter == self.me), "")

    def may_vote(self, matter: Matter) -> bool:
        """Whether a vote of this member still counts."""
        if isinstance(matter, Proposal):
            return matter.i_may_vote and matter.state == "open"
        mine = {each.id for each in self.groups.groups if each.i_am_member}
        return matter.group in mine and matter.state == "open" and not matter.final

    def to_vote(self) -> tuple[Matter, ...]:
        """The open proposals that this member may vote on and has not."""
        return tuple(each for each in self.matters if self.may_vote(each) and not self.my_vote(each))

    def to_sign(self) -> tuple[Group, ...]:
        """The charters that lack this member's signature."""
        return tuple(each for each in self.groups.groups if may_sign(each))


def short(public_key: str) -> str:
    """The first digits of a key's signing half, by which members tell two of one name apart.

    A public key is 10 bytes of marker and two halves of 32 bytes, in hex.
    """
    return public_key[84:94]


def called(name: str, public_key: str) -> str:
    """The name a member goes by; the short key of one who has none that can be shown."""
    return name or short(public_key)


def may_sign(group: Group) -> bool:
    """Whether this member's signature is what the charter waits for."""
    return group.i_am_member and not group.i_have_signed
