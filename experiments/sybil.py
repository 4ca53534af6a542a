"""What inventing members gains an attacker: MeritRank against the methods it is compared with.

    python -m experiments.sybil --out DIR [--graph FILE]
    pip install matplotlib            # for the plots; without it only the tables are written

This repeats the comparison of the MeritRank paper (arXiv 2207.09950, section V) on generated graphs and on any
given graph of lines from,to,weight[,time]. The paper's own data, interactions on the MakerDAO forum, are not
shipped with it or with this project, so its figures are not reproduced, only its experiment.

An attacker with honest feedback invents 1 to 10,000 Sybils and vouches for them: in a line (serial), each alone
(parallel), in a line that leads back (cycle), all for one another (clique, thinned to out-degree 127 above 128).
Its feedback for them outweighs its honest feedback a thousandfold. The gain is what its Sybils hold together, in
units of what it held alone before. Scores are seen by the member with the most edges out; the attacker is drawn
from the middle of those with a score (--attacker chooses).

MeritRank is computed exactly, without sampling. The other methods: personalised PageRank, normalised to 1 in the
usual way; hitting time with restarts, the chance that a walk visits the target before it restarts, normalised
to 1 (unnormalised it is MeritRank with beta = 0); and max-flow from the viewer with edge weights as capacities.
"""

import argparse
import csv
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.trust_graphs import count, given_or_generated, viewer
from overlay.meritrank import Decay
from overlay.meritrank.arrays import Floats
from overlay.meritrank.edges import EdgeTable
from overlay.meritrank.exact import total_visits
from overlay.meritrank.sybil import ATTACKS, attacked

SYBILS = (1, 10, 100, 1_000, 10_000)
ALPHAS = (0.05, 0.15, 0.3, 0.5)
BETAS = (0.0, 0.2, 0.5, 0.9)
CHOSEN_SYBILS = 1_000


@dataclass(frozen=True)
class Scene:
    """A graph, who looks at it, and who attacks it (node numbers)."""

    table: EdgeTable
    ego: int
    attacker: int

    def after(self, attack: str, sybils: int) -> EdgeTable:
        return attacked(self.table, self.attacker, attack, sybils)


Row = dict[str, object]
Gain = Callable[[Scene, EdgeTable], float]


def unique_behind(table: EdgeTable, attacker: int, first: int, alpha: float) -> float:
    """The sum of G_at/G_tt over Sybils t, seen from the attacker a: exact gain by the strong Markov property.

    By symmetry or by the absence of ways back, all G_tt are found from few columns: in a line and in parallel no
    Sybil is met twice unless a walk comes back through the attacker; in a cycle and a clique all Sybils look the
    same up to their distance, so the chance to return is computed for a sample of them and is smooth between.
    """
    from overlay.meritrank.exact import returns

    totals = total_visits(table, attacker, alpha)[first:]
    nodes = np.arange(first, table.nodes)
    sample = np.unique(np.linspace(0, len(nodes) - 1, 65).astype(np.int64))
    back = returns(table, alpha, nodes[sample])
    return float((totals / np.interp(np.arange(len(nodes)), sample, back)).sum())


def meritrank(alpha: float, beta: float) -> Gain:
    """The gain under MeritRank; the attacker dominates its Sybils, so beta applies to them all."""

    def gain(scene: Scene, after: EdgeTable) -> float:
        return unique_behind(after, scene.attacker, scene.table.nodes, alpha) * (1 - beta)

    return gain


def normalised(scores: Callable[[EdgeTable, int], Floats]) -> Gain:
    """The gain under scores that are made to sum up to 1, in which Sybils also push others down."""

    def gain(scene: Scene, after: EdgeTable) -> float:
        before, later = scores(scene.table, scene.ego), scores(after, scene.ego)
        own = before[scene.attacker] / before.sum()
        region = later[scene.attacker] + later[scene.table.nodes :].sum()
        return float(region / later.sum() / own) - 1

    return gain


def pagerank(alpha: float) -> Callable[[EdgeTable, int], Floats]:
    """Personalised PageRank: total visits, where a walk without a way on returns to the viewer."""

    def scores(table: EdgeTable, ego: int) -> Floats:
        visits = total_visits(table, ego, alpha)
        visits[ego] = 0.0
        return visits

    return scores


def hitting_time(alpha: float) -> Callable[[EdgeTable, int], Floats]:
    """The chance of a visit before the restart, by walks (an exact column per member would take hours)."""
    from overlay.meritrank.chance import derive, uniform
    from overlay.meritrank.graph import FeedbackGraph
    from overlay.meritrank.transitions import Transitions
    from overlay.meritrank.walks import Walks, lengths

    def scores(table: EdgeTable, ego: int) -> Floats:
        steps = lengths(alpha, uniform(derive(b"experiment lengths"), 200_000))
        walks = Walks(steps, ego)
        walks.run(Transitions(table, FeedbackGraph()), uniform(derive(b"experiment steps"), int(steps.sum())))
        walks.index(table.nodes)
        hits = walks.hits / walks.count
        hits[ego] = 0.0
        return hits

    return scores


def max_flow(scene: Scene, after: EdgeTable) -> float:
    """Each Sybil gets min(flow to the attacker, capacity from there): the attacker can give every one all it has.

    Flow to a Sybil passes the attacker, and edges behind it are a thousand times wider; so a single flow, to the
    attacker, is enough: every Sybil that a path reaches has it too, and N Sybils have N times the attacker's.
    """
    reached = reachable_sybils(scene, after)
    return float(reached) if flow(scene) > 0 else 0.0


def reachable_sybils(scene: Scene, after: EdgeTable) -> int:
    from overlay.meritrank.exact import reachable

    return int(np.count_nonzero(reachable(after, scene.attacker)[scene.table.nodes :]))


def flow(scene: Scene) -> int:
    """The greatest flow from viewer to attacker."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    table = scene.table
    capacities = np.minimum(table.weights, 2**31 - 1).astype(np.int32)
    columns = table.targets.astype(np.int32)
    matrix = csr_array((capacities, columns, table.starts.astype(np.int32)), shape=(table.nodes, table.nodes))
    return int(maximum_flow(matrix, scene.ego, scene.attacker).flow_value)


def methods(decay: Decay) -> dict[str, Gain]:
    """The methods side by side, all with the same chance to stop."""
    return {
        "MeritRank": meritrank(decay.alpha, decay.beta),
        "MeritRank, beta 0": meritrank(decay.alpha, 0.0),
        "personalised PageRank": normalised(pagerank(decay.alpha)),
        "hitting time, normalised": normalised(hitting_time(decay.alpha)),
        "max-flow": max_flow,
    }


def by_size(scene: Scene, decay: Decay, sizes: Iterable[int]) -> list[Row]:
    """The gain of each attack and size under each method."""
    rows: list[Row] = []
    for attack in ATTACKS:
        for sybils in sizes:
            after = scene.after(attack, sybils)
            gains = {name: round(gain(scene, after), 4) for name, gain in methods(decay).items()}
            rows.append({"attack": attack, "sybils": sybils, "bound": round(decay.gain_bound(), 4)} | gains)
    return rows


def by_decay(scene: Scene) -> list[Row]:
    """The gain of CHOSEN_SYBILS under MeritRank for each alpha and beta, and what honest members keep."""
    rows: list[Row] = []
    for alpha in ALPHAS:
        behind = {
            attack: unique_behind(scene.after(attack, CHOSEN_SYBILS), scene.attacker, scene.table.nodes, alpha)
            for attack in ATTACKS
        }
        reach = honest_reach(scene, alpha)
        for beta in BETAS:
            gains = {attack: round(gain * (1 - beta), 4) for attack, gain in behind.items()}
            bound = round(Decay(alpha, beta).gain_bound(), 4)
            rows.append(
                {"alpha": alpha, "beta": beta, "bound": bound} | gains | reach | honest_loss(scene, alpha, beta)
            )
    return rows


def honest_reach(scene: Scene, alpha: float) -> Row:
    """How many members 10,000 walks see, and the share of honest reputation beyond the viewer's own acquaintances."""
    visits = total_visits(scene.table, scene.ego, alpha)
    visits[scene.ego] = 0.0
    known = scene.table.row(scene.ego)[0]
    beyond = 1 - visits[known].sum() / visits.sum()
    return {"seen": int(np.count_nonzero(visits > 1e-4)), "beyond": round(float(beyond), 4)}


def honest_loss(scene: Scene, alpha: float, beta: float) -> Row:
    """The share of honest reputation that connectivity decay takes from honest members who have one sponsor only."""
    visits = total_visits(scene.table, scene.ego, alpha)
    visits[scene.ego] = 0.0
    loss = beta * visits[single_sponsored(scene)].sum() / visits.sum()
    return {"honest loss": round(float(loss), 4)}


def single_sponsored(scene: Scene) -> list[int]:
    """Members to whom every path goes through one other: those whose immediate dominator is not the viewer."""
    parents = dominators(scene.table, scene.ego)
    return [node for node, parent in parents.items() if parent != scene.ego and node != scene.ego]


def dominators(table: EdgeTable, ego: int) -> dict[int, int]:
    """Immediate dominators from `ego` (Cooper, Harvey and Kennedy's iteration)."""
    order = postorder(table, ego)
    before: dict[int, list[int]] = {node: [] for node in order}
    for node in order:
        for target in table.row(node)[0].tolist():
            before[target].append(node)
    number = {node: place for place, node in enumerate(order)}
    parent, last = {ego: ego}, dict[int, int]()
    while parent != last:
        last = dict(parent)
        for node in reversed(order[:-1]):
            parent[node] = common([source for source in before[node] if source in parent], parent, number)
    return parent


def common(nodes: list[int], parent: dict[int, int], number: dict[int, int]) -> int:
    """The nearest node that dominates all of `nodes`."""
    one = nodes[0]
    for other in nodes[1:]:
        while one != other:
            if number[one] < number[other]:
                one = parent[one]
            else:
                other = parent[other]
    return one


def postorder(table: EdgeTable, ego: int) -> list[int]:
    """Reachable nodes, each after all that were first reached through it; `ego` comes last."""
    order: list[int] = []
    seen = {ego}
    stack = [(ego, iter(table.row(ego)[0].tolist()))]
    while stack:
        node, targets = stack[-1]
        for target in targets:
            if target not in seen:
                seen.add(target)
                stack.append((target, iter(table.row(target)[0].tolist())))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def scene_of(options: argparse.Namespace) -> Scene:
    """The graph of the options, its hub as viewer, and an attacker with a middling score."""
    edges = given_or_generated(options.graph, options.edges)
    graph, ego = edges.graph(), viewer(edges, options.ego)
    table = graph.table()
    if options.attacker:
        return Scene(table, graph.find(ego), graph.find(viewer(edges, options.attacker)))
    visits = total_visits(table, graph.find(ego), 0.15)
    visits[graph.find(ego)] = 0.0
    visits[np.diff(table.starts) == 0] = 0.0
    ranked = np.argsort(visits)[np.count_nonzero(visits == 0) :]
    return Scene(table, graph.find(ego), int(ranked[len(ranked) // 2]))


def write_table(rows: list[Row], path: Path) -> None:
    """Write a table as CSV and print it."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) + 2 for name in rows[0]]
    print("".join(f"{name:>{width}}" for name, width in zip(rows[0], widths, strict=True)))
    for row in rows:
        print("".join(f"{value!s:>{width}}" for value, width in zip(row.values(), widths, strict=True)))
    print(f"-> {path}\n")


def plot(rows: list[Row], out: Path) -> None:
    """One panel per attack: gain over the number of Sybils, a line per method, as PNG and SVG."""
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is absent: no plots (pip install matplotlib)")
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(ATTACKS), figsize=(16, 4.2), sharey=True)
    for panel, attack in zip(panels, ATTACKS, strict=True):
        part = [row for row in rows if row["attack"] == attack]
        for name in [name for name in part[0] if name not in ("attack", "sybils")]:
            style = "k--" if name == "bound" else "o-"
            panel.plot([row["sybils"] for row in part], [row[name] for row in part], style, label=name, markersize=4)
        panel.set(xscale="log", yscale="log", title=attack, xlabel="Sybils")
    panels[0].set_ylabel("gain, in units of the attacker's own score")
    panels[-1].legend(fontsize=7)
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(out / f"sybil.{kind}", dpi=120)
        print(f"-> {out / f'sybil.{kind}'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and plots")
    parser.add_argument("--graph", type=Path, help="a file of lines from,to,weight[,time]")
    parser.add_argument("--edges", type=count, default=35_000, help="size of the generated graph otherwise")
    parser.add_argument("--ego")
    parser.add_argument("--attacker")
    parser.add_argument("--alpha", type=float, default=Decay().alpha)
    parser.add_argument("--beta", type=float, default=Decay().beta)
    parser.add_argument("--sybils", type=int, nargs="+", default=SYBILS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    scene = scene_of(options)
    print(f"{scene.table.nodes - 1} members, {len(scene.table.targets)} edges\n")
    rows = by_size(scene, Decay(options.alpha, options.beta), options.sybils)
    write_table(rows, options.out / "sybil_by_size.csv")
    write_table(by_decay(scene), options.out / "sybil_by_decay.csv")
    plot(rows, options.out)


if __name__ == "__main__":
    main()
