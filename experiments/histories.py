"""Hostile histories by the thousand: does a ledger derive what the facts say, at every moment and in any order?

    python -m experiments.histories [--seeds N] [--first SEED] [--json]

Each seed makes a history that no node would sign, every other one with claims of heirs. Two observers hear it block by
block in different orders; every few blocks each derived column of the holdings is compared with a slow and plain
recomputation from the facts, at the end the observers with each other and with what folding anew makes. What differs is
printed, with the seed that shows it: `--first SEED --seeds 1` replays it. `seen` counts over all looks the rows that
have come to something, so that a run that exercises nothing shows. With --json the last line is one JSON object; its
`differences` are histories. Exit status 1 says that there were any.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.economy.deriving import Looks, examine
from tests.economy.hostile_histories import hostile_history


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    asked = parser.parse_args()
    figures = measure(range(asked.first, asked.first + asked.seeds))
    print(json.dumps(figures) if asked.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))
    return 1 if figures["differences"] else 0


def measure(seeds: range) -> dict[str, Any]:
    """One history of each seed, and in how many of them something differed."""
    began, seen, differing = time.perf_counter(), Counter[str](), 0
    for seed in seeds:
        looks = one_seed(seed)
        seen += looks.seen
        differing += bool(looks.wrong)
        if looks.wrong:
            print("\n".join(f"seed {seed}: {each}" for each in looks.wrong), file=sys.stderr)
    seconds = round(time.perf_counter() - began, 1)
    return {"histories": len(seeds), "differences": differing, "seen": dict(sorted(seen.items())), "seconds": seconds}


def one_seed(seed: int) -> Looks:
    with tempfile.TemporaryDirectory() as folder:
        history = hostile_history(seed, has_heirs=bool(seed % 2))
        return asyncio.run(examine(history, Path(folder), random.Random(seed)))


if __name__ == "__main__":
    sys.exit(main())
