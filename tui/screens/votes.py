"""Proposals in words, as far as all kinds have it in common: kind, state, tally, votes, discussion."""

from rich.text import Text

from overlay.node.wire import Ballot, Motion, Proposal, Vote
from tui.state import Matter, called
from tui.theme import AMBER, DIM, GREEN, ORANGE, RED
from tui.words import ago, sats

KINDS = {
    "payment": "payment",
    "text": "text",
    "amendment": "charter",
    "work": "work",
    "instruction": "council vote",
}
STATE_STYLE = {"open": AMBER, "approved": ORANGE, "signed": ORANGE, "paid": GREEN, "rejected": RED, "lapsed": DIM}
CHOICE_STYLE = {"yes": GREEN, "no": RED, "block": f"bold {RED}", "abstain": DIM}


def gist(matter: Matter) -> str:
    """What it comes to, in one line."""
    if isinstance(matter, Proposal):
        return f"{sats(matter.amount)} to {called(matter.payee_name, matter.payee)}"
    if matter.work is not None:
        return f"work of {called(matter.work.worker_name, matter.work.worker)} for {sats(matter.work.amount)}"
    said = "; ".join(matter.changes) or matter.text
    return f"{KINDS.get(matter.kind, matter.kind)}, {said}" if said else KINDS.get(matter.kind, matter.kind)


def state_style(matter: Matter) -> str:
    """Green is what nobody need do anything about any more; a payment that is approved has yet to be signed."""
    done = isinstance(matter, Motion) and matter.final
    return GREEN if done else STATE_STYLE[matter.state]


def tally(matter: Matter) -> str:
    """How many chose what, and how many yes it takes."""
    cast = f"{matter.yes} yes, {matter.no} no, {matter.abstain} abstain"
    blocked = f", {matter.block} block" if isinstance(matter, Motion) and matter.block else ""
    return f"{cast}{blocked}; {matter.needed} yes needed"


def votes(cast: tuple[Vote | Ballot, ...]) -> Text:
    """A line for each vote: what, who, through whom it was cast, and why."""
    words = Text()
    for vote in cast:
        words.append(f"\n{vote.choice:<8}", CHOICE_STYLE.get(vote.choice, ""))
        words.append(called(vote.voter_name, vote.voter))
        if isinstance(vote, Ballot) and vote.through:
            words.append(f", through {', '.join(each or 'a member without a name' for each in vote.through)}")
        words.append(f"  {vote.reason}", DIM)
    return words


def discussion(motion: Motion, now: int) -> Text:
    """What members said of it, the newest last."""
    words = Text()
    for each in motion.comments:
        words.append(f"\n{called(each.author_name, each.author)}", AMBER).append(f", {ago(each.time, now)}: ", DIM)
        words.append(each.text)
    return words


def paragraphs(*parts: Text) -> Text:
    """The parts that say something, each after an empty line but the first."""
    return Text("\n").join(part for part in parts if part)
