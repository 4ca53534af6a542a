"""Groups and proposals as rows of tables."""

from rich.text import Text

from overlay.node.wire import Group, Proposal
from tui.screens.group_details import balance
from tui.screens.votes import CHOICE_STYLE, KINDS, state_style
from tui.state import Matter, State, may_sign
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


def _my_vote(each: Matter, state: State) -> Text:
    chosen = state.my_vote(each)
    if chosen:
        return text(chosen, CHOICE_STYLE.get(chosen, ""))
    return text("vote!", f"bold {AMBER}") if state.may_vote(each) else text("—", DIM)


def _amount(each: Matter) -> Text:
    """What is paid; of what moves no money its kind."""
    if isinstance(each, Proposal):
        return Text(sats(each.amount), justify="right", end="")
    return Text(KINDS.get(each.kind, each.kind), style=DIM, justify="right", no_wrap=True, overflow="ellipsis", end="")


def proposal_rows(matters: list[Matter], state: State, now: int) -> list[Row]:
    """Proposals: the open ones first, then the newest deadline."""
    ordered = sorted(matters, key=lambda each: (each.state != "open", -each.deadline, each.id))
    return [
        (
            each.id,
            (
                text(each.title),
                _amount(each),
                tally_bar(each.yes, each.no + (0 if isinstance(each, Proposal) else each.block), each.needed),
                text(each.state, state_style(each)),
                _my_vote(each, state),
                text(left(each.deadline, now) if each.state == "open" else "", DIM),
            ),
        )
        for each in ordered
    ]
