"""The forms of groups: found, sign, propose a payment or a text, vote, comment."""

from rich.text import Text

from overlay.node.wire import Group
from tui.client import NodeClient
from tui.commands import CAST_VOTE, COMMENT, FOUND_GROUP, PROPOSE_PAYMENT, PROPOSE_TEXT, SIGN_CHARTER
from tui.screens.form import Form
from tui.screens.votes import gist
from tui.screens.voucher_forms import members
from tui.state import Matter, State
from tui.widgets.fields import ChoiceField, NumberField, SeveralField, TermField, TextField
from tui.words import sats

WEEK = 10_080


def found(client: NodeClient, state: State) -> Form:
    """Write a charter."""
    request = FOUND_GROUP.request
    people = [("you", state.me), *members(state)]
    fields = (
        TextField(request, "name", "Its name", "Mill Council"),
        TextField(request, "purpose", "Its purpose", "what it decides and pays"),
        SeveralField(request, "members", "Members", people),
        NumberField(request, "approvals", "Yes needed", "votes that decide", value=2),
        NumberField(request, "threshold", "Devices", "needed to sign a payment", value=2),
    )
    return Form(
        client,
        FOUND_GROUP,
        "Found a group",
        fields,
        submit="Found",
        done="The charter is written. It stands when every member has signed it.",
    )


def sign(client: NodeClient, group: Group) -> Form:
    """Sign the charter."""
    words = Text(group.name, "bold").append(f"\n{group.purpose}\n\n", "not bold")
    words.append(f"{group.approvals} of {len(group.members)} members decide a payment, ", "not bold")
    words.append(f"{group.threshold} of {len(group.members)} devices sign it.", "not bold")
    fixed = {"group": group.id}
    return Form(client, SIGN_CHARTER, "Sign this charter?", fixed=fixed, intro=words, submit="Sign", done="Signed.")


def pay(client: NodeClient, state: State, group: Group) -> Form:
    """Propose a payment."""
    request = PROPOSE_PAYMENT.request
    people = [("you", state.me), *members(state)]
    fields = (
        TextField(request, "title", "What for", "New oven"),
        TextField(request, "reason", "Reason", "why the group should pay it"),
        ChoiceField(request, "payee", "Pay to", people),
        TextField(request, "address", "Address", "their bitcoin address"),
        NumberField(request, "amount", "Satoshis", "250,000"),
        NumberField(request, "fee_cap", "Fee at most", value=10_000),
        TermField(request, "minutes", "Votes until", WEEK),
    )
    treasury = f"{group.name} has {sats(group.balance)}." if group.balance >= 0 else group.name
    return Form(
        client,
        PROPOSE_PAYMENT,
        "Propose a payment",
        fields,
        fixed={"group": group.id},
        intro=treasury,
        submit="Propose",
        done="Proposed. The members vote on it now.",
    )


def text(client: NodeClient, group: Group) -> Form:
    """Propose words to agree to."""
    request = PROPOSE_TEXT.request
    fields = (
        TextField(request, "title", "Title", "Open on Sundays"),
        TextField(request, "text", "Text", "what the group agrees to"),
        TermField(request, "minutes", "Votes until", WEEK),
    )
    return Form(
        client,
        PROPOSE_TEXT,
        "Propose a text",
        fields,
        fixed={"group": group.id},
        intro=group.name,
        submit="Propose",
        done="Proposed. The members vote on it now.",
    )


def comment(client: NodeClient, matter: Matter) -> Form:
    """Say something in the discussion of a proposal."""
    return Form(
        client,
        COMMENT,
        "Comment",
        (TextField(COMMENT.request, "text", "Comment", "the members read it"),),
        fixed={"proposal": matter.id},
        intro=subject(matter),
        submit="Say it",
        done="Said.",
    )


TITLES = {"yes": "Vote yes?", "no": "Vote no?", "abstain": "Abstain?", "block": "Block this?"}
SUBMITS = {"yes": "Vote yes", "no": "Vote no", "abstain": "Abstain", "block": "Block"}


def vote(client: NodeClient, matter: Matter, choice: str) -> Form:
    """Vote, with a reason: whoever blocks must give one."""
    blocks = choice == "block"
    hint = "why it must not be done; the others read it" if blocks else "the others read it; may stay empty"
    return Form(
        client,
        CAST_VOTE,
        TITLES[choice],
        (TextField(CAST_VOTE.request, "reason", "Reason", hint, needed=blocks),),
        fixed={"proposal": matter.id, "choice": choice},
        intro=subject(matter),
        submit=SUBMITS[choice],
        done="Your vote is cast. You may change it until the decision.",
    )


def subject(matter: Matter) -> Text:
    """What one votes on or speaks of, as far as a form has room for it."""
    return Text(matter.title, "bold").append(f"\n{matter.group_name}: {gist(matter)}", "not bold")
