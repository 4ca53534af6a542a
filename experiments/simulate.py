"""Whole networks of real nodes in virtual time, under faults, one per seed: is every promise of the design kept?

    python -m experiments.simulate [--seeds N] [--first SEED] [--once] [--json]

A commons of 4 to 7 members trades while messages are lost and doubled, nodes crash, disks fill up, clocks jump and
one member cheats; then the faults stop and everybody must agree within a bound of virtual time. Each seed runs twice
(with --once: once) and both runs must leave the same trace. A seed that breaks a promise is printed with its last
events; `--first SEED --seeds 1` replays it. With --json the last line is one JSON object. Exit status 1 says that a
promise was broken or that two runs of one seed differed.
"""

import argparse
import json
import sys
import time

from tests.simulation.run import Outcome, simulate


def main() -> int:
    asked = _arguments()
    began, outcomes, diverging = time.perf_counter(), list[Outcome](), list[int]()
    for seed in range(asked.first, asked.first + asked.seeds):
        outcome = simulate(seed)
        outcomes.append(outcome)
        if not asked.once and simulate(seed).digest != outcome.digest:
            diverging.append(seed)
        _print(outcome, is_diverging=seed in diverging)
    found = _summary(
        outcomes, diverging, runs=asked.seeds * (1 if asked.once else 2), seconds=time.perf_counter() - began
    )
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 1 if found["violations"] or found["diverging_traces"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--once", action="store_true", help="do not run each seed a second time")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser.parse_args()


def _print(outcome: Outcome, *, is_diverging: bool) -> None:
    what = outcome.violation or ("two runs of it differ" if is_diverging else "kept")
    print(
        f"seed {outcome.seed}: {what} ({outcome.deeds} deeds, {outcome.blocks} blocks, {outcome.finals} final,"
        f" {outcome.crashes} crashes, peace after {outcome.convergence_s:g} s, trace {outcome.digest[:12]})",
        flush=True,
    )
    if outcome.violation:
        print("\n".join(outcome.last), file=sys.stderr)


def _summary(outcomes: list[Outcome], diverging: list[int], *, runs: int, seconds: float) -> dict[str, object]:
    broken = [outcome for outcome in outcomes if outcome.violation]
    return {
        "seeds": len(outcomes),
        "violations": len(broken),
        "diverging_traces": len(diverging),
        "worst_convergence_s": max((outcome.convergence_s for outcome in outcomes), default=0.0),
        "broken_seeds": [outcome.seed for outcome in broken],
        "diverging_seeds": diverging,
        "deeds": sum(outcome.deeds for outcome in outcomes),
        "blocks": sum(outcome.blocks for outcome in outcomes),
        "final_exchanges": sum(outcome.finals for outcome in outcomes),
        "commits_checked": sum(outcome.commits for outcome in outcomes),
        "crashes": sum(outcome.crashes for outcome in outcomes),
        "cheats_proven": sum(outcome.proven_cheats for outcome in outcomes),
        "seeds_per_minute": round(60 * runs / seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
