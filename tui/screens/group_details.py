"""A charter with its treasury, and a proposal with its votes, in words."""

from rich.text import Text

from overlay.node.wire import Group, GroupMember, Proposal
from tui.screens.modal import facts
from tui.screens.motion_details import motion_facts
from tui.screens.votes import STATE_STYLE, discussion, paragraphs, tally, votes
from tui.state import Matter, State, called
from tui.theme import AMBER, DIM, GREEN, ORANGE
from tui.words import left, sats

STAGE = {
    "charter": "waits for signatures under its charter",
    "keys": "its members' devices are making the shared key",
    "ready": "ready to pay",
}
STATE = {
    "open": "open for votes",
    "approved": "approved: the members' devices are signing it",
    "rejected": "rejected",
    "lapsed": "lapsed: too few voted in time",
    "signed": "signed: on its way to the bitcoin network",
    "paid": "paid",
}


def charter_facts(group: Group) -> Text:
    """Charter and treasury."""
    count = len(group.members)
    return facts(
        ("Group", Text(group.name, f"bold {AMBER}")),
        ("Purpose", group.purpose),
        ("Stage", STAGE[group.stage]),
        ("Rule", f"{group.approvals} of {count} vote yes, {group.threshold} of {count} devices sign"),
        ("Members", _members(group.members)),
        ("Treasury", balance(group)),
        ("Address", group.address),
    )


def balance(group: Group) -> Text:
    """What is in the treasury, as far as one can know."""
    if group.stage != "ready":
        return Text("none yet", DIM)
    if not group.i_am_member:
        return Text("known to its members", DIM)
    if group.balance < 0:
        return Text("not known: no answer from the bitcoin network", ORANGE)
    return Text(sats(group.balance), f"bold {GREEN}").append(f"  {group.network}", "not bold dim")


def _members(members: tuple[GroupMember, ...]) -> Text:
    words = Text()
    for at, member in enumerate(members):
        words.append(", " if at else "")
        words.append("✓ " if member.signed else "… ", GREEN if member.signed else ORANGE)
        words.append(called(member.name, member.public_key), "" if member.online else DIM)
    return words


def matter_facts(matter: Matter, state: State, now: int) -> Text:
    """A proposal of any kind and each vote on it."""
    return payment_facts(matter, state, now) if isinstance(matter, Proposal) else motion_facts(matter, state, now)


def payment_facts(proposal: Proposal, state: State, now: int) -> Text:
    """A proposed payment, each vote on it, and what was said of it."""
    motion = state.motion(proposal.id)
    words = facts(
        ("Proposal", Text(proposal.title, f"bold {AMBER}")),
        ("Reason", proposal.reason),
        ("Amount", f"{sats(proposal.amount)}, and a fee of at most {sats(proposal.fee_cap)}"),
        ("To", called(proposal.payee_name, proposal.payee)),
        ("Address", proposal.address),
        ("By", f"{called(proposal.proposer_name, proposal.proposer)} for {proposal.group_name}"),
        ("State", Text(STATE[proposal.state], STATE_STYLE[proposal.state])),
        ("Time", left(proposal.deadline, now) if proposal.state == "open" else ""),
        ("Tally", tally(motion or proposal)),
        ("Rule", motion.rule if motion else ""),
        ("Signed by", ", ".join(state.name_of(key) for key in proposal.signers)),
        ("Transaction", f"{proposal.txid} in block {proposal.height:,}" if proposal.height > 0 else proposal.txid),
    )
    cast = votes(motion.votes if motion else proposal.votes)
    return paragraphs(words, cast, discussion(motion, now) if motion else Text())
