"""Published test vectors as parameters of tests; where their folder is absent, one case that says so and is skipped."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors"
Vector = dict[str, Any]


def unhex(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def unhex_all(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def pick(pool: list[bytes], indices: list[int]) -> list[bytes]:
    return [pool[index] for index in indices]


def absent() -> list[Any]:
    reason = f"the published vectors are not at {VECTORS}"
    return [pytest.param({}, id="vectors-absent", marks=pytest.mark.skip(reason=reason))]


def cases(folder: str, name: str, select: Callable[[Vector], Iterator[tuple[str, Vector]]]) -> list[Any]:
    """One parameter for each (id, case) that `select` finds in a JSON file."""
    if not VECTORS.is_dir():
        return absent()
    data = json.loads((VECTORS / folder / f"{name}.json").read_text())
    return [pytest.param(case, id=label) for label, case in select(data)]


def rows(folder: str, name: str, label: Callable[[Vector], str]) -> list[Any]:
    """One parameter for each row of a CSV file."""
    if not VECTORS.is_dir():
        return absent()
    with (VECTORS / folder / f"{name}.csv").open() as file:
        return [pytest.param(row, id=label(row)) for row in csv.DictReader(file)]


def bip445(name: str, kind: str) -> list[Any]:
    """Cases of one kind (`valid_tests`, ...) from all groups; each case carries its group's data too."""

    def select(data: Vector) -> Iterator[tuple[str, Vector]]:
        for group in data.get("test_groups", [data]):
            pools = {key: value for key, value in group.items() if not key.endswith("_tests")}
            for case in group[kind]:
                yield f"{group.get('tg_id', 'any')}-{case['tc_id']}-{case['comment']}", pools | case

    return cases("bip445", f"{name}_vectors", select)


def chilldkg(name: str, kind: str) -> list[Any]:
    """Cases of one kind (`validTestCases`, ...) from all groups; each case carries its group's data too."""

    def select(data: Vector) -> Iterator[tuple[str, Vector]]:
        for number, group in enumerate(data.get("testGroups", [data])):
            pools = {key: value for key, value in group.items() if not key.endswith("TestCases")}
            for case in group[kind]:
                yield f"group{number}-{case['tcId']}-{case['comment']}", pools | case

    return cases("chilldkg", f"{name}_vectors", select)
