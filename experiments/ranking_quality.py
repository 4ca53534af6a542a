"""Do known cheaters rank low? On a signed trust graph such as Bitcoin-OTC: soc-sign-bitcoinotc.csv of SNAP.

    python -m experiments.ranking_quality --graph FILE [--json] [--out DIR]
    pip install networkx igraph matplotlib     # further methods and the plot; without them they are left out

FILE has lines from,to,weight[,time]. Weights above zero are feedback and make the graph. Weights below zero are
judgements, never edges: no method sees them. A member is a cheater when at least --judges others judged it and
those judgements outweigh the feedback it got (the sum of all weights is below zero); a member is honest when at
least as many others gave it feedback and nobody judged it. All others are left out. Cheaters mostly had good
feedback first, so this is hard for every method.

AUC is the chance that a random cheater has a lower score than a random honest member, ties counting half; 0.5 is
chance. Two readings: over all judged members, and (`known`) over those alone whom a path from the viewer reaches,
since not being known at all already tells most cheaters apart. Scores are seen by the --ego (the member with the
most edges out by default); `mean over viewers` repeats it for the 20 members with most edges out.
"""

import argparse
import csv
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.trust_graphs import read, viewer
from overlay.meritrank import Decay, FeedbackGraph, Reputation
from overlay.meritrank.arrays import Flags, Floats, Longs
from overlay.meritrank.exact import reachable, returns, total_visits
from overlay.meritrank.table import TrustTable

VIEWERS = 20
WALKS = 100_000
ALPHAS = (0.05, 0.15, 0.3, 0.5)
BETAS = (0.2, 0.5, 0.9)
# Exact scores need a column of the inverse per member: 20 s for 6,000 of them.
EXACT_MEMBERS = 10_000

Method = Callable[[int], Floats]


@dataclass(frozen=True)
class Judged:
    """Node numbers of the known cheaters and of the known honest members."""

    cheaters: Longs
    honest: Longs

    def but(self, ego: int) -> "Judged":
        return Judged(self.cheaters[self.cheaters != ego], self.honest[self.honest != ego])

    def among(self, known: Flags) -> "Judged":
        return Judged(self.cheaters[known[self.cheaters]], self.honest[known[self.honest]])


def judged(table: TrustTable, judges: int) -> Judged:
    """Cheaters and honest members by the rule above. Labels ascend, so label i is node i + 1."""
    members = len(table.labels)
    below = np.bincount(table.providers[table.weights < 0], minlength=members)
    above = np.bincount(table.providers[table.weights > 0], minlength=members)
    sums = np.bincount(table.providers, weights=table.weights, minlength=members)
    cheaters = np.flatnonzero((below >= judges) & (sums < 0))
    return Judged(cheaters + 1, np.flatnonzero((above >= judges) & (below == 0)) + 1)


def auc(scores: Floats, of: Judged) -> float:
    """The chance that a cheater has the lower score (Mann and Whitney's U over all pairs)."""
    if not len(of.cheaters) or not len(of.honest):
        return float("nan")
    honest = np.sort(scores[of.honest])
    low, high = (np.searchsorted(honest, scores[of.cheaters], side=side) for side in ("left", "right"))
    return float(1 - (low + high).sum() / 2 / (len(of.cheaters) * len(of.honest)))


def methods(graph: FeedbackGraph) -> dict[str, Method]:
    """Every method as a function from the viewer's node to a score for each node."""
    found: dict[str, Method] = {}
    for alpha in ALPHAS:
        found[f"MeritRank, alpha {alpha}"] = meritrank(graph, Decay(alpha, 0.0))
    for beta in BETAS:
        found[f"MeritRank, alpha 0.15, beta {beta}"] = meritrank(graph, Decay(0.15, beta))
    if len(graph) <= EXACT_MEMBERS:
        found["MeritRank, alpha 0.15, exact"] = exact(graph)
    found["personalised PageRank"] = lambda ego: total_visits(graph.table(), ego, 0.15)
    found["direct feedback"] = lambda ego: direct(graph, ego)
    found["feedback received"] = lambda _: received(graph, weighted=True)
    found["number of receivers"] = lambda _: received(graph, weighted=False)
    if importlib.util.find_spec("igraph"):
        found["global PageRank (igraph)"] = pagerank(graph)
    if importlib.util.find_spec("networkx"):
        found["distance (networkx)"] = distance(graph)
    return found


def meritrank(graph: FeedbackGraph, decay: Decay) -> Method:
    return lambda ego: Reputation(graph, graph.key(ego), b"quality", WALKS, decay).values()


def exact(graph: FeedbackGraph) -> Method:
    """G_st/G_tt without sampling: members that no walk of the others happens to meet are still told apart."""
    table = graph.table()
    nodes = np.arange(table.nodes)
    parts = [returns(table, 0.15, nodes[begin : begin + 256]) for begin in range(0, table.nodes, 256)]
    back = np.concatenate(parts)
    return lambda ego: total_visits(table, ego, 0.15) / back


def direct(graph: FeedbackGraph, ego: int) -> Floats:
    scores = np.zeros(len(graph) + 1)
    row = graph.row(ego)
    scores[list(row)] = list(row.values())
    return scores


def received(graph: FeedbackGraph, weighted: bool) -> Floats:
    table = graph.table()
    weights = table.weights if weighted else np.ones(len(table.weights))
    return np.bincount(table.targets, weights=weights, minlength=table.nodes).astype(np.float64)


def pagerank(graph: FeedbackGraph) -> Method:
    import igraph

    table = graph.table()
    net = igraph.Graph(
        table.nodes, list(zip(table.sources().tolist(), table.targets.tolist(), strict=True)), directed=True
    )
    scores = np.array(net.pagerank(weights=table.weights.tolist()))
    return lambda _: scores


def distance(graph: FeedbackGraph) -> Method:
    import networkx

    table = graph.table()
    net = networkx.DiGraph(zip(table.sources().tolist(), table.targets.tolist(), strict=True))

    def scores(ego: int) -> Floats:
        found = np.zeros(table.nodes)
        for node, steps in networkx.single_source_shortest_path_length(net, ego).items():
            found[node] = 1 / (1 + steps)
        return found

    return scores


def viewers(table: TrustTable) -> list[int]:
    """The nodes of the members with the most edges out."""
    degrees = np.bincount(table.receivers[table.weights > 0], minlength=len(table.labels))
    return (np.argsort(-degrees, kind="stable")[:VIEWERS] + 1).tolist()


def evaluate(table: TrustTable, ego: int, of: Judged) -> list[dict[str, Any]]:
    """One row of AUCs per method."""
    graph = table.graph()
    views = {seer: reachable(graph.table(), seer) for seer in {ego, *viewers(table)}}
    rows = []
    for name, method in methods(graph).items():
        scores = {seer: method(seer) for seer in views}
        readings = {seer: auc(scores[seer], of.but(seer)) for seer in views}
        known = {seer: auc(scores[seer], of.but(seer).among(views[seer])) for seer in views}
        rows.append(
            {
                "method": name,
                "auc": round(readings[ego], 4),
                "known": round(known[ego], 4),
                "mean over viewers": round(float(np.nanmean(list(readings.values()))), 4),
                "known, mean": round(float(np.nanmean(list(known.values()))), 4),
            }
        )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    width = max(len(row["method"]) for row in rows)
    print(" " * width + "".join(f"{name:>20}" for name in rows[0] if name != "method"))
    for row in rows:
        print(f"{row['method']:<{width}}" + "".join(f"{row[name]:>20}" for name in row if name != "method"))


def save(rows: list[dict[str, Any]], out: Path) -> None:
    """The table as CSV and, with matplotlib, as a bar chart."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "ranking_quality.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is absent: no plot (pip install matplotlib)")
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(9, 5))
    names = [row["method"] for row in rows]
    panel.barh(names[::-1], [row["mean over viewers"] for row in rows[::-1]])
    panel.set(xlim=(0.4, 1.0), xlabel="AUC over all judged members, mean over viewers")
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(out / f"ranking_quality.{kind}", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graph", type=Path, required=True, help="a file of lines from,to,weight[,time]")
    parser.add_argument("--ego", help="the viewer; the member with the most edges out by default")
    parser.add_argument("--judges", type=int, default=3, help="how many must have spoken of a member")
    parser.add_argument("--out", type=Path, help="folder for table and plot")
    parser.add_argument("--json", action="store_true", help="print all figures as one last line of JSON")
    options = parser.parse_args()
    table = read(options.graph)
    ego = viewer(table, options.ego)
    of = judged(table, options.judges)
    print(f"viewer {ego!r}: {len(of.cheaters)} cheaters among {len(of.cheaters) + len(of.honest)} judged members\n")
    rows = evaluate(table, table.labels.index(ego) + 1, of)
    show(rows)
    if options.out:
        save(rows, options.out)
    if options.json:
        figures = {"auc": {row["method"]: row["auc"] for row in rows}, "ego": ego.decode()}
        figures |= {"cheaters": len(of.cheaters), "judged": len(of.cheaters) + len(of.honest), "table": rows}
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
