"""Whole networks of real nodes in virtual time, under faults, one per seed: is every promise of the design kept?

    python -m experiments.simulate [--seeds N] [--first SEED] [--once] [--jobs N] [--journal FILE] [--json]

A commons of 4 to 7 members trades while messages are lost, doubled and damaged, nodes crash at any moment and on either
side of a commit or of sending something, disks fill up, clocks jump, the network falls apart and one member cheats;
then the faults stop and everybody must agree within a bound of virtual time. Each seed runs twice (with --once: once)
and both runs must leave the same trace. A seed that breaks a promise is printed with its last events; `--first SEED
--seeds 1` replays it. `befallen` counts what went wrong, by its name, over all seeds.

With --jobs several seeds run at once, each in a process. With --journal the outcome of each seed is kept in a file, a
line of JSON each, and seeds that stand there are not run again but counted: a long run can be made in pieces. With
--json the last line is one JSON object. Exit status 1 says that a promise was broken or that two runs of one seed
differed.
"""

import argparse
import json
import os
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from tests.simulation.run import Outcome, simulate

Found = dict[str, Any]


def main() -> int:
    asked = _arguments()
    journal = Path(asked.journal) if asked.journal else None
    seeds = range(asked.first, asked.first + asked.seeds)
    known = [each for each in _kept(journal) if each["seed"] in seeds]
    missing = [seed for seed in seeds if seed not in {each["seed"] for each in known}]
    began = time.perf_counter()
    for found in _run(missing, runs=1 if asked.once else 2, jobs=asked.jobs):
        known.append(found)
        _print(found)
        if journal is not None:
            with journal.open("a") as lines:
                lines.write(json.dumps(found) + "\n")
    summary = _summary(known)
    if missing:
        summary["seeds_per_minute"] = round(60 * len(missing) / (time.perf_counter() - began), 1)
    print(json.dumps(summary) if asked.json else "\n".join(f"{name}: {value}" for name, value in summary.items()))
    return 1 if summary["violations"] or summary["diverging_traces"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--once", action="store_true", help="do not run each seed a second time")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--journal", help="keep outcomes in this file, and go on where it ends")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser.parse_args()


def _kept(journal: Path | None) -> list[Found]:
    if journal is None or not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text().splitlines()]


def _run(seeds: list[int], *, runs: int, jobs: int) -> Iterator[Found]:
    """The outcomes, as they come."""
    if jobs == 1:
        yield from (run_seed(seed, runs) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_end_with_parent) as pool:
        for done in as_completed([pool.submit(run_seed, seed, runs) for seed in seeds]):
            yield done.result()


def _end_with_parent() -> None:
    """A run that is killed leaves nothing behind that goes on for hours."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_seed(seed: int, runs: int) -> Found:
    """One seed, `runs` times: what came of the first run, and whether another one differed."""
    # A node may crash before a task that it has just made has begun.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    outcomes = [simulate(seed) for _ in range(runs)]
    return _told(outcomes[0]) | {"diverges": len({each.digest for each in outcomes}) > 1, "runs": runs}


def _told(outcome: Outcome) -> Found:
    names = ("seed", "digest", "violation", "commits", "deeds", "blocks", "finals", "convergence_s", "befallen")
    told = {name: getattr(outcome, name) for name in (*names, "proven_cheats")}
    return told | ({"last": outcome.last} if outcome.violation else {})


def _print(found: Found) -> None:
    what = found["violation"] or ("two runs of it differ" if found["diverges"] else "kept")
    crashes = sum(count for name, count in found["befallen"].items() if name.startswith("crash"))
    print(
        f"seed {found['seed']}: {what} ({found['deeds']} deeds, {found['blocks']} blocks, {found['finals']} final,"
        f" {crashes} crashes, peace after {found['convergence_s']:g} s, trace {found['digest'][:12]})",
        flush=True,
    )
    if found["violation"]:
        print("\n".join(found["last"]), file=sys.stderr)


def _summary(found: list[Found]) -> Found:
    broken = sorted(each["seed"] for each in found if each["violation"])
    diverging = sorted(each["seed"] for each in found if each["diverges"])
    befallen = sum((Counter(each["befallen"]) for each in found), Counter[str]())
    return {
        "seeds": len(found),
        "seeds_run_twice": sum(each["runs"] > 1 for each in found),
        "violations": len(broken),
        "diverging_traces": len(diverging),
        "worst_convergence_s": max((each["convergence_s"] for each in found), default=0.0),
        "broken_seeds": broken,
        "diverging_seeds": diverging,
        "deeds": sum(each["deeds"] for each in found),
        "blocks": sum(each["blocks"] for each in found),
        "final_exchanges": sum(each["finals"] for each in found),
        "commits_checked": sum(each["commits"] for each in found),
        "cheats_proven": sum(each["proven_cheats"] for each in found),
        "befallen": dict(sorted(befallen.items())),
    }


if __name__ == "__main__":
    sys.exit(main())
