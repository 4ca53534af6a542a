"""The fault experiments in a short form; and that each of them can find what it is looking for."""

import asyncio
import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import crash, fuzz, histories, junk_flood, many_nodes, power_loss, simulate
from overlay.economy import weighing
from overlay.trustchain.statements import Mint
from tests.simulation.member import restore_files, save_files
from tests.simulation.run import Plan
from tests.simulation.run import simulate as one_seed

BRIEF = Plan(members=4, storm_seconds=3.0, restores_backup=False)


def test_a_node_killed_under_load_has_lost_torn_and_reused_nothing(tmp_path: Path) -> None:
    figures = asyncio.run(crash.crash(tmp_path, kills=3, seconds=0.4, seed=1, to_rest=False))

    assert (figures["lost"], figures["torn"], figures["reused"]) == (0, 0, 0)
    assert figures["acknowledged"] > 0


def test_a_disk_that_forgets_at_a_kill_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill, before, lives = crash.Farmer.kill, dict[str, bytes](), itertools.count()

    async def kill_and_forget(farmer: crash.Farmer) -> None:
        if next(lives) < 2:  # it has something to forget
            farmer.heard.clear()
            await farmer.heard.wait()
        await kill(farmer)
        restore_files(farmer.folder, before or save_files(farmer.folder))
        before.update(save_files(farmer.folder))

    monkeypatch.setattr(crash.Farmer, "kill", kill_and_forget)

    assert asyncio.run(crash.crash(tmp_path, kills=2, seconds=0.4, seed=1, to_rest=False))["lost"] > 0


def test_a_power_cut_loses_nothing_that_was_told_unless_nobody_waited_for_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(power_loss, "TRANSACTIONS", 24)

    full = power_loss.fail("FULL", 30, random.Random(1))
    normal = power_loss.fail("NORMAL", 15, random.Random(1))

    assert (full["points"], full["lost"], full["corrupt"], normal["corrupt"]) == (30, 0, 0, 0)
    assert full["told"] > 0
    assert normal["lost"] > 0


def test_bytes_at_every_edge_raise_only_what_that_edge_promises_and_forge_nothing(tmp_path: Path) -> None:
    figures = fuzz.fuzz(tmp_path, packets=6_000, seed=1)

    assert (figures["escaped_exceptions"], figures["forgeries_accepted"]) == (0, 0)
    assert figures["dropped_datagrams"] > 0
    assert figures["well_formed"] > 0


async def test_an_edge_that_raises_something_else_and_a_block_that_nobody_made_are_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = fuzz.Target(tmp_path)
    await target.live()
    fuzzer = fuzz.Fuzzer(random.Random(1), target, fuzz.Stack())
    before = target.forgeries()
    await fuzzer._feed(fuzz.Edge("a careless edge", lambda raw: raw[1], (ValueError,), []), b"\x07")
    await target.victim.forge(Mint("nothing", "piece", 1, "", 0, None))

    assert fuzzer.escaped == 1
    assert "a careless edge: IndexError('index out of range')\n07" in capsys.readouterr().err
    assert (before, target.forgeries()) == (0, 1)
    target.town.close()


def test_a_commons_of_many_nodes_converges_in_virtual_time() -> None:
    figures = many_nodes.measure(8, agreements=2)

    assert figures["nodes"] == 8
    assert 0 < figures["virtual_s_to_agree"] <= figures["virtual_s_to_converge"] < many_nodes.PATIENCE_SECONDS


def test_a_storm_counts_what_befalls_and_a_journal_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulate, "simulate", lambda seed: one_seed(seed, replace(BRIEF, has_cheat=seed == 2)))
    journal = tmp_path / "journal"
    asked = ["simulate", "--once", "--journal", str(journal), "--json"]
    monkeypatch.setattr("sys.argv", [*asked, "--seeds", "1"])
    assert simulate.main() == 0
    monkeypatch.setattr("sys.argv", [*asked, "--seeds", "2"])
    assert simulate.main() == 0

    first, second = (json.loads(line) for line in journal.read_text().splitlines())
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["seeds"], told["violations"]) == (2, 0)
    assert first["befallen"]["message lost"] + second["befallen"]["message lost"] == told["befallen"]["message lost"]
    assert any(name.startswith("crash") for name in told["befallen"])


def test_what_a_fold_forgets_is_told_with_the_seed_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = histories.measure(range(2, 4))
    monkeypatch.setattr(weighing, "_compare", lambda *_: None)
    forgetful = histories.measure(range(2, 4))

    assert (sound["histories"], sound["differences"], forgetful["differences"]) == (2, 0, 2)
    assert sound["seen"]["beaten"] > 0
    assert "seed 2: leg " in capsys.readouterr().err


def test_members_are_answered_while_junk_arrives() -> None:
    figures = asyncio.run(junk_flood.measure(rate=400, seconds=1.4))

    assert figures["failed"] == 0
    assert figures["arrived"] > 0
