"""Commands that work on files of this machine: secrets never travel through the REST interface."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.bundle import MAX_BUNDLE_BYTES
from overlay.economy.proof import check as check_bundle
from overlay.files import write_file
from overlay.node import backup, passphrases, vault
from overlay.node.actions import ACTIONS
from overlay.node.actions.bundles import verdict
from overlay.node.actions.keys import describe
from overlay.node.commands import ask, print_answer
from overlay.node.folder import DataFolder, is_inside
from overlay.node.offline import KNOWN_ERRORS, opened
from overlay.node.vault import Work
from overlay.node.wire import BundleModel

NEW = "New passphrase"
OF_BACKUP = "Passphrase of the backup"


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """What goes wrong is told without a traceback."""
    try:
        yield
    except KNOWN_ERRORS as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option(
    "--new-passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the new passphrase from the first line of this file.",
)
@click.pass_obj
def protect(folder: Path, new_passphrase_file: Path | None) -> None:
    """Protect the key file with a passphrase, or with another one; the node must not run."""
    with _one_sentence(), opened(folder) as data:
        identity, random = data.identity, SystemRandomness()
        new = passphrases.from_outside(new_passphrase_file or _first_time(data), NEW, new=True)
        data.rewrite_key(vault.protect(identity, new(), Work.moderate(random), random))
    click.echo(f"The key of {describe_short(folder)} now asks for the passphrase. Nobody can restore it without.")


def _first_time(data: DataFolder) -> Path | None:
    """A plain key asks for no old passphrase, so the file that is named holds the new one."""
    return None if data.is_protected else passphrases.named_file()


@click.command()
@click.pass_obj
def unprotect(folder: Path) -> None:
    """Write the key file without a passphrase; the node must not run."""
    with _one_sentence(), opened(folder) as data:
        data.rewrite_key(data.identity.secret)
    click.echo(f"The key of {describe_short(folder)} no longer asks for a passphrase.")


def describe_short(folder: Path) -> str:
    with opened(folder) as data:
        return describe(data).did


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def write(folder: Path, file: Path) -> None:
    """Write an encrypted backup of identity, configuration and ledger to FILE; the node may run."""
    with _one_sentence():
        passphrase = passphrases.from_outside(passphrases.named_file(), OF_BACKUP, new=True)
        size = backup.write(folder, file, passphrase, Work.moderate(SystemRandomness()))
    click.echo(f"Wrote a backup of {size:,} bytes to {file}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A folder that is empty or does not exist.")
def restore(file: Path, to: Path) -> None:
    """Restore a backup into a folder; its node signs nothing before others have told it what it signed last."""
    with _one_sentence():
        owner = backup.restore(file, to, passphrases.from_outside(passphrases.named_file(), OF_BACKUP))
    click.echo(
        f"Restored {owner} to {to}. Make sure that no other copy of it runs or will ever run again. Its node signs"
        " nothing until other members have shown it that it is not behind."
    )


@click.command()
@click.argument("voucher")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--qr", is_flag=True, help="Show it as a QR code too, when it is small enough for one.")
@click.pass_obj
def bundle(folder: Path, voucher: str, to: Path, qr: bool) -> None:
    """Write what you hold of VOUCHER (its id), with everything that proves it, to a file."""
    told = ask(folder, ACTIONS["voucher", "bundle"], {"voucher": voucher})
    made = msgspec.convert(told, BundleModel)
    if is_inside(folder, to):
        raise click.ClickException(f"{to}: this is inside the data folder, where only the node writes")
    try:
        write_file(to, made.bundle)
    except OSError as error:
        raise click.ClickException(f"{to}: the bundle cannot be written: {error.strerror}") from error
    print_answer({"sentence": made.sentence, "file": str(to), "size": made.size, "fits_qr": bool(made.qr)})
    if qr:
        click.echo(made.qr or "It is too large for a QR code; hand the file over.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path) -> None:
    """Check a bundle, as a file or as the text of a QR code: no network, no node and no data folder are needed."""
    with _one_sentence(), file.open("rb") as read:
        proof = check_bundle(read.read(MAX_BUNDLE_BYTES + 1), SystemClock().now())
    print_answer(msgspec.to_builtins(verdict(proof)))


# Into which group of commands each goes.
LOCAL_COMMANDS: tuple[tuple[str, click.Command], ...] = (
    ("key", protect),
    ("key", unprotect),
    ("backup", write),
    ("backup", restore),
    ("voucher", bundle),
    ("voucher", check),
)
