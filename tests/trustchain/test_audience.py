"""What is for everyone and what is not stands in the documentation, and nothing else is private."""

from pathlib import Path
from typing import get_args

from overlay.trustchain.statements import KINDS, OfferSwap, ProposeExchange, Statement

LEDGER = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def statements() -> set[type[Statement]]:
    return {each for union in KINDS.values() for each in (get_args(union) or (union,))}


def test_the_audience_of_every_kind_is_documented() -> None:
    _, _, section = LEDGER.partition("## Audience")
    section, _, _ = section.partition("\n## ")
    first_columns = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = {name for column in first_columns for name in column.replace("`", "").strip().split(", ")}
    assert told == {kind.decode() for kind in KINDS}


def test_only_exchanges_and_offers_have_a_body_that_not_everyone_sees() -> None:
    assert {each for each in statements() if "body" in each.__struct_fields__} == {OfferSwap, ProposeExchange}
