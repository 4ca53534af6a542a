"""The cast: five people, a carrier, a Bitcoin service; and what the story has found out so far."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from scripts.story.processes import DemoFailed, Processes, until
from scripts.story.rest import Member, Regtest

PEOPLE = ("farmer", "baker", "mechanic", "engineer", "welder")
CARRIER = "carrier"
ABOUT = {
    "farmer": "grows vegetables below the bridge",
    "baker": "bakes before dawn",
    "mechanic": "repairs what moves",
    "engineer": "reckons and draws",
    "welder": "joins what must hold",
    CARRIER: "a machine in the library that carries everyone's pictures",
}


@dataclass
class Town:
    """Everything that the steps share."""

    console: Console
    processes: Processes
    members: dict[str, Member] = field(default_factory=dict)
    bitcoin: Regtest = field(default_factory=lambda: Regtest("", Path()))
    ids: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    checks: list[tuple[str, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    @property
    def everyone(self) -> list[Member]:
        return list(self.members.values())

    def say(self, sentence: str) -> None:
        self.console.print(Padding(Text(sentence), (0, 0, 0, 2)))

    def chapter(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/bold]", highlight=False)

    def check(self, what: str, *, holds: bool, shown: str = "yes") -> None:
        """Write a result into the summary; raises DemoFailed when it does not hold."""
        if not holds:
            raise DemoFailed(f"this did not check out: {what} ({shown})")
        self.checks.append((what, shown))

    def voucher(self, name: str, at: Member) -> dict[str, Any]:
        """One voucher as a member's node shows it."""
        found = at.get("voucher/list")["vouchers"]
        return next((each for each in found if each["id"] == self.ids[name]), {})

    def holds(self, who: str, name: str, kind: str = "final") -> int:
        found = self[who].get("voucher/holdings")["holdings"]
        return sum(each[kind] for each in found if each["voucher"] == self.ids[name])

    def exchange(self, at: Member, id_: str) -> dict[str, Any]:
        found = at.get("exchange/list")["exchanges"]
        return next((each for each in found if each["id"] == id_), {})


def start(town: Town) -> None:
    """Start the Bitcoin service and the six nodes; each has its own folder, keys, sockets."""
    processes = town.processes
    folder = processes.start("regtest", "regtest", "--port", "0")
    url = until("the regtest service starts", lambda: _regtest_url(processes), 30)
    town.bitcoin = Regtest(url, folder / ".cookie")
    for name in (*PEOPLE, CARRIER):
        flags = ["--headless"] if name == CARRIER else []
        start_node(town, name, *flags)
    for name in (*PEOPLE, CARRIER):
        wait_for_node(town, name)
    town.say(
        f"Six nodes and a Bitcoin regtest service run, each a process of its own, after {town_seconds(town):.1f} s."
    )


def start_node(town: Town, name: str, *flags: str) -> None:
    cookie = str(town.bitcoin.cookie)
    bitcoin = ("--bitcoin-rpc", town.bitcoin.url, "--bitcoin-cookie", cookie)
    folder = town.processes.start(name, "node", "--host", "127.0.0.1", "--log", "info", *bitcoin, *flags)
    town.members.setdefault(name, Member(name, folder))


def wait_for_node(town: Town, name: str) -> None:
    def is_up() -> bool:
        town.processes.check_alive(name)
        return town[name].is_up

    until(f"the node of the {name} starts", is_up, 30)
    town[name].refresh()


def town_seconds(town: Town) -> float:
    return time.monotonic() - town.began


def _regtest_url(processes: Processes) -> str:
    processes.check_alive("regtest")
    words = processes.log("regtest").split()
    return words[words.index("at") + 1].rstrip(",") if "at" in words else ""
