"""What a group decides besides payments, in words: texts, changes of its charter, work, votes in councils."""

from rich.text import Text

from overlay.node.wire import ContentModel, Motion, WorkModel
from tui.screens.modal import facts
from tui.screens.votes import KINDS, discussion, paragraphs, state_style, tally, votes
from tui.state import State, called
from tui.theme import AMBER, DIM
from tui.words import left, sats

STATE = {
    "open": "open for votes",
    "approved": "agreed to",
    "rejected": "rejected",
    "lapsed": "lapsed: too few voted in time",
}


def motion_facts(motion: Motion, state: State, now: int) -> Text:
    """A proposal that is no payment: what it says, how it stands, each vote, and what was said of it."""
    words = facts(
        ("Proposal", Text(motion.title, f"bold {AMBER}")),
        ("Kind", KINDS.get(motion.kind, motion.kind)),
        ("About", _about(motion, state)),
        ("Text" if motion.kind in ("text", "work") else "Reason", motion.text),
        ("Content", _content(motion.content)),
        *(("Changes" if at == 0 else " ", change) for at, change in enumerate(motion.changes)),
        *(_work(motion.work) if motion.work else ()),
        ("By", f"{called(motion.proposer_name, motion.proposer)} for {motion.group_name}, number {motion.number}"),
        ("State", Text(STATE[motion.state], state_style(motion))),
        ("Time", left(motion.deadline, now) if motion.state == "open" else ""),
        ("Tally", tally(motion)),
        ("Rule", motion.rule),
        ("Verdict", motion.verdict),
    )
    return paragraphs(words, votes(motion.votes), discussion(motion, now))


def _about(motion: Motion, state: State) -> str:
    """What a vote in a council is about, where this node knows it."""
    found = state.matter(motion.about) if motion.about else None
    return f"{found.title}, in {found.group_name}" if found else ""


def _content(content: ContentModel | None) -> str:
    if content is None:
        return ""
    return f"{content.size:,} bytes, {'with your node' if content.path else 'on their way'}"


def _work(work: WorkModel) -> tuple[tuple[str, object], ...]:
    shown = tuple(
        (
            "Delivered" if at == 0 else " ",
            Text(each.note or "without a word").append(f"  {_content(each.content)}", DIM),
        )
        for at, each in enumerate(work.deliveries)
    )
    return (
        ("Worker", called(work.worker_name, work.worker)),
        ("Price", sats(work.amount)),
        ("Address", work.address),
        *shown,
        ("Paid by", "a payment that accepts the delivery" if work.accepted else ""),
    )
