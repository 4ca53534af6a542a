"""The command line: `counterfoil node`, `regtest`, `tui`, and one command per action of a running node."""

import logging
import sys
from pathlib import Path

import click

from overlay.node import passphrases
from overlay.node.commands import action_groups
from overlay.node.local import LOCAL_COMMANDS

DEFAULT_FOLDER = "~/.counterfoil"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    envvar="COUNTERFOIL_DATA",
    help="The node's data folder.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take a passphrase that is needed from the first line of this file.",
)
@click.version_option(package_name="counterfoil")
@click.pass_context
def main(context: click.Context, data: Path, passphrase_file: Path | None) -> None:
    """Counterfoil: trade in promises, share, and hold common funds, with nobody's server involved."""
    context.obj = data.expanduser()
    context.meta[passphrases.OPTION] = passphrase_file


@main.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(0, 65535), help="UDP port of the overlay; 0 for any free one.")
@click.option("--host", help="Address to listen on, for the overlay and for content.")
@click.option("--advertise", help="Address that invitations name, when it is another one.")
@click.option("--rest-port", type=click.IntRange(0, 65535), help="TCP port of the REST interface.")
@click.option("--content-port", type=click.IntRange(0, 65535), help="Port of BitTorrent.")
@click.option("--headless", is_flag=True, default=None, help="A node without a person: it carries everyone's content.")
@click.option("--bitcoin-rpc", help="URL of a bitcoind's JSON-RPC interface, or of `counterfoil regtest`.")
@click.option("--bitcoin-cookie", help="Path of its cookie file.")
@click.option("--insist-on-place", is_flag=True, help="Sign although this folder ran elsewhere. Read the docs first.")
@click.option("--log", "log_level", default="warning", show_default=True, help="debug, info, warning or error.")
@click.pass_context
def node(context: click.Context, /, **options: object) -> None:
    """Run a node until it is interrupted, or ask the one that runs for its status."""
    from overlay.node.running import run_node

    if context.invoked_subcommand is None:
        _configure_log(str(options.pop("log_level")))
        sys.exit(run_node(context.obj, options, passphrases.of_the_identity()))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=18443, show_default=True)
@click.option("--rpcuser", help="Log in with this user beside the cookie file.")
@click.option("--rpcpassword", help="And this password.")
@click.pass_obj
def regtest(folder: Path, host: str, port: int, rpcuser: str | None, rpcpassword: str | None) -> None:
    """Run a Bitcoin regtest chain with Bitcoin Core's consensus code, speaking bitcoind's JSON-RPC."""
    from overlay.node.running import run_regtest

    _configure_log("warning")
    sys.exit(run_regtest(folder, host, port, rpcuser, rpcpassword))


@main.command()
@click.pass_obj
def tui(folder: Path) -> None:
    """Open the terminal interface of the node that runs on the data folder."""
    from overlay.node.running import run_tui

    sys.exit(run_tui(folder))


def _configure_log(level: str) -> None:
    names = logging.getLevelNamesMapping()
    if level.upper() not in names:
        raise click.BadParameter(f"'{level}' is not one of debug, info, warning, error", param_hint="--log")
    logging.basicConfig(level=names[level.upper()], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("quic").setLevel(logging.ERROR)  # a line per handshake, and one for each thing an attacker does


for each in action_groups():
    main.add_command(each)
for group, command in LOCAL_COMMANDS:
    into = main.commands.setdefault(group, click.Group(group, help="Work on files of this machine."))
    if isinstance(into, click.Group):
        into.add_command(command)
node.add_command(main.commands["status"].commands["show"], "status")  # type: ignore[attr-defined]
