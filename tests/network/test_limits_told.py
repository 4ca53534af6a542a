"""The page on the network tells the rates that the code has."""

import re
from pathlib import Path

from overlay.network import rates
from overlay.network.rates import Rate

PAGE = (Path(__file__).parents[2] / "docs" / "network.md").read_text()
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([\d,]+) \| ([\d,]+) \|", re.MULTILINE)


def test_every_rate_is_told_as_it_is() -> None:
    told = {name: Rate(_number(each), _number(burst)) for name, each, burst in ROW.findall(PAGE)}
    assert told == {name: value for name, value in vars(rates).items() if isinstance(value, Rate)}


def _number(text: str) -> int:
    return int(text.replace(",", ""))
