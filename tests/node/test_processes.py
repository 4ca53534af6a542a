"""Real processes: what a user sees when something is in the way is one sentence, never a traceback."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "overlay.node.entry")
PATIENCE = 30


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit status and everything that was printed."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | environment,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def assert_one_sentence(status: int, said: str, *words: str) -> None:
    assert status != 0
    assert "Traceback" not in said
    for word in words:
        assert word in said


class Running:
    """A node as a process; waits for its first line."""

    def __init__(self, folder: Path, *flags: str) -> None:
        command = [*COMMAND, "--data", str(folder), "node", "--host", "127.0.0.1", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_starts_answers_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    running = Running(tmp_path / "n")
    try:
        status, said = run("--data", str(tmp_path / "n"), "status", "show")
        assert status == 0, said
        assert '"signing": ""' in said
    finally:
        assert running.end(number) == 0
    assert not (tmp_path / "n" / "rest.json").exists()
    assert ((tmp_path / "n" / "identity.key").stat().st_mode & 0o777) == 0o600


def test_two_nodes_never_share_a_folder(tmp_path: Path) -> None:
    running = Running(tmp_path / "n")
    try:
        assert_one_sentence(*run("--data", str(tmp_path / "n"), "node"), "another node runs on this data folder")
    finally:
        running.end()


@pytest.mark.parametrize(
    ("flag", "kind", "sentence"),
    [
        ("--port", socket.SOCK_DGRAM, "UDP port"),
        ("--rest-port", socket.SOCK_STREAM, "TCP port"),
        ("--content-port", socket.SOCK_STREAM, "port"),
    ],
)
def test_a_port_in_use_is_named(tmp_path: Path, flag: str, kind: socket.SocketKind, sentence: str) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        folder = tmp_path / "n"
        if flag == "--port":  # the overlay's socket opens with the commons
            running = Running(folder)
            fields = ("--commons", "bridge", "--purpose", "x", "--name", "farmer")
            assert run("--data", str(folder), "commons", "found", *fields)[0] == 0
            running.end()
        status, said = run("--data", str(folder), "node", "--host", "127.0.0.1", flag, str(port))
    assert_one_sentence(status, said, sentence, str(port))


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert_one_sentence(*run("--data", str(tmp_path / "file" / "n"), "node"), "data folder cannot be used")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Running(tmp_path / "n").end()
    (tmp_path / "n" / "identity.key").chmod(0o644)
    assert_one_sentence(*run("--data", str(tmp_path / "n"), "node"), "chmod 600")


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    Running(tmp_path / "n").end()
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / "n" / name).unlink(missing_ok=True)
    (tmp_path / "n" / "ledger.db").write_bytes(b"this is not a ledger" * 500)
    assert_one_sentence(*run("--data", str(tmp_path / "n"), "node"), "ledger.db", "damaged")


def test_a_wrong_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[rest]\nport = 'x'\n")
    assert_one_sentence(*run("--data", str(tmp_path), "node"), "config.toml", "$.rest.port")


def test_a_command_without_a_node_says_how_to_start_one(tmp_path: Path) -> None:
    assert_one_sentence(*run("--data", str(tmp_path), "voucher", "list"), "no node runs on", "node")


def test_a_missing_dependency_is_named(tmp_path: Path) -> None:
    (tmp_path / "libtorrent.py").write_text("raise ImportError('gone', name='libtorrent')")
    status, said = run("--help", PYTHONPATH=str(tmp_path))
    assert_one_sentence(status, said, "'libtorrent' is not installed")


def test_the_core_runs_without_the_terminal_interface() -> None:
    code = "import sys, overlay.node.cli, overlay.node.node; print([m for m in sys.modules if m in ('tui', 'textual')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.strip() == "[]"
