"""What the command line does on a folder without a node, and what a running node answers to the same commands."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from nacl.pwhash import argon2id

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import did_key
from overlay.node import passphrases
from overlay.node.cli import main
from overlay.node.folder import DataFolder
from overlay.node.ledger import open_ledger
from overlay.node.vault import Work
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import Mint
from tests.node.conftest import Served

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on the folder `n`; what goes wrong is one sentence, never a traceback."""
    cheap = Work(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN, b"s" * 16)
    monkeypatch.setattr(Work, "moderate", lambda _: cheap)
    monkeypatch.delenv(passphrases.ENVIRONMENT, raising=False)

    def invoke(*arguments: object, passphrase: str | None = None, folder: str = "n") -> Result:
        env = {passphrases.ENVIRONMENT: passphrase} if passphrase is not None else {}
        words = ["--data", str(tmp_path / folder), *map(str, arguments)]
        done = CliRunner().invoke(main, words, env=env)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return invoke


@pytest.fixture
def minted(tmp_path: Path) -> BlockHash:
    """A folder whose member has promised bread."""
    folder = DataFolder(tmp_path / "n", SystemRandomness())
    ledger = open_ledger(folder, SystemClock(), SystemRandomness())
    block = asyncio.run(ledger.append(Mint("bread", "loaf", 5, "", 0, None)))
    ledger.close()
    folder.close()
    return block.hash


@pytest.mark.usefixtures("minted")
def test_the_books_are_read_where_no_node_runs(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("ledger", "stats").output)["blocks"] == 1
    verdict = run("ledger", "verify")
    assert (verdict.exit_code, json.loads(verdict.output)["sound"]) == (0, True)
    assert json.loads(run("ledger", "rebuild").output)["same"] is True
    exported = run("ledger", "export", "--to", tmp_path / "out", "--format", "parquet")
    assert json.loads(exported.output)["files"]["vouchers.parquet"] == 1


@pytest.mark.usefixtures("minted")
def test_damaged_books_end_with_status_one(run: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "n" / "ledger.db") as db:
        db.execute("UPDATE voucher_mint SET quantity = 500")
    db.close()
    verdict = run("ledger", "verify")
    assert verdict.exit_code == 1
    assert "ledger rebuild" in json.loads(verdict.output)["sentence"]


def test_a_folder_without_a_node_is_not_made_by_asking(run: Run, tmp_path: Path) -> None:
    done = run("ledger", "verify")
    assert done.exit_code == 1
    assert "no node has ever run on this folder" in done.output
    assert not (tmp_path / "n").exists()


@pytest.mark.usefixtures("minted")
def test_a_key_is_protected_shown_and_unprotected(run: Run, tmp_path: Path) -> None:
    shown = json.loads(run("key", "show").output)
    assert shown["protected"] is False
    assert shown["did"] == did_key(bytes.fromhex(shown["public_key"]))  # type: ignore[arg-type]
    assert run("key", "protect", passphrase="open").exit_code == 0
    assert json.loads(run("key", "show").output) == shown | {"protected": True}
    without = run("ledger", "verify")
    assert without.exit_code == 1
    assert "nobody is there to type it" in without.output
    wrong = run("key", "unprotect", passphrase="shut")
    assert wrong.exit_code == 1
    assert "this passphrase does not open the key" in wrong.output
    (tmp_path / "words").write_text("open\n")
    assert run("--passphrase-file", tmp_path / "words", "ledger", "verify").exit_code == 0
    (tmp_path / "new words").write_text("new\n")
    changed = run("key", "protect", "--new-passphrase-file", tmp_path / "new words", passphrase="open")
    assert changed.exit_code == 0
    assert run("key", "unprotect", passphrase="open").exit_code == 1
    assert run("key", "unprotect", passphrase="new").exit_code == 0
    assert run("ledger", "verify").exit_code == 0


@pytest.mark.usefixtures("minted")
def test_a_backup_is_written_and_restored(run: Run, tmp_path: Path) -> None:
    assert run("backup", "write", tmp_path / "b", passphrase="words").exit_code == 0
    wrong = run("backup", "restore", tmp_path / "b", "--to", tmp_path / "r", passphrase="other")
    assert wrong.exit_code == 1
    assert "passphrase" in wrong.output
    assert not (tmp_path / "r").exists()
    done = run("backup", "restore", tmp_path / "b", "--to", tmp_path / "r", passphrase="words")
    assert done.exit_code == 0
    assert "no other copy" in done.output
    assert json.loads(run("ledger", "stats", folder="r").output)["blocks"] == 1
    assert run("backup", "write", tmp_path / "none" / "b", passphrase="words").exit_code == 1


# Beside a running node -----------------------------------------------------------------------------------------------


async def told(served: Served, method: str, path: str, **more: Any) -> Any:
    status, answer = await served.ask(method, path, **more)
    assert status == 200, answer
    return answer


async def test_a_running_node_answers_for_its_books(served: Served, tmp_path: Path) -> None:
    await served.found_commons()
    assert (await told(served, "GET", "/v1/ledger/stats"))["members"] == 1
    assert (await told(served, "GET", "/v1/ledger/verify"))["sound"] is True
    assert (await told(served, "POST", "/v1/ledger/rebuild"))["same"] is True
    exported = await told(served, "POST", "/v1/ledger/export", json={"to": str(tmp_path / "out")})
    assert exported["files"]["members.csv"] == 1
    status, answer = await served.ask("POST", "/v1/ledger/export", json={"to": "out"})
    assert (status, "from the machine's root" in answer["problem"]) == (507, True)
    key = await told(served, "GET", "/v1/key/show")
    assert key["did"] == (await told(served, "GET", "/v1/status/show"))["did"]


async def test_a_key_is_not_protected_under_a_running_node(served: Served, run: Run) -> None:
    done = await asyncio.to_thread(run, "key", "protect", passphrase="open", folder="node")
    assert done.exit_code == 1
    assert "another node runs on this data folder" in done.output
    assert not served.node.folder.is_protected


async def test_a_bundle_of_a_node_is_checked_with_nothing_but_the_file(
    served: Served, run: Run, tmp_path: Path
) -> None:
    await served.found_commons()
    fields = {"promise": "bread\u001b[31m", "unit": "loaf", "quantity": 5}
    voucher = (await told(served, "POST", "/v1/voucher/mint", json=fields))["id"]
    place = tmp_path / "bundle"
    # Another process would ask: here the command's thread asks the node of this one.
    done = await asyncio.to_thread(run, "voucher", "bundle", voucher, "--to", place, "--qr", folder="node")
    assert done.exit_code == 0, done.output
    assert "\u2588" in done.output
    checked = run("voucher", "check", place, folder="nowhere")
    assert checked.exit_code == 0
    assert "\u001b" not in checked.output
    proof = json.loads(checked.output)
    assert (proof["final"], proof["holder_name"], proof["commons_name"]) == (5, "farmer", "bridge")
    assert not (tmp_path / "nowhere").exists()
    content = base64.b64encode(place.read_bytes()).decode()
    assert await told(served, "POST", "/v1/voucher/check", json={"bundle": content}) == proof
    place.write_bytes(place.read_bytes()[:-1])
    damaged = run("voucher", "check", place, folder="nowhere")
    assert (damaged.exit_code, "damaged on its way" in damaged.output) == (1, True)


async def test_the_status_of_a_node_has_a_second_name(served: Served, run: Run) -> None:
    done = await asyncio.to_thread(run, "node", "status", folder="node")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["public_key"] == served.node.identity.public_key.hex()
    assert "counters" in json.loads(done.output)
