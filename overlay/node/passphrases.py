"""Where a passphrase comes from: a file or the environment for services, a prompt for people."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from overlay.node.vault import MAX_PASSPHRASE_BYTES, NoPassphrase, Passphrase

ENVIRONMENT = "COUNTERFOIL_PASSPHRASE"


# Where the command line keeps what `--passphrase-file` names.
OPTION = "counterfoil.passphrase-file"


def of_the_identity() -> Passphrase:
    """What opens the identity, as the command that runs has been told where to find it."""
    return from_outside(named_file(), "Passphrase of your identity")


def named_file() -> Path | None:
    """What the running command's `--passphrase-file` names."""
    context = click.get_current_context(silent=True)
    found = context.meta.get(OPTION) if context else None
    return found if isinstance(found, Path) else None


def from_outside(file: Path | None, prompt: str, *, new: bool = False) -> Passphrase:
    """Asks when called, once: the first line of `file`, else the environment, else the person at the terminal (twice
    for a `new` one). Raises NoPassphrase when there is none of them."""

    def ask() -> str:
        if file is not None:
            return _first_line(file)
        if ENVIRONMENT in os.environ:
            return os.environ[ENVIRONMENT]
        if not sys.stdin.isatty():
            raise NoPassphrase(
                f"a passphrase is needed, and nobody is there to type it: give --passphrase-file or set {ENVIRONMENT}"
            )
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True))

    return _once(ask)


def _once(ask: Callable[[], str]) -> Passphrase:
    answers: list[str] = []

    def answer() -> str:
        if not answers:
            answers.append(ask())
        return answers[0]

    return answer


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.readline(2 * MAX_PASSPHRASE_BYTES).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise NoPassphrase(f"{file}: the passphrase cannot be read from this file: {error}") from error
