"""How fast reputation is, side by side with other libraries on the same graph, walks and edits.

    python -m experiments.reputation_speed --graph FILE --json       # FILE has lines from,to,weight[,time]
    python -m experiments.reputation_speed --edges 1k --edges 1M     # graphs of its own, 1k to 10M edges

The opponents come with the experiment's own extra: pip install meritrank-python networkx igraph scipy. One that is
not installed is printed as absent. Each is measured in a process of its own, one after the other, from the hub
(or --ego) and with the same decay alpha. load_s is reading the file and building the library's own graph;
first_scores_s is that plus the first scores. calculate_ms is the median of whole calculations on the loaded graph.
An edit is one changed edge (new, reweighted or removed in turn) and everything it takes until scores are right
again: a repair of walks for those that can, a whole calculation for those that cannot. `elsewhere` edits change
the row of a member drawn uniformly. max_error is the greatest distance from the exact scores, both made to sum up
to 1, on a small graph after 100 reweightings at the ego, for those that keep scores up to date. With --json the
last line is one JSON object.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.trust_graphs import count, generated, read, viewer, write
from overlay.meritrank import Decay, FeedbackGraph, Reputation
from overlay.meritrank.exact import scores as exact_scores
from overlay.meritrank.table import TrustTable

Edit = tuple[bytes, bytes, int]
EGO_EDITS, ELSEWHERE_EDITS = 300, 500
# Whatever is slower than this in all does fewer edits; the medians then rest on those done, at least five.
EDIT_SECONDS = 30.0
# As many as fit ten seconds; one that takes longer is calculated once.
CALCULATIONS = 21
SMALL = 1_000


class Library(Protocol):
    """One way of keeping scores: loads a table, calculates, and edits."""

    def calculate(self) -> None: ...
    def edit(self, edit: Edit) -> None: ...
    def scores(self) -> dict[bytes, float]: ...


class Counterfoil:
    """This project."""

    module = "overlay.meritrank"

    def __init__(self, table: TrustTable, ego: bytes, alpha: float, walks: int) -> None:
        self.graph = table.graph()
        self.make: Callable[[], Reputation] = lambda: Reputation(self.graph, ego, b"speed", walks, Decay(alpha))
        self.reputation: Reputation | None = None

    def calculate(self) -> None:
        if self.reputation is None:
            self.reputation = self.make()
        else:
            self.reputation.afresh()

    def edit(self, edit: Edit) -> None:
        self.graph.put(*edit)
        assert self.reputation is not None
        self.reputation.refresh()

    def scores(self) -> dict[bytes, float]:
        assert self.reputation is not None
        return self.reputation.scores()


class MeritRankPython:
    """The incremental Monte Carlo of `meritrank-python`; its alpha is the probability to go on."""

    module = "meritrank_python"

    def __init__(self, table: TrustTable, ego: bytes, alpha: float, walks: int) -> None:
        from meritrank_python.rank import IncrementalMeritRank

        self.ego, self.walks = ego, walks
        self.rank = IncrementalMeritRank(_nested(table))
        self.rank.alpha = 1 - alpha

    def calculate(self) -> None:
        self.rank.calculate(self.ego, self.walks)

    def edit(self, edit: Edit) -> None:
        self.rank.add_edge(*edit)

    def scores(self) -> dict[bytes, float]:
        ranks: dict[bytes, float] = self.rank.get_ranks(self.ego)
        return {member: score for member, score in ranks.items() if member != self.ego}


class NetworkX:
    """Personalised PageRank of networkx: another score (total visits, normalised), calculated anew after each edit."""

    module = "networkx"

    def __init__(self, table: TrustTable, ego: bytes, alpha: float, walks: int) -> None:
        import networkx

        self.networkx, self.ego, self.alpha = networkx, ego, alpha
        self.graph = networkx.DiGraph(_nested(table))

    def calculate(self) -> None:
        self.networkx.pagerank(self.graph, 1 - self.alpha, {self.ego: 1.0})

    def edit(self, edit: Edit) -> None:
        receiver, provider, weight = edit
        if weight:
            self.graph.add_edge(receiver, provider, weight=weight)
        elif self.graph.has_edge(receiver, provider):
            self.graph.remove_edge(receiver, provider)
        self.calculate()

    def scores(self) -> dict[bytes, float]:
        return {}


class IGraph:
    """Personalised PageRank of igraph (PRPACK), calculated anew after each edit."""

    module = "igraph"

    def __init__(self, table: TrustTable, ego: bytes, alpha: float, walks: int) -> None:
        import igraph

        kept = table.weights > 0
        ends = zip(table.receivers[kept].tolist(), table.providers[kept].tolist(), strict=True)
        self.place = {label: place for place, label in enumerate(table.labels)}
        self.ego, self.alpha = self.place[ego], alpha
        self.graph = igraph.Graph(len(table.labels), list(ends), directed=True)
        self.graph.es["weight"] = table.weights[kept].tolist()

    def calculate(self) -> None:
        self.graph.personalized_pagerank(damping=1 - self.alpha, reset_vertices=[self.ego], weights="weight")

    def edit(self, edit: Edit) -> None:
        source, target, weight = self.place[edit[0]], self.place[edit[1]], edit[2]
        edge = self.graph.get_eid(source, target, error=False)
        if edge >= 0 and weight:
            self.graph.es[edge]["weight"] = weight
        elif edge >= 0:
            self.graph.delete_edges([edge])
        elif weight:
            self.graph.add_edge(source, target, weight=weight)
        self.calculate()

    def scores(self) -> dict[bytes, float]:
        return {}


class SciPy:
    """Power iteration on a sparse matrix (total visits, exact), calculated anew after each edit."""

    module = "scipy"

    def __init__(self, table: TrustTable, ego: bytes, alpha: float, walks: int) -> None:
        self.graph = table.graph()
        self.ego, self.alpha = self.graph.find(ego), alpha

    def calculate(self) -> None:
        from overlay.meritrank.exact import total_visits

        total_visits(self.graph.table(), self.ego, self.alpha)

    def edit(self, edit: Edit) -> None:
        self.graph.put(*edit)
        self.calculate()

    def scores(self) -> dict[bytes, float]:
        return {}


LIBRARIES: dict[str, Any] = {
    "counterfoil": Counterfoil,
    "meritrank-python": MeritRankPython,
    "networkx": NetworkX,
    "igraph": IGraph,
    "scipy": SciPy,
}


def _nested(table: TrustTable) -> dict[bytes, dict[bytes, dict[str, int]]]:
    nested: dict[bytes, dict[bytes, dict[str, int]]] = {label: {} for label in table.labels}
    columns = zip(table.receivers.tolist(), table.providers.tolist(), table.weights.tolist(), strict=True)
    for receiver, provider, weight in columns:
        if weight > 0:
            nested[table.labels[receiver]][table.labels[provider]] = {"weight": weight}
    return nested


class Edits:
    """A reproducible stream of edits of a table's graph: a new edge, a new weight for one, one removed, in turn."""

    def __init__(self, table: TrustTable, seed: int) -> None:
        self.table = table
        self.random = np.random.Generator(np.random.PCG64(seed))
        kept = table.weights > 0
        order = np.argsort(table.receivers[kept], kind="stable")
        self.providers = table.providers[kept][order]
        self.bounds = np.searchsorted(table.receivers[kept][order], np.arange(len(table.labels) + 1))
        self.turn = 0

    def at(self, receiver: int) -> Edit:
        """An edit of the row of `receiver`."""
        self.turn += 1
        row = self.providers[self.bounds[receiver] : self.bounds[receiver + 1]]
        if self.turn % 3 == 0 or not len(row):
            provider = (receiver + 1 + int(self.random.integers(len(self.table.labels) - 1))) % len(self.table.labels)
        else:
            provider = int(row[self.random.integers(len(row))])
        weight = 0 if self.turn % 3 == 2 else int(self.random.integers(1, 11))
        return self.table.labels[receiver], self.table.labels[provider], weight

    def elsewhere(self, ego: int) -> Edit:
        """An edit of the row of anyone but `ego`."""
        return self.at((ego + 1 + int(self.random.integers(len(self.table.labels) - 1))) % len(self.table.labels))


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def edit_times(library: Library, draw: Callable[[], Edit], number: int) -> list[float]:
    """Milliseconds of each edit; stops after EDIT_SECONDS, but not before five."""
    times: list[float] = []
    while len(times) < number and (sum(times) < EDIT_SECONDS or len(times) < 5):
        edit = draw()
        times.append(timed(lambda edit=edit: library.edit(edit)))  # type: ignore[misc]
    return [1000 * seconds for seconds in times]


def measure(name: str, graph: Path, ego: bytes, alpha: float, walks: int) -> dict[str, Any]:
    """All figures of one library, in this process."""
    begin = time.perf_counter()
    table = read(graph)
    library: Library = LIBRARIES[name](table, ego, alpha, walks)
    loaded = time.perf_counter() - begin
    calculations = [timed(library.calculate)]
    first = time.perf_counter() - begin
    repeats = min(CALCULATIONS, int(10 / calculations[0]))
    calculations = [timed(library.calculate) for _ in range(repeats)] or calculations
    place = table.labels.index(ego)
    edits = Edits(table, 7)
    at_ego = edit_times(library, lambda: edits.at(place), EGO_EDITS)
    elsewhere = edit_times(library, lambda: edits.elsewhere(place), ELSEWHERE_EDITS)
    return {
        "graph": {"nodes": len(table.labels), "edges": int(np.count_nonzero(table.weights > 0))},
        "walks": walks if name in ("counterfoil", "meritrank-python") else None,
        "load_s": round(loaded, 3),
        "first_scores_s": round(first, 3),
        "calculate_ms": round(1000 * float(np.median(calculations)), 3),
        "edit_ego_p50_ms": round(float(np.percentile(at_ego, 50)), 4),
        "edit_ego_p95_ms": round(float(np.percentile(at_ego, 95)), 4),
        "edit_elsewhere_p50_ms": round(float(np.percentile(elsewhere, 50)), 4),
        "edit_elsewhere_p95_ms": round(float(np.percentile(elsewhere, 95)), 4),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "max_error": max_error(name, alpha, walks),
    }


def max_error(name: str, alpha: float, walks: int) -> float | None:
    """Distance from the exact scores on a small graph after edits; None where SciPy or scores are missing."""
    if name not in ("counterfoil", "meritrank-python") or importlib.util.find_spec("scipy") is None:
        return None
    table = generated(SMALL)
    ego = viewer(table)
    library: Library = LIBRARIES[name](table, ego, alpha, walks)
    library.calculate()
    edits, graph = Edits(table, 11), table.graph()
    for _ in range(100):
        receiver, provider, _ = edits.at(table.labels.index(ego))
        weight = 1 + graph.weight(receiver, provider) * 2
        graph.put(receiver, provider, weight)
        library.edit((receiver, provider, weight))
    return round(_distance(library.scores(), graph, ego, alpha), 4)


def _distance(found: dict[bytes, float], graph: FeedbackGraph, ego: bytes, alpha: float) -> float:
    exact = exact_scores(graph.table(), graph.find(ego), Decay(alpha, 0.0))
    total, exact_total = sum(found.values()), float(exact.sum())
    return max(
        abs(found.get(graph.key(node), 0.0) / total - exact[node] / exact_total) for node in range(1, len(exact))
    )


def run_apart(name: str, graph: Path, ego: bytes, options: argparse.Namespace) -> dict[str, Any] | None:
    """Measure one library in a new process; None when it is absent."""
    if importlib.util.find_spec(LIBRARIES[name].module) is None:
        return None
    command = [sys.executable, "-m", "experiments.reputation_speed", "--measure", name, "--graph", str(graph)]
    command += ["--ego", ego.decode(), "--alpha", str(options.alpha), "--walks", str(options.walks)]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=options.timeout)
    except subprocess.TimeoutExpired:
        return {"gave_up_after_s": options.timeout}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


COLUMNS = (
    "load_s",
    "first_scores_s",
    "calculate_ms",
    "edit_ego_p50_ms",
    "edit_ego_p95_ms",
    "edit_elsewhere_p50_ms",
    "peak_rss_mb",
    "max_error",
)


def compare(graph: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure all libraries on one file and print the table."""
    ego = viewer(read(graph), options.ego)
    own = run_apart("counterfoil", graph, ego, options)
    assert own is not None
    print(f"\n{own['graph']['nodes']} members, {own['graph']['edges']} edges, {options.walks} walks from {ego!r}")
    print(f"{'':>18}" + "".join(f"{column:>22}" for column in COLUMNS))
    show("counterfoil", own)
    own["peers"] = {name: run_apart(name, graph, ego, options) for name in options.peers}
    for name, figures in own["peers"].items():
        show(name, figures)
    return own


def show(name: str, figures: dict[str, Any] | None) -> None:
    if figures is None or "load_s" not in figures:
        print(f"{name:>18}  {'absent' if figures is None else figures}")
        return
    print(f"{name:>18}" + "".join(f"{'' if figures[key] is None else figures[key]:>22}" for key in COLUMNS))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graph", type=Path, help="a file of lines from,to,weight[,time]")
    parser.add_argument("--edges", type=count, action="append", help="a generated graph of so many edges; repeatable")
    parser.add_argument("--ego", help="whose walks; the member with the most edges out by default")
    parser.add_argument("--walks", type=int, default=10_000)
    parser.add_argument("--alpha", type=float, default=0.15)
    parser.add_argument("--peers", nargs="*", default=[name for name in LIBRARIES if name != "counterfoil"])
    parser.add_argument("--timeout", type=float, default=600, help="seconds after which a library is given up")
    parser.add_argument("--json", action="store_true", help="print all figures as one last line of JSON")
    parser.add_argument("--measure", choices=LIBRARIES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.measure:
        print(json.dumps(measure(options.measure, options.graph, options.ego.encode(), options.alpha, options.walks)))
        return
    runs = [compare(options.graph, options)] if options.graph else []
    for edges in options.edges or ([] if options.graph else [100_000]):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.csv"
            write(generated(edges), path)
            runs.append(compare(path, options))
    if options.json:
        print(json.dumps(runs[-1] | ({"runs": runs} if len(runs) > 1 else {})))


if __name__ == "__main__":
    main()
