"""Actions that need no running node: asked for on a folder where none runs, they work on the folder itself."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from overlay.clock import SystemClock, SystemRandomness
from overlay.node import audit, books, passphrases
from overlay.node.actions import Action
from overlay.node.actions.keys import describe
from overlay.node.backup import BadBackup
from overlay.node.export import export
from overlay.node.folder import DataFolder, FolderInUse
from overlay.node.problems import EXPECTED
from overlay.node.running import STARTING_ERRORS
from overlay.node.wire import Tell

Work = Callable[[DataFolder, Any], Tell]

# Whatever may go wrong with a sentence of its own.
KNOWN_ERRORS: tuple[type[Exception], ...] = (*EXPECTED, *STARTING_ERRORS, BadBackup)

OFFLINE: dict[tuple[str, str], Work] = {
    ("ledger", "stats"): lambda folder, _: books.stats(folder),
    ("ledger", "verify"): lambda folder, _: audit.verify(folder),
    ("ledger", "rebuild"): lambda folder, _: books.rebuild(folder),
    ("ledger", "export"): lambda folder, ask: export(folder, ask, SystemClock().now()),
    ("key", "show"): lambda folder, _: describe(folder),
}


def at_home(path: Path, action: Action, fields: Mapping[str, object]) -> object | None:
    """The answer to an action that needs no node, where none runs on the folder; None otherwise. Raises
    click.ClickException with one sentence."""
    work = OFFLINE.get((action.group, action.verb))
    if work is None:
        return None
    try:
        with opened(path) as folder:
            told: object = msgspec.to_builtins(work(folder, msgspec.convert(fields, action.ask)))
            return told
    except FolderInUse:
        return None
    except KNOWN_ERRORS as error:
        raise click.ClickException(str(error)) from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[DataFolder]:
    """The data folder of a node that does not run, locked. Raises FolderInUse, UnusableFolder, InvalidKey."""
    folder = DataFolder.of_a_node(path, SystemRandomness(), passphrases.of_the_identity())
    with contextlib.closing(folder):
        yield folder
