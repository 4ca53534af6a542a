"""Groups and proposals as rows of tables."""

from rich.text import Text

from overlay.node.wire import Group, Proposal
from tui.screens.group_details import CHOICE_STYLE, STATE_STYLE, balance
from tui.state import State, may_sign, may_vote
from tui.theme import AMBER, DIM
from tui.widgets.bar import tally_bar
from tui.widgets.table import Row
from tui.words import left, sats, text


def group_rows(state: State) -> list[Row]:
    """Groups: first those whose charter lacks this member's signature."""
    ordered = sorted(state.groups.groups, key=lambda each: (not may_sign(each), not each.i_am_member, each.name))
    return [(each.id, _group(each)) for each in ordered]


def _group(each: Group) -> tuple[Text, ...]:
    signed = sum(member.signed for member in each.members)
    treasury = sats(each.balance) if each.stage == "ready" and each.balance >= 0 else "—"
    return (
        text(each.name),
        text("sign it" if may_sign(each) else each.stage, AMBER if may_sign(each) else DIM),
        Text(f"{signed}/{len(each.members)}", justify="right", end=""),
        Text(treasury, balance(each).style, justify="right", end=""),
    )


def _my_vote(each: Proposal) -> Text:
    if each.my_vote:
        return text(each.my_vote, CHOICE_STYLE.get(each.my_vote, ""))
    return text("vote!", f"bold {AMBER}") if may_vote(each) else text("—", DIM)


def proposal_rows(proposals: list[Proposal], now: int) -> list[Row]:
    """Proposals: the open ones first, then the newest deadline."""
    ordered = sorted(proposals, key=lambda each: (each.state != "open", -each.deadline, each.id))
    return [
        (
            each.id,
            (
                text(each.title),
                Text(sats(each.amount), justify="right", end=""),
                tally_bar(each.yes, each.no, each.needed),
                text(each.state, STATE_STYLE[each.state]),
                _my_vote(each),
                text(left(each.deadline, now) if each.state == "open" else "", DIM),
            ),
        )
        for each in ordered
    ]
