"""Files that are replaced are whole, private, and where they were asked to be."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from overlay.clock import SystemRandomness
from overlay.files import remove_unfinished, replacing, write_file
from overlay.node.folder import DataFolder


@pytest.fixture(params=[0o000, 0o022])
def mask(request: pytest.FixtureRequest) -> object:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("mask")
def test_a_file_is_its_owners_only_whatever_lay_there_before(tmp_path: Path) -> None:
    target = tmp_path / "config.toml"
    target.write_bytes(b"old")
    target.chmod(0o644)
    for name in ("config.toml.new", ".config.toml.new"):
        (tmp_path / name).write_bytes(b"left behind")
        (tmp_path / name).chmod(0o666)
    write_file(target, b"new")
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"new", 0o600)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    for name in ("place", "place.new"):
        (tmp_path / name).symlink_to(victim)
    write_file(tmp_path / "place", b"here")
    assert (victim.read_bytes(), (tmp_path / "place").is_symlink()) == (b"mine", False)


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "books.csv", b"old")

    def write_half() -> None:
        with replacing(tmp_path / "books.csv") as file:
            file.write(b"ne")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        write_half()
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("books.csv", b"old")]


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "nowhere" / "file", b"")


def test_what_a_kill_left_behind_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = """
import os, pathlib, sys
from overlay import files
with files.replacing(pathlib.Path(sys.argv[1])) as file:
    file.write(b"secret")
    file.flush()
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "identity.key")], check=False, timeout=60)
    for name in ("identity.key", "identity.key2", ".other"):
        (tmp_path / name).write_bytes(b"mine")
    assert len(list(tmp_path.iterdir())) == 4
    remove_unfinished(tmp_path / "identity.key")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".other", "identity.key", "identity.key2"]


def test_a_folder_that_is_opened_again_keeps_no_half_written_secret(tmp_path: Path) -> None:
    DataFolder(tmp_path / "n", SystemRandomness()).close()
    (tmp_path / "n" / ".identity.key.abc").write_bytes(b"secret")
    DataFolder(tmp_path / "n", SystemRandomness()).close()
    assert not list((tmp_path / "n").glob(".identity*"))
