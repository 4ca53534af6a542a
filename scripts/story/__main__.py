"""The whole story in one command: see the chapters' modules. Run it by `scripts/demo`."""

import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.story import bridge, fraud, market
from scripts.story.processes import DemoFailed, Processes, interruptible
from scripts.story.rest import NodeRefused
from scripts.story.town import Town, start, town_seconds

STEPS = (
    start,
    market.found_commons,
    market.mint,
    market.swap,
    market.pass_on,
    market.steal_a_copy,
    market.pictures,
    market.before_redemption,
    market.redeem,
    market.after_redemption,
    bridge.found_group,
    bridge.fund,
    bridge.propose,
    bridge.two_votes_sign_nothing,
    bridge.third_vote_pays,
    bridge.farmer_returns,
    fraud.cheat,
    fraud.proof_reaches_everyone,
)


@click.command()
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the facts as JSON.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Leave the data folders here.")
@click.option("--hold", is_flag=True, help="Leave everything running until Ctrl-C.")
def main(report: Path | None, keep: Path | None, hold: bool) -> None:
    """Rebuild the bridge: six nodes and a Bitcoin service on this machine, every part real."""
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-demo-"))
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise click.ClickException(f"{keep} is not empty: name a new folder to keep the data in")
        folder.rmdir()
        keep.mkdir(parents=True, exist_ok=True)
        folder = keep.resolve()
    town = Town(console, Processes(folder))
    status = 1
    try:
        with interruptible():
            status = _tell(town, report, hold=hold)
    except KeyboardInterrupt:
        console.print("\nInterrupted.")
        status = 130
    finally:
        town.processes.stop_all()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def _tell(town: Town, report: Path | None, *, hold: bool) -> int:
    console = town.console
    console.print("[bold]The flood took the bridge. Five people, no bank and no platform rebuild it.[/bold]")
    try:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True
        ) as progress:
            task = progress.add_task("the story", total=len(STEPS))
            for step in STEPS:
                step(town)
                progress.advance(task)
        _summarise(town)
    except (DemoFailed, NodeRefused) as failure:
        console.print(f"\n[bold red]The story ended early:[/bold red] {failure}", highlight=False)
        for member in town.everyone:
            said = [line for line in town.processes.log(member.name).splitlines() if "node at" not in line][-3:]
            if said:
                console.print(f"  {member.name}: {' / '.join(said)}", markup=False, highlight=False)
        return 1
    if report is not None:
        report.write_text(json.dumps(town.report, indent=1))
    if hold:
        _hold(town)
    return 0


def _summarise(town: Town) -> None:
    town.report["seconds"] = round(town_seconds(town), 1)
    town.report["nodes"] = {
        member.name: {
            "pid": town.processes.pid(member.name),
            "public_key": member.public_key,
            "rss_mb": town.processes.rss_mb(member.name),
            "ledger": str((member.folder / "ledger.db").resolve()),
            "blocks": member.get("status/show")["blocks"],
        }
        for member in town.everyone
    }
    largest = max(node["rss_mb"] for node in town.report["nodes"].values())
    town.check("each node stays under 120 MB resident", holds=largest < 120, shown=f"at most {largest} MB")
    table = Table(title="What was checked", title_style="bold", title_justify="left", show_header=False, box=SIMPLE)
    table.add_column(style="green", width=2)
    table.add_column()
    table.add_column(justify="right")
    for what, shown in town.checks:
        table.add_row("✓", what, shown)
    town.console.print()
    town.console.print(table)
    town.console.print(f"{len(town.checks)} checks in {town.report['seconds']} s.", highlight=False)


def _hold(town: Town) -> None:
    console = town.console
    console.print("\nEverything is still running. Open the terminal interface of any member:")
    for member in town.everyone:
        command = f"{sys.executable.replace('python', 'counterfoil')} --data {member.folder} tui"
        console.print(f"  {member.name:10} {command}", highlight=False, soft_wrap=True)
    console.print("Press Ctrl-C to end it.")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
