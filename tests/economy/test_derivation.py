"""Whatever is signed and however it arrives: at every moment each derived column is what the facts say."""

import copy
import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from overlay.economy import succession, weighing
from overlay.trustchain.validation import check
from tests.economy.deriving import SITUATIONS, Looks, by_chance, examine, onlooker, read, show
from tests.economy.hostile_histories import hostile_history
from tests.economy.oracle import Derivation, Tables, differences

SEEDS = range(20)


async def looked_at(seed: int, folder: Path, *, has_heirs: bool) -> Looks:
    (folder / str(seed)).mkdir()
    history = hostile_history(seed, has_heirs=has_heirs)
    return await examine(history, folder / str(seed), random.Random(seed))


@pytest.mark.parametrize("has_heirs", [False, True], ids=["without heirs", "with heirs"])
async def test_each_column_is_what_the_facts_say_in_any_order(tmp_path: Path, has_heirs: bool) -> None:
    seen = Counter[str]()
    for seed in SEEDS:
        looks = await looked_at(seed, tmp_path, has_heirs=has_heirs)
        assert [f"seed {seed}: {each}" for each in looks.wrong] == []
        seen += looks.seen
    assert set(seen) == (SITUATIONS if has_heirs else SITUATIONS - {"accepted by an heir"})


def test_every_block_of_a_hostile_history_is_one_that_a_node_keeps() -> None:
    history = hostile_history(1, has_heirs=True)

    assert [verdict for block in history.blocks if (verdict := check(block))] == []


# Each forgets one thing that the columns depend on.
SLIPS: dict[str, tuple[ModuleType, str, Callable[..., object]]] = {
    "which of two rivals was first": (weighing, "_compare", lambda *_: None),
    "that a spend was taken back": (weighing, "_refresh_inputs", lambda *_: None),
    "that places are taken by those who go on": (weighing, "line_of", lambda _, issuer: [(issuer, 0)]),
    "what heirs said before their claims": (succession, "_judged_by", lambda *_: iter(())),
}


@pytest.mark.parametrize("slip", SLIPS)
async def test_a_fold_that_forgets_something_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slip: str
) -> None:
    monkeypatch.setattr(*SLIPS[slip])

    for seed in SEEDS:
        if (await looked_at(seed, tmp_path, has_heirs=True)).wrong:
            return
    pytest.fail("no history shows it")


async def some_tables(folder: Path) -> Tables:
    chance = random.Random(1)
    with closing(onlooker(folder / "onlooker.db")) as ledger:
        await show(ledger, by_chance(hostile_history(1, has_heirs=True), chance), Looks(), chance)
        return read(ledger.db)


async def test_whatever_a_derived_column_says_otherwise_is_told_by_row_and_column(tmp_path: Path) -> None:
    tables = await some_tables(tmp_path)
    assert differences(tables) == []

    for name, rows in Derivation(tables).columns().items():
        for column in next(iter(rows.values())):
            changed = copy.deepcopy(tables)
            changed[name][-1][column] = "nonsense"
            (told,) = differences(changed)
            assert told.startswith(name.removeprefix("voucher_"))
            assert f": {column} is 'nonsense' and should be " in told


async def test_a_holding_too_many_or_too_few_is_told(tmp_path: Path) -> None:
    tables = await some_tables(tmp_path)
    *rest, last = tables["voucher_holding"]
    where = f"holding {last['source']}/{last['idx']}"

    assert differences({**tables, "voucher_holding": rest}) == [f"{where} is missing"]
    more = [*rest, last, {**last, "idx": 99}]
    assert differences({**tables, "voucher_holding": more}) == [f"holding {last['source']}/99 follows from nothing"]
