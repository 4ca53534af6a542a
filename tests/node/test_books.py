"""The books of a folder: read again, folded anew, written as tables; and what is found when somebody meddled."""

import asyncio
import csv
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from overlay.clock import SystemRandomness
from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.node import audit, books
from overlay.node import export as tables
from overlay.node.book_tables import TABLES
from overlay.node.export import ExportFailed
from overlay.node.folder import DataFolder
from overlay.node.ledger import open_ledger
from overlay.node.wire import ExportLedger, LedgerVerdict, Rebuilt
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.sealing import Seal, Unreadable
from overlay.trustchain.statements import FoundCommons, Profile
from overlay.trustchain.store import StorageError
from tests.town import HOUR, START, SeededRandomness, Town, Townsperson

SECRETS = "a deed that nobody else should read", "a note for two"


class OnFolder(Townsperson):
    """A member whose ledger lies in a data folder, with everything that a node has."""

    def __init__(self, town: Town, role: str) -> None:
        super().__init__(role, town.folder, town.clock, file=f"{role}-unused", synchronous="NORMAL")
        self.ledger.close()
        self.folder = DataFolder(town.folder / role, SeededRandomness(role))
        self.identity = self.folder.identity
        self.ledger: Ledger = open_ledger(self.folder, town.clock, self.random)
        self.ledger.listeners.append(self.changes.append)

    def close(self) -> None:
        self.ledger.close()
        self.folder.close()


async def a_baker_with_books(town: Town) -> tuple[OnFolder, BlockHash, BlockHash]:
    """The baker gives bread to the farmer, who passes some of it on to the mechanic."""
    baker, farmer, mechanic = OnFolder(town, "baker"), town.person("farmer"), town.person("mechanic")
    town.people[baker.key] = baker
    await baker.ledger.append(FoundCommons("bridge", "", 1))
    await baker.ledger.append(Profile("=baker", "+1"))
    bread = await baker.mint("bread", 100)
    until = town.clock.now() + HOUR
    offered = await baker.do(
        lambda tx: exchange.propose(
            tx, baker.random, farmer.key, [Amount(bread, 60)], until, deed=SECRETS[0], note=SECRETS[1]
        )
    )
    await town.carry()
    await farmer.agree(offered.hash)
    await town.carry()
    passed = await farmer.give(mechanic, bread, 40)
    await town.carry()
    await mechanic.agree(passed)
    await town.carry()
    return baker, offered.hash, passed


async def verify(folder: DataFolder) -> LedgerVerdict:
    """On a thread, as a node does it."""
    return await asyncio.to_thread(audit.verify, folder)


async def rebuild(folder: DataFolder) -> Rebuilt:
    return await asyncio.to_thread(books.rebuild, folder)


@pytest.fixture
def town_of_folders(tmp_path: Path) -> Town:
    return Town(tmp_path, "NORMAL")


async def test_honest_books_are_sound_and_stay_what_they_are_when_folded_anew(town_of_folders: Town) -> None:
    baker, _, _ = await a_baker_with_books(town_of_folders)
    town_of_folders.close()
    found = await verify(baker.folder)
    assert (found.sound, found.findings, found.gaps) == (True, (), 0)
    assert (found.parts, found.chains) == (4, 3)
    assert f"All {found.blocks} statements and 4 disclosed parts" in found.sentence
    rebuilt = await rebuild(baker.folder)
    assert rebuilt.same
    assert rebuilt.digests == found.digests == (await verify(baker.folder)).digests
    shown = books.stats(baker.folder)
    assert (shown.blocks, shown.parts, shown.forks, shown.members) == (found.blocks, 4, 0, 1)
    assert shown.agreements == 2
    assert shown.tables["voucher"]["voucher_mint"] == 1
    assert list(baker.folder.path.glob("verify*")) == []
    baker.folder.close()


async def test_books_are_verified_beside_a_ledger_that_is_open(town_of_folders: Town) -> None:
    baker, _, _ = await a_baker_with_books(town_of_folders)
    assert (await verify(baker.folder)).sound
    await baker.ledger.append(Profile("still writing", ""))
    rebuilt = await books.rebuild_open(baker.ledger)
    assert rebuilt.same
    town_of_folders.close()


def flip_signature(db: sqlite3.Connection) -> None:
    altered = "CAST(substr(tail, 1, 40) || X'00' || substr(tail, 42) AS BLOB)"
    db.execute(f"UPDATE half SET tail = {altered} WHERE sequence = 2")


def swap_author(db: sqlite3.Connection) -> None:
    db.execute("UPDATE half SET link_agent = agent WHERE sequence = 1")


def cut_off(db: sqlite3.Connection) -> None:
    db.execute("UPDATE half SET tail = substr(tail, 1, 50) WHERE sequence = 1")


def not_bytes(db: sqlite3.Connection) -> None:
    db.execute("UPDATE half SET tail = 'text', hash = 7 WHERE sequence = 1")


def forget_a_gap(db: sqlite3.Connection) -> None:
    db.execute("UPDATE agent SET contiguous = contiguous - 1 WHERE contiguous > 1")


def invent_a_fork(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO forked SELECT agent, sequence FROM half WHERE sequence = 1 LIMIT 1")


def alter_a_part(db: sqlite3.Connection) -> None:
    db.execute("UPDATE part SET sealed = CAST(substr(sealed, 1, 20) || X'00' || substr(sealed, 22) AS BLOB)")


def turn_a_part_into_text(db: sqlite3.Connection) -> None:
    db.execute("UPDATE part SET sealed = substr(sealed, 1, 20) || X'FF'")


def move_a_part(db: sqlite3.Connection) -> None:
    db.execute("UPDATE part SET count = 2 WHERE count = 1")


def enrich_oneself(db: sqlite3.Connection) -> None:
    db.execute("UPDATE voucher_holding SET quantity = quantity + 1")


def believe_a_word(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM voucher_witness")


@pytest.mark.parametrize(
    ("meddle", "sentence"),
    [
        (flip_signature, "altered"),
        (swap_author, "altered"),
        (cut_off, "holds no statement"),
        (not_bytes, "holds no statement"),
        (forget_a_gap, "the chain of"),
        (invent_a_fork, "the fork proof at"),
        (alter_a_part, "cannot be read"),
        (turn_a_part_into_text, "cannot be read"),
        (move_a_part, "cannot be read"),
        (enrich_oneself, "the view 'voucher'"),
        (believe_a_word, "the view 'voucher'"),
    ],
)
async def test_whoever_meddles_with_the_file_is_found_out(
    town_of_folders: Town, meddle: Callable[[sqlite3.Connection], None], sentence: str
) -> None:
    baker, _, _ = await a_baker_with_books(town_of_folders)
    town_of_folders.close()
    with closing(sqlite3.connect(baker.folder.ledger, isolation_level=None)) as db:
        block_tables.prepare(db)
        meddle(db)
    found = await verify(baker.folder)
    assert not found.sound
    assert sentence in found.sentence
    assert found.findings[0].kind == "damage"
    baker.folder.close()


async def test_a_view_that_was_meddled_with_is_mended_by_folding_it_anew(town_of_folders: Town) -> None:
    baker, _, _ = await a_baker_with_books(town_of_folders)
    town_of_folders.close()
    with closing(sqlite3.connect(baker.folder.ledger, isolation_level=None)) as db:
        enrich_oneself(db)
    assert not (await rebuild(baker.folder)).same
    assert (await verify(baker.folder)).sound
    baker.folder.close()


async def test_a_members_fault_names_the_member_and_leaves_the_books_sound(town_of_folders: Town) -> None:
    town = town_of_folders
    baker, _, _ = await a_baker_with_books(town)
    farmer = next(person for person in town.people.values() if person.role == "farmer")
    twin = Townsperson("farmer", town.folder, town.clock, file="twin")
    await baker.ledger.ingest([await twin.ledger.append(Profile("twin", ""))])
    twin.ledger.close()
    town.close()
    found = await verify(baker.folder)
    assert found.sound
    assert [(each.kind, each.culprit) for each in found.findings] == [("fault", farmer.key.hex())]
    assert "signed two different statements 1" in found.findings[0].sentence
    assert len(found.findings[0].blocks) == 2
    baker.folder.close()


async def test_what_is_no_ledger_is_one_sentence(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "n", SystemRandomness())
    with pytest.raises(StorageError, match="cannot be read"):
        await verify(folder)
    assert not folder.ledger.exists()
    folder.ledger.write_bytes(b"this is not a ledger" * 500)
    with pytest.raises(StorageError, match="cannot be read"):
        books.stats(folder)
    folder.close()


# Sealed at rest ------------------------------------------------------------------------------------------------------


async def test_the_file_alone_shows_no_terms_deeds_or_notes(town_of_folders: Town) -> None:
    baker, offered, _ = await a_baker_with_books(town_of_folders)
    shown = b"".join(part.content for part in blocks.parts(baker.ledger.db, offered))
    assert all(secret.encode() in shown for secret in SECRETS)
    on_disk = b"".join(path.read_bytes() for path in baker.folder.path.glob("ledger.db*"))
    assert not any(secret.encode() in on_disk for secret in SECRETS)
    salts = [part.salt for part in blocks.parts(baker.ledger.db, offered)]
    assert not any(salt in on_disk for salt in salts)
    town_of_folders.close()
    baker.folder.close()


async def test_another_identity_reads_no_part(town_of_folders: Town) -> None:
    baker, offered, _ = await a_baker_with_books(town_of_folders)
    stranger = town_of_folders.person("stranger").identity
    with (
        pytest.raises(StorageError, match="sealed by another identity"),
        books.reading(baker.folder.ledger, Seal(stranger)) as db,
    ):
        blocks.parts(db, offered)
    with closing(sqlite3.connect(baker.folder.ledger)) as plain, pytest.raises(Unreadable, match="no identity"):
        blocks.parts(plain, offered)
    town_of_folders.close()
    baker.folder.close()


# Tables --------------------------------------------------------------------------------------------------------------


def export(baker: OnFolder, to: Path, form: str = "csv", *, with_private: bool = False) -> dict[str, int]:
    return tables.export(baker.folder, ExportLedger(str(to), form, with_private), START).files  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


async def test_tables_hold_what_is_ones_own_and_what_others_showed_only_when_asked(
    town_of_folders: Town, tmp_path: Path
) -> None:
    baker, offered, passed = await a_baker_with_books(town_of_folders)
    files = export(baker, tmp_path / "out")
    assert set(files) == {f"{name}.csv" for name in TABLES}
    assert files["statements.csv"] == blocks.count(baker.ledger.db)
    assert [row["proposal"] for row in read(tmp_path / "out" / "legs.csv")] == [offered.hex()]
    assert {row["text"] for row in read(tmp_path / "out" / "terms.csv")} == set(SECRETS)
    assert {row["proposal"] for row in read(tmp_path / "out" / "exchanges.csv")} == {offered.hex(), passed.hex()}
    export(baker, tmp_path / "all", with_private=True)
    legs = read(tmp_path / "all" / "legs.csv")
    assert {row["proposal"]: (row["quantity"], row["change"], row["standing"]) for row in legs} == {
        offered.hex(): ("60", "40", "final"),
        passed.hex(): ("40", "20", "final"),
    }
    written = b"".join(path.read_bytes() for path in (tmp_path / "all").iterdir())
    assert baker.identity.secret[10:].hex().encode() not in written
    assert ((tmp_path / "all" / "legs.csv").stat().st_mode & 0o777) == 0o600
    town_of_folders.close()
    baker.folder.close()


async def test_no_text_of_another_member_becomes_a_formula(town_of_folders: Town, tmp_path: Path) -> None:
    baker, _, _ = await a_baker_with_books(town_of_folders)
    export(baker, tmp_path / "out")
    (row,) = read(tmp_path / "out" / "members.csv")
    assert (row["name"], row["about"], row["proven_cheat"]) == ("'=baker", "'+1", "false")
    town_of_folders.close()
    baker.folder.close()


async def test_parquet_and_csv_say_the_same(town_of_folders: Town, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    baker, _, _ = await a_baker_with_books(town_of_folders)
    export(baker, tmp_path / "out")
    export(baker, tmp_path / "out", "parquet")
    for name, table in TABLES.items():
        if name != "members":  # whose texts look like formulas here
            found = parquet.read_table(tmp_path / "out" / f"{name}.parquet")
            assert found.column_names == list(table.columns)
            plain = [
                {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in row.items()}
                for row in found.to_pylist()
            ]
            assert plain == read(tmp_path / "out" / f"{name}.csv")
    town_of_folders.close()
    baker.folder.close()


async def test_without_pyarrow_parquet_is_one_sentence(
    town_of_folders: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baker, _, _ = await a_baker_with_books(town_of_folders)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportFailed, match=r"counterfoil\[parquet\]"):
        export(baker, tmp_path / "out", "parquet")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportFailed, match="cannot be written"):
        export(baker, tmp_path / "file" / "out")
    town_of_folders.close()
    baker.folder.close()


def test_exporting_loads_pyarrow_only_when_it_is_asked_for() -> None:
    code = "import sys, overlay.node.cli; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "False"
