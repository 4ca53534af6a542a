"""What an attacker can gain by inventing members, and what it would gain in this graph.

Behind one attacker the bound is simple: from its first visit to the attacker a walk has (1-alpha)/alpha expected
steps left, and each visit to a Sybil needs one. So all Sybils together have at most (1-alpha)/alpha times the
attacker's score, whatever their number and edges, and (1-beta) of that, since the attacker dominates them. The
attacker's own score is unchanged: what happens after the first visit cannot change whether it happens.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from overlay.meritrank.arrays import Longs, Nodes
from overlay.meritrank.chance import derive, uniform
from overlay.meritrank.decay import Decay
from overlay.meritrank.edges import EdgeTable
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.reputation import Reputation
from overlay.meritrank.scores import Score, score_of
from overlay.meritrank.transitions import Transitions
from overlay.meritrank.walks import Walks, lengths

ATTACKS = ("serial", "parallel", "cycle", "clique")
# A clique of 128 has 16,256 edges; larger ones are drawn thin, each Sybil vouching for so many others.
CLIQUE_DEGREE = 127
# An attacker's feedback for its Sybils outweighs all its honest feedback by this factor.
ATTACK_WEIGHT = 1000
# Times 10,000 Sybils it stays below 2^58, so that sums over a row fit 64 bits.
MAX_ATTACK_WEIGHT = 2**44


@dataclass(frozen=True, slots=True)
class RegionReport:
    """How much reputation a region holds, and the most that it could hold.

    entered: the probability that a walk enters the region; entries: its members that a walk entered first;
    held: the sum of its members' scores; bound: the greatest possible sum, however the region rearranges itself
    and however many members it invents.
    """

    entered: Score
    entries: list[bytes]
    held: float
    bound: float


@dataclass(frozen=True, slots=True)
class SybilReport:
    """What inventing members could bring to `member`, as multiples of its own score.

    bound: no attack behind it brings more; gains: what each of ATTACKS brings with `sybils` invented members.
    """

    member: bytes
    score: Score
    sybils: int
    bound: float
    gains: dict[str, float]


def region_report(reputation: Reputation, members: Iterable[bytes]) -> RegionReport:
    """Measure a region, a set of members without the viewer. Unknown members hold nothing."""
    values, walks = reputation.values(), reputation.walks()
    inside = np.zeros(len(walks.hits), np.bool_)
    inside[[node for member in members if (node := reputation.graph.find(member))]] = True
    inside[reputation.graph.find(reputation.ego)] = False
    places = np.flatnonzero(inside.take(walks.at))
    owners, first = np.unique(walks.owner.take(places), return_index=True)
    entered = score_of(len(owners), walks.count)
    entries = np.unique(walks.at.take(places[first])).tolist()
    decay = reputation.decay
    # Behind a single entry all others are dominated; several entries may vouch for one another's Sybils.
    behind = decay.gain_bound() if len(entries) == 1 else (1 - decay.alpha) / decay.alpha
    held = float(values[inside[: len(values)]].sum())
    return RegionReport(entered, sorted(map(reputation.graph.key, entries)), held, entered.value * (1 + behind))


def sybil_report(reputation: Reputation, member: bytes, sybils: int = 100) -> SybilReport:
    """Play all attacks by `member` in a copy of the graph and measure what `sybils` invented members gain."""
    reputation.refresh()
    decay, graph = reputation.decay, reputation.graph
    node, table = graph.find(member), graph.table()
    gains = {
        attack: measured_gain(attacked(table, node, attack, sybils), node, table.nodes, decay, reputation.seed)
        for attack in ATTACKS
        if node
    }
    return SybilReport(bytes(member), reputation.score(member), sybils, decay.gain_bound(), gains)


def attacked(table: EdgeTable, attacker: int, attack: str, sybils: int) -> EdgeTable:
    """`table` with `sybils` more nodes, numbered from table.nodes on, that `attacker` stands behind.

    serial: a line away from the attacker; parallel: each vouched for by the attacker alone; cycle: the line leads
    back to the attacker; clique: attacker and Sybils all vouch for one another (thinned, see CLIQUE_DEGREE).
    """
    sources, targets = _shape(attack, attacker, np.arange(table.nodes, table.nodes + sybils, dtype=np.int32))
    weight = min(MAX_ATTACK_WEIGHT, ATTACK_WEIGHT * max(1, int(table.row(attacker)[1].sum())))
    return EdgeTable.build(
        table.nodes + sybils,
        np.concatenate([table.sources(), sources]),
        np.concatenate([table.targets, targets]),
        np.concatenate([table.weights, np.full(len(sources), weight, np.int64)]),
    )


def _shape(attack: str, attacker: int, sybils: Nodes) -> tuple[Nodes, Nodes]:
    line = np.concatenate([[attacker], sybils]).astype(np.int32)
    if attack == "serial":
        return line[:-1], line[1:]
    if attack == "parallel":
        return np.full(len(sybils), attacker, np.int32), sybils
    if attack == "cycle":
        return line, np.roll(line, -1)
    if attack == "clique":
        return _clique(line)
    raise ValueError(f"an attack is one of {', '.join(ATTACKS)}, not {attack!r}")


def _clique(members: Nodes) -> tuple[Nodes, Nodes]:
    """Everyone to the members at fixed distances round the circle: all of them while the circle is small."""
    count = len(members)
    degree = min(count - 1, CLIQUE_DEGREE)
    distances = np.unique(np.linspace(1, count - 1, degree).astype(np.int64))
    at = np.arange(count)
    return np.repeat(members, len(distances)), members[(at[:, None] + distances).ravel() % count]


def measured_gain(
    table: EdgeTable, attacker: int, first_sybil: int, decay: Decay, seed: bytes, walks: int = 10_000
) -> float:
    """The sum of Sybil scores per unit of the attacker's score: walks start at the attacker (strong Markov)."""
    steps: Longs = lengths(decay.alpha, uniform(derive(b"sybil lengths", seed), walks))
    from_attacker = Walks(steps, attacker)
    from_attacker.run(Transitions(table, FeedbackGraph()), uniform(derive(b"sybil steps", seed), int(steps.sum())))
    from_attacker.index(table.nodes)
    return float(from_attacker.hits[first_sybil:].sum()) / walks * (1 - decay.beta)
