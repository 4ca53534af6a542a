"""kill -9 in the middle of writing: nothing that was acknowledged is lost, and no number is signed twice."""

import itertools
import random
import signal
import subprocess
import sys
from pathlib import Path

from overlay.keys import Identity
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Ledger
from tests.town import HandClock, SeededRandomness

WRITER = Identity.from_seed(b"w" * 64)
KILLS = 6
# The reader is a little behind the writer: what the pipe holds when the writer ends was acknowledged, too.
MAX_ACKNOWLEDGED = 200


def write_until_killed(path: Path, after: int) -> list[str]:
    """Start a writer, end it after so many acknowledgements; returns all that it acknowledged."""
    script = Path(__file__).with_name("writing.py")
    command = [sys.executable, str(script), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=ENV) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
    return [line for line in said if line.endswith("\n")]


ENV = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}


def test_what_was_acknowledged_before_a_kill_is_there_and_no_number_is_used_twice(tmp_path: Path) -> None:
    chance, acknowledged = random.Random(7), dict[int, str]()
    for _ in range(KILLS):
        for line in write_until_killed(tmp_path / "ledger.db", chance.randint(1, MAX_ACKNOWLEDGED)):
            number, hash_ = line.split()
            assert acknowledged.setdefault(int(number), hash_) == hash_
    ledger = Ledger(tmp_path / "ledger.db", WRITER, [], HandClock(), SeededRandomness("reader"))
    chain = blocks.chain(ledger.db, WRITER.public_key, 1, 0xFFFFFFFF, 1_000_000)
    assert [block.sequence_number for block in chain] == list(range(1, len(chain) + 1))
    assert all(block.previous_hash == before.hash for before, block in itertools.pairwise(chain))
    assert blocks.forks(ledger.db) == []
    stored = {block.sequence_number: block.hash.hex() for block in chain}
    assert {number: stored.get(number) for number in acknowledged} == acknowledged
    assert len(acknowledged) >= KILLS
    assert ledger.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    ledger.close()
