"""Whether votes decide, by the rule of a charter: pure arithmetic over counts of members."""

from dataclasses import dataclass, replace

from overlay.trustchain.statements import Rule

PERCENT = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """The votes that count, and how many members may still vote; `members` belong to the group in all.

    `no` are all that are against it, `blocks` those among them that are vetoes.
    """

    members: int
    yes: int
    no: int
    abstain: int
    missing: int
    blocks: int = 0

    @property
    def voted(self) -> int:
        """How many have voted in any way."""
        return self.yes + self.no + self.abstain


def fault(rule: Rule, members: int) -> str | None:
    """Why a group of so many cannot decide by this rule; None when it can."""
    if rule.way == "count" and (not 1 <= rule.share <= members or rule.of_votes):
        return f"{rule.share} yes votes can never be reached by a group of {members}"
    if rule.way == "supermajority" and not PERCENT // 2 <= rule.share <= PERCENT:
        return f"a supermajority is between 50 and 100 percent, not {rule.share}"
    if rule.quorum > members:
        return f"a quorum of {rule.quorum} can never be reached by a group of {members}"
    if rule.vetoes > members:
        return f"{rule.vetoes} vetoes can never be reached by a group of {members}"
    return None


def fewest(rule: Rule, base: int) -> int:
    """The fewest yes votes that decide where `base` members or votes are counted."""
    match rule.way:
        case "count":
            return rule.share
        case "majority":
            return base // 2 + 1
        case "supermajority":
            return max(1, -(-base * rule.share // PERCENT))
        case _:
            return max(1, base)


def needed(rule: Rule, counts: Counts, least: int) -> int:
    """How many yes votes the votes so far ask for; never less than `least`."""
    return max(least, fewest(rule, counts.yes + counts.no if rule.of_votes else counts.members))


def passes(rule: Rule, counts: Counts, least: int) -> bool:
    """Whether these votes decide if no other comes."""
    return not vetoed(rule, counts) and counts.voted >= rule.quorum and counts.yes >= needed(rule, counts, least)


def vetoed(rule: Rule, counts: Counts) -> bool:
    """Whether so many have blocked it that nothing else counts."""
    return 0 < rule.vetoes <= counts.blocks


def is_certain(rule: Rule, counts: Counts, least: int) -> bool:
    """Whether they decide whatever those who are missing vote, and whether or not they do."""
    against = counts.missing
    all_no = replace(counts, no=counts.no + against, blocks=counts.blocks + against, missing=0)
    return passes(rule, counts, least) and not vetoed(rule, all_no) and counts.yes >= needed(rule, all_no, least)


def can_pass(rule: Rule, counts: Counts, least: int) -> bool:
    """Whether they decide if all who are missing say yes."""
    return passes(rule, replace(counts, yes=counts.yes + counts.missing, missing=0), least)
