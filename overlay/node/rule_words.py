"""Rules of charters as people write and read them: `spend=3ofn,quorum=4,deadline=7d,delay=1h`."""

import re
from collections.abc import Iterable
from typing import Final

from overlay.dao.assembly.bylaws import AMENDMENTS, PAYMENTS, TEXTS, WORKS
from overlay.trustchain.statements import MAX_WAIT, Rule

# The classes of decisions, by the words that people use.
SUBJECTS: Final = {
    "spend": PAYMENTS,
    "payments": PAYMENTS,
    "text": TEXTS,
    "texts": TEXTS,
    "charter": AMENDMENTS,
    "amendments": AMENDMENTS,
    "work": WORKS,
    "works": WORKS,
}
_UNITS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIME = re.compile(r"([0-9]{1,5})([mhd])")
_COUNT = re.compile(r"([0-9]{1,3})of[a-z0-9]+")
_PERCENT = re.compile(r"(?:supermajority:)?([0-9]{1,3})%?")


class BadRule(ValueError):
    """A rule that nobody can read; one sentence for people."""


def parse(text: str) -> tuple[str, Rule]:
    """The class and the rule of `class=way,setting,...`. Raises BadRule."""
    name, _, said = text.partition("=")
    if name.strip() not in SUBJECTS or not said:
        raise BadRule(f"'{text[:40]}' is no rule: write spend, text, charter or work, then = and how it decides")
    way, *settings = (each.strip() for each in said.split(","))
    fields: dict[str, object] = _way(way)
    for setting in settings:
        fields |= _setting(setting)
    return SUBJECTS[name.strip()], _checked(fields)


def parse_all(texts: Iterable[str]) -> dict[str, Rule]:
    """Rules by class. Raises BadRule, also for a class that is named twice."""
    found: dict[str, Rule] = {}
    for text in texts:
        subject, rule = parse(text)
        if subject in found:
            raise BadRule(f"there are two rules for {subject}")
        found[subject] = rule
    return found


def describe(rule: Rule) -> str:
    """A rule as `parse` reads it, without the class."""
    ways = {"count": f"{rule.share}ofn", "supermajority": f"supermajority:{rule.share}"}
    words = [ways.get(rule.way, rule.way)]
    words += ["of-votes"] if rule.of_votes else []
    words += [f"quorum={rule.quorum}"] if rule.quorum else []
    words += [f"deadline={_time(rule.period)}"] if rule.period else []
    words += [f"delay={_time(rule.delay)}"] if rule.delay else []
    words += [f"fallback={rule.fallback}"] if rule.fallback != "lapse" else []
    words += [f"veto={rule.vetoes}"] if rule.vetoes else []
    words += ["delegable"] if rule.delegable else []
    return ",".join(words)


def _way(text: str) -> dict[str, object]:
    if text in ("majority", "unanimous"):
        return {"way": text}
    if text == "supermajority":
        return {"way": text, "share": 67}
    if counted := _COUNT.fullmatch(text):
        return {"way": "count", "share": int(counted[1])}
    if percent := _PERCENT.fullmatch(text):
        return {"way": "supermajority", "share": int(percent[1])}
    raise BadRule(f"'{text[:40]}' is no way to decide: write 3ofn, majority, supermajority:67 or unanimous")


def _setting(text: str) -> dict[str, object]:
    name, _, value = text.partition("=")
    if name == "of-votes":
        return {"of_votes": True}
    if name == "delegable":
        return {"delegable": True}
    if name in ("quorum", "veto") and value.isascii() and value.isdigit() and len(value) <= 2:
        return {"quorum" if name == "quorum" else "vetoes": int(value)}
    if name in ("deadline", "delay") and (time := _TIME.fullmatch(value)):
        return {"period" if name == "deadline" else "delay": int(time[1]) * _UNITS[time[2]]}
    if name == "fallback" and value in ("lapse", "without-quorum"):
        return {"fallback": value}
    raise BadRule(
        f"'{text[:40]}' is no setting of a rule: there are of-votes, delegable, quorum=3, veto=1, deadline=7d, delay=1h"
        " and fallback=without-quorum"
    )


def _checked(fields: dict[str, object]) -> Rule:
    for name in ("period", "delay"):
        value = fields.get(name, 0)
        if isinstance(value, int) and value > MAX_WAIT:
            raise BadRule(f"a rule lets members wait for at most {MAX_WAIT // _UNITS['d']} days")
    for name in ("quorum", "vetoes", "share"):
        value = fields.get(name, 0)
        if isinstance(value, int) and value > 100:
            raise BadRule(f"{value} is more than a rule can ask for")
    return Rule(**fields)  # type: ignore[arg-type]


def _time(milliseconds: int) -> str:
    for unit in ("d", "h"):
        if milliseconds % _UNITS[unit] == 0:
            return f"{milliseconds // _UNITS[unit]}{unit}"
    return f"{milliseconds // _UNITS['m']}m"
