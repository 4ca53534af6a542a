"""The demo's processes: started together, watched, and always ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")
STOP_SECONDS = 5.0


class DemoFailed(Exception):
    """Something did not check out; one sentence."""


class Processes:
    """Everything that the demo has started; `stop_all` ends it, also after a failure or an interrupt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> Path:
        """Start `counterfoil --data FOLDER/name ...`; returns its data folder."""
        return self._spawn(
            name, [sys.executable, "-m", "overlay.node.entry", "--data", str(self.folder / name), *arguments]
        )

    def start_cheat(self, name: str) -> Path:
        """Start a node whose own safety checks are bypassed."""
        return self._spawn(name, [sys.executable, "-m", "scripts.story.cheat", str(self.folder / name)])

    def stop(self, name: str) -> None:
        """End one process and wait for it."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for name in list(self._running):
            self.stop(name)

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def rss_mb(self, name: str) -> float:
        """Resident memory of one process, in MiB."""
        return round(psutil.Process(self.pid(name)).memory_info().rss / (1 << 20), 1)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def check_alive(self, name: str) -> None:
        """Raises DemoFailed with what a process said before it ended."""
        if self._running[name].poll() is not None:
            said = self.log(name).strip().splitlines()[-3:]
            raise DemoFailed(f"the process of the {name} ended by itself: {' / '.join(said) or 'without a word'}")

    def _spawn(self, name: str, command: list[str]) -> Path:
        data = self.folder / name
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = os.environ | {"PYTHONUNBUFFERED": "1"}
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends them in order
            )
        return data


def until(what: str, condition: Callable[[], T], patience: float = 20.0) -> T:
    """Ask until the condition gives something; raises DemoFailed, saying what did not happen."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise DemoFailed(f"this did not happen within {patience:.0f} s: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the demo like Ctrl-C does, so that nothing it started is left behind."""

    def interrupt(_: int, __: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
