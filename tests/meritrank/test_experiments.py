"""The experiments run from the command line and end with the figures that they promise."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.trust_graphs import count, generated, viewer, write
from overlay.meritrank.table import read_table

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


def test_the_speed_experiment_ends_with_its_figures_and_names_absent_peers(tmp_path: Path) -> None:
    write(generated(1000), tmp_path / "graph.csv")
    peers = ("--peers", "scipy", "meritrank-python")
    done = run(
        "experiments.reputation_speed", "--graph", str(tmp_path / "graph.csv"), "--walks", "200", "--json", *peers
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["graph"] == {"nodes": 166, "edges": 1000}
    assert figures["walks"] == 200
    keys = {"calculate_ms", "edit_ego_p50_ms", "edit_ego_p95_ms", "edit_elsewhere_p50_ms", "peak_rss_mb", "load_s"}
    assert all(figures[key] > 0 for key in keys)
    assert all(figures["peers"]["scipy"][key] > 0 for key in keys)
    assert ("absent" in done.stdout) == (figures["peers"]["meritrank-python"] is None)


def test_the_sybil_experiment_writes_its_tables(tmp_path: Path) -> None:
    done = run("experiments.sybil", "--out", str(tmp_path), "--edges", "300", "--sybils", "1", "20", "--beta", "0.5")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "sybil_by_size.csv").read_text().splitlines()))
    assert len(rows) == 4 * 2
    for row in rows:
        assert 0 < float(row["MeritRank"]) <= float(row["bound"])
        assert float(row["max-flow"]) == float(row["sybils"])
    assert len((tmp_path / "sybil_by_decay.csv").read_text().splitlines()) == 1 + 4 * 4


def test_cheaters_rank_low_where_nobody_honest_vouches_for_them(tmp_path: Path) -> None:
    """Six honest members vouch for one another; two cheaters vouch for each other and are judged by three."""
    honest = [f"{a},{b},{1 + (a + b) % 3}" for a in range(6) for b in range(6) if a != b]
    judged = [f"{judge},{cheater},-5" for judge in range(3) for cheater in (7, 8)]
    (tmp_path / "graph.csv").write_text("\n".join([*honest, *judged, "7,8,3", "8,7,3", "7,1,2"]) + "\n")
    done = run("experiments.ranking_quality", "--graph", str(tmp_path / "graph.csv"), "--ego", "0", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["ego"], figures["cheaters"], figures["judged"]) == ("0", 2, 8)
    assert figures["auc"]["MeritRank, alpha 0.15"] == 1.0
    assert figures["auc"]["direct feedback"] == 1.0


@pytest.mark.parametrize("name", ["reputation_speed", "sybil", "ranking_quality"])
def test_a_fault_in_the_file_ends_an_experiment_with_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "graph.csv").write_text("1,2,3\n1,3,many\n")
    out = () if name == "reputation_speed" else ("--out", str(tmp_path))
    done = run(f"experiments.{name}", "--graph", str(tmp_path / "graph.csv"), *out)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("line 2, column 3: the weight b'many' is not a whole number")
    assert "Traceback" not in done.stderr


def test_generated_graphs_have_the_size_asked_for_and_survive_the_file(tmp_path: Path) -> None:
    table = generated(count("2k"), seed=5)
    write(table, tmp_path / "graph.csv")
    again = read_table(tmp_path / "graph.csv").graph()
    assert len(list(again.edges())) == 2000
    assert again.digest() == table.graph().digest() == generated(2000, seed=5).graph().digest()
    assert viewer(table) == max(
        table.labels, key=lambda label: (len(again.row(again.find(label))), [-byte for byte in label])
    )
