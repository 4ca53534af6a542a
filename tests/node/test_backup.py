"""Backups: whole or refused, and never a way to sign two histories."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from overlay.clock import SystemRandomness
from overlay.files import write_file
from overlay.keys import InvalidKey
from overlay.node import backup, guard
from overlay.node.backup import CHUNK, OVERHEAD, BadBackup
from overlay.node.folder import RESTORED, DataFolder
from overlay.node.guard import STRANGE_PLACE, SigningGuard
from overlay.node.vault import NoPassphrase, Work
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.ledger import Ledger, SigningRefused
from overlay.trustchain.statements import Profile
from tests.network.village import person
from tests.node.test_guard import Ring, Town, is_old_copy, is_open, length, sign, stays_closed, verdict, watch
from tests.town import HandClock, SeededRandomness

CHEAP = Work(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN, b"s" * 16)


def words() -> str:
    return "correct horse"


def write(folder: Path, to: Path) -> int:
    return backup.write(folder, to, words, CHEAP)


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    monkeypatch.setattr(guard, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("overlay.network.network.HELLO_SECONDS", 0.5)
    yield made
    await made.stop(*made.open)


# Restored nodes ------------------------------------------------------------------------------------------------------


async def test_a_restored_node_signs_nothing_until_it_has_caught_up_and_then_goes_on_without_a_fork(town: Town) -> None:
    farmer, baker = await town.found("farmer", "baker")
    write(town.folder / "baker", town.folder / "backup")
    newest = await sign(baker)
    await farmer.home.sync.with_peer(baker.identity.public_key)
    await town.stop("baker")

    backup.restore(town.folder / "backup", town.folder / "restored", words)
    restored = await town.start("restored")
    assert length(restored, on=restored) < newest.sequence_number
    with pytest.raises(SigningRefused):
        await sign(restored)
    await verdict(restored, is_old_copy)
    with pytest.raises(SigningRefused, match="old copy"):
        await sign(restored)
    await restored.home.sync.with_peer(farmer.identity.public_key)
    await town.stop("restored")

    again = await town.start("restored")
    await verdict(again, is_open)
    assert (await sign(again)).sequence_number > newest.sequence_number
    await farmer.home.sync.with_peer(again.identity.public_key)
    assert not blocks.has_forked(farmer.db, again.identity.public_key)


async def test_a_restored_node_that_nobody_answers_signs_only_when_its_user_insists(town: Town) -> None:
    await town.found("farmer", "baker")
    write(town.folder / "baker", town.folder / "backup")
    await town.stop("farmer", "baker")
    backup.restore(town.folder / "backup", town.folder / "restored", words)
    restored = await town.start("restored")
    await verdict(restored, lambda refusal: refusal == STRANGE_PLACE)
    await town.stop("restored")
    assert (town.folder / "restored" / "place").read_text() == RESTORED
    insisting = await town.start("restored", insist=True)
    await verdict(insisting, is_open)
    await sign(insisting)
    assert insisting.folder.place_fits()


async def test_a_backup_from_before_the_first_statement_is_no_fresh_node(town: Town) -> None:
    """The original has founded a commons since; a restored copy that takes itself for new would fork at once."""
    original = await town.start("farmer")
    write(town.folder / "farmer", town.folder / "backup")
    await sign(original)
    await town.stop("farmer")
    backup.restore(town.folder / "backup", town.folder / "restored", words)
    restored = await town.start("restored")
    with pytest.raises(SigningRefused, match="insist-on-place"):
        await sign(restored)


async def test_a_backup_holds_the_whole_member(town: Town) -> None:
    farmer, _ = await town.found("farmer", "baker")
    (town.folder / "farmer" / "config.toml").write_text("[node]\nheadless = true\n")
    size = write(town.folder / "farmer", town.folder / "backup")
    assert (town.folder / "backup").stat().st_size == size
    assert ((town.folder / "backup").stat().st_mode & 0o777) == 0o600
    await town.stop("farmer", "baker")
    restored = town.folder / "a" / "restored"
    backup.restore(town.folder / "backup", restored, words)
    names = sorted(path.name for path in restored.iterdir())
    assert names == ["config.toml", "identity.key", "ledger.db", "place"]
    assert all((restored / name).stat().st_mode & 0o777 == 0o600 for name in names)
    folder = DataFolder(restored, SystemRandomness())
    assert folder.identity.secret == farmer.identity.secret
    with closing(sqlite3.connect(folder.ledger)) as db:
        assert db.execute("SELECT value FROM node_setting WHERE name = 'commons'").fetchone() is not None
    folder.close()
    assert farmer.identity.secret[10:] not in (town.folder / "backup").read_bytes()
    assert not list((town.folder / "farmer").glob("backup*"))


@pytest.mark.parametrize(("who_knows", "opens"), [(3, True), (2, False)])
async def test_fewer_than_three_who_know_its_chain_do_not_open_a_restored_node(
    tmp_path: Path, who_knows: int, opens: bool
) -> None:
    """Five more answer, and know nothing of this member."""
    clock, random = HandClock(), SeededRandomness("baker")
    folder = DataFolder(tmp_path / "folder", random)
    write_file(folder.path / "place", RESTORED.encode())
    ledger = Ledger(tmp_path / "ledger.db", person("baker"), [], clock, random, "NORMAL")
    head = await ledger.append(Profile("baker", ""))
    ring = Ring(clock, 8)
    ring.holds = {key: [head] if number < who_knows else [] for number, key in enumerate(ring.others)}
    guard_ = SigningGuard(ledger, folder, insist=False)
    if opens:
        await watch(guard_, ring)
        assert ledger.signing_refusal is None
        assert folder.place_fits()
    else:
        watching = asyncio.ensure_future(watch(guard_, ring))
        refused = asyncio.Event()
        guard_.on_verdict = lambda _: refused.set()
        await asyncio.wait_for(refused.wait(), 20)
        assert ledger.signing_refusal == STRANGE_PLACE
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert folder.is_restored
    ledger.close()
    folder.close()


async def test_who_knows_nothing_of_us_opens_no_backup_from_before_the_first_statement(tmp_path: Path) -> None:
    """What the original has signed since may just not have come to those who answer."""
    clock, random = HandClock(), SeededRandomness("baker")
    folder = DataFolder(tmp_path / "folder", random)
    write_file(folder.path / "place", RESTORED.encode())
    ledger = Ledger(tmp_path / "ledger.db", person("baker"), [], clock, random, "NORMAL")
    ring = Ring(clock, 8)
    ring.holds = {key: [] for key in ring.others}
    await stays_closed(SigningGuard(ledger, folder, insist=False), ring)
    assert ledger.signing_refusal == STRANGE_PLACE
    assert folder.is_restored
    ledger.close()
    folder.close()


# Files that are no backup --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of several chunks."""
    place = tmp_path_factory.mktemp("backup")
    folder = DataFolder(place / "n", SystemRandomness())
    with closing(sqlite3.connect(folder.ledger)) as db:
        db.executescript(block_tables.SCHEMA)
        db.execute(f"PRAGMA user_version = {block_tables.VERSION}")
        db.execute("CREATE TABLE filling AS SELECT randomblob(200000) AS bytes")
        db.commit()
    folder.close()
    write(place / "n", place / "sound")
    return place / "sound"


def refuses(source: Path, to: Path, *words_: str) -> None:
    with pytest.raises((BadBackup, InvalidKey)) as told:
        backup.restore(source, to, words)
    for word in words_:
        assert word in str(told.value)
    assert not to.exists()
    assert [path.name for path in to.parent.iterdir() if path.name.startswith(".")] == []


def test_a_sound_backup_of_several_chunks_is_restored(sound: Path, tmp_path: Path) -> None:
    assert sound.stat().st_size > 3 * CHUNK
    (tmp_path / "to").mkdir()
    backup.restore(sound, tmp_path / "to", words)
    assert (tmp_path / "to" / "ledger.db").exists()


def test_a_backup_that_was_cut_off_anywhere_is_refused(sound: Path, tmp_path: Path) -> None:
    raw, head = sound.read_bytes(), backup._HEAD_BYTES
    ends = [0, 1, head - 1, head, head + 1, head + CHUNK + OVERHEAD, head + 2 * (CHUNK + OVERHEAD), len(raw) - 1]
    for end in ends:
        (tmp_path / "cut").write_bytes(raw[:end])
        refuses(tmp_path / "cut", tmp_path / "to", "cut")


def test_a_backup_that_was_altered_anywhere_is_refused(sound: Path, tmp_path: Path) -> None:
    raw = sound.read_bytes()
    for at in [*range(0, backup._HEAD_BYTES + 4, 5), CHUNK, len(raw) - 1]:
        (tmp_path / "altered").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        refuses(tmp_path / "altered", tmp_path / "to")


def test_chunks_cannot_be_left_out_swapped_or_added(sound: Path, tmp_path: Path) -> None:
    raw, head, size = sound.read_bytes(), backup._HEAD_BYTES, CHUNK + OVERHEAD
    one, two = raw[head : head + size], raw[head + size : head + 2 * size]
    rest = raw[head + 2 * size :]
    for wrong in (two + rest, two + one + rest, one + one + rest, one + two + rest + one, one + rest):
        (tmp_path / "altered").write_bytes(raw[:head] + wrong)
        refuses(tmp_path / "altered", tmp_path / "to")


def test_another_passphrase_and_a_foreign_file_are_told_in_a_sentence(sound: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBackup, match="the passphrase is another, or the backup was altered"):
        backup.restore(sound, tmp_path / "to", lambda: "wrong")
    (tmp_path / "foreign").write_bytes(b"PK\3\4" + bytes(500))
    refuses(tmp_path / "foreign", tmp_path / "to", "no backup of this program")
    refuses(tmp_path / "nothing there", tmp_path / "to", "No such file")


def test_nothing_that_is_there_is_written_over(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").write_text("x")
    with pytest.raises(BadBackup, match="something is there already"):
        backup.restore(sound, tmp_path / "to", words)
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"identity.key": b"x"}, "lacks the identity or the ledger"),
        ({"identity.key": b"x", "ledger.db": b""}, "cannot be used"),
        ({"identity.key": b"x" * 5000, "ledger.db": b""}, "no backup of this program contains"),
        ({"../escape": b"x"}, "no backup of this program contains"),
        ({"place": b"x"}, "no backup of this program contains"),
    ],
)
def test_what_somebody_else_sealed_with_the_same_words_is_still_checked(
    files: dict[str, bytes], sentence: str, tmp_path: Path
) -> None:
    content = b"".join(
        len(name).to_bytes(2) + name.encode() + len(raw).to_bytes(8) + raw for name, raw in files.items()
    )
    with (tmp_path / "made").open("wb") as file:
        backup._seal(file, iter([content]), CHEAP.key(words()), CHEAP)
    refuses(tmp_path / "made", tmp_path / "to", sentence)
    with (tmp_path / "made").open("wb") as file:
        backup._seal(file, iter([content[:-1]]), CHEAP.key(words()), CHEAP)
    refuses(tmp_path / "made", tmp_path / "to")


@pytest.mark.parametrize(
    ("tag", "made_to", "sentence"),
    [("FINAL", backup.MESSAGE, "cut off before its end"), ("MESSAGE", backup.FINAL, "something follows the end")],
)
def test_a_backup_ends_where_it_says_and_nowhere_else(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, made_to: int, sentence: str
) -> None:
    """Whoever knows the words seals the content of a sound backup, without the mark of its end or with too many."""
    with sound.open("rb") as file:
        content = list(backup._opened(file, sound, words))
    with monkeypatch.context() as patched, (tmp_path / "made").open("wb") as made:
        patched.setattr(backup, tag, made_to)
        backup._seal(made, iter(content), CHEAP.key(words()), CHEAP)
    refuses(tmp_path / "made", tmp_path / "to", sentence)


def test_without_a_passphrase_or_a_folder_nothing_is_written(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "n", SystemRandomness())
    folder.close()

    def nobody() -> str:
        raise NoPassphrase("nobody is there")

    with pytest.raises(NoPassphrase):
        backup.write(tmp_path / "n", tmp_path / "b", nobody, CHEAP)
    with pytest.raises(BadBackup, match="no node has ever run"):
        write(tmp_path / "m", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "m").exists()


def test_a_backup_is_not_kept_in_the_folder_that_it_is_to_outlive(tmp_path: Path) -> None:
    DataFolder(tmp_path / "n", SystemRandomness()).close()
    (tmp_path / "link").symlink_to(tmp_path / "n")
    for inside in (
        tmp_path / "n" / "ledger.db",
        tmp_path / "link" / "backup",
        tmp_path / "x" / ".." / "n" / "deep" / "b",
    ):
        with pytest.raises(BadBackup, match="inside the data folder"):
            write(tmp_path / "n", inside)
    assert not (tmp_path / "n" / "ledger.db").exists()
