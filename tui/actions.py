"""The registry of all that a member can do here: keys, footer, help and command palette are made from it alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

Where = Literal["anywhere", "home", "vouchers", "group", "people"]

# The screens, in the order of their keys 1 to 4.
SCREENS: dict[Where, str] = {"home": "Home", "vouchers": "Vouchers", "group": "Group", "people": "People"}


@dataclass(frozen=True)
class Action:
    """Something to do: method `action_<name>` of the screen `where` (of the app, for "anywhere").

    `label` is the footer's word (not shown there if empty), `help` the sentence in the help and the palette.
    """

    where: Where
    name: str
    key: str
    label: str
    help: str


ACTIONS: tuple[Action, ...] = (
    Action("anywhere", "go('home')", "1", "", "Go to Home: what waits for you, and what happened"),
    Action("anywhere", "go('vouchers')", "2", "", "Go to Vouchers: what you hold, promised and exchange"),
    Action("anywhere", "go('group')", "3", "", "Go to Group: charters, votes and treasuries"),
    Action("anywhere", "go('people')", "4", "", "Go to People: members and your trust in them"),
    Action("home", "found", "f", "Found", "Found a commons and become its first member"),
    Action("home", "join", "j", "Join", "Join a commons with an invitation"),
    Action("home", "open", "enter", "Open", "Open what waits for you, where it can be answered"),
    Action("vouchers", "mint", "m", "Promise", "Promise goods or services: mint a voucher"),
    Action("vouchers", "give", "g", "Give", "Give a voucher to a member, as a gift or for a deed"),
    Action("vouchers", "redeem", "r", "Redeem", "Redeem what you hold with the member who promised it"),
    Action("vouchers", "swap", "o", "Swap", "Offer a member a swap of vouchers"),
    Action("vouchers", "accept", "a", "Accept", "Accept the selected exchange"),
    Action("vouchers", "decline", "d", "Decline", "Decline the selected exchange, or take back your own"),
    Action("vouchers", "details", "enter", "", "Show the selected voucher or exchange in full"),
    Action("group", "sign", "s", "Sign", "Sign the charter of the selected group"),
    Action("group", "pay", "p", "Pay", "Propose that the selected group pays from its treasury"),
    Action("group", "text", "t", "Text", "Propose that the selected group agrees to a text"),
    Action("group", "vote('yes')", "y", "Yes", "Vote yes on the selected proposal"),
    Action("group", "vote('no')", "n", "No", "Vote no on the selected proposal"),
    Action("group", "vote('abstain')", "b", "Abstain", "Abstain from the selected proposal"),
    Action("group", "vote('block')", "x", "Block", "Block the selected proposal, and say why"),
    Action("group", "comment", "k", "", "Comment on the selected proposal"),
    Action("group", "found", "f", "", "Write the charter of a new group"),
    Action("group", "copy", "c", "", "Copy the address of the selected group's treasury"),
    Action("group", "details", "enter", "", "Show the selected proposal with its votes"),
    Action("people", "why", "w", "Why", "Explain your trust in the selected member"),
    Action("people", "invite", "i", "Invite", "Invite a newcomer with a text or a QR code"),
    Action("anywhere", "fetch_all", "ctrl+r", "", "Fetch everything from the node again"),
    Action("anywhere", "command_palette", "ctrl+p", "Menu", "Search all commands by name"),
    Action("anywhere", "help", "question_mark", "Help", "Show all keys and what they do"),
    Action("anywhere", "quit", "q", "Quit", "Leave; your node goes on running"),
)


def of(where: Where) -> Iterable[Action]:
    """The actions of one place, in the order of the footer."""
    return (action for action in ACTIONS if action.where == where)


def bindings(where: Where) -> list[BindingType]:
    """What to put into BINDINGS of the screen `where`, or of the app."""
    return [
        Binding(action.key, action.name, action.label or action.help, show=bool(action.label)) for action in of(where)
    ]
