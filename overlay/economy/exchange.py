"""What members do with vouchers, and what their nodes do by themselves: the whole of it, for importing.

offer_swap, accept_offer, propose      proposing.py: what a member would give, and what for
agree, cancel                          answering.py: what a member answers
due, react, touched, unfinished        reacting.py: what the node does without being asked
"""

from overlay.economy.answering import agree, cancel
from overlay.economy.checks import can_be_judged
from overlay.economy.drafting import Amount
from overlay.economy.errors import Refused, TooLongAHistory
from overlay.economy.proposing import accept_offer, offer_swap, propose
from overlay.economy.reacting import due, react, touched, unfinished

__all__ = [
    "Amount",
    "Refused",
    "TooLongAHistory",
    "accept_offer",
    "agree",
    "can_be_judged",
    "cancel",
    "due",
    "offer_swap",
    "propose",
    "react",
    "touched",
    "unfinished",
]
