"""A dry run: exactly what this node would sign for a proposal now, and what each check says of it.

Nothing is promised, signed or sent. A Bitcoin node is shown the payment with a signature in the right place that is
none: what it says then shows whether anything else is wrong by its own rules, which run before it looks at signatures.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.backend import ChainBackend, Rejected
from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account
from overlay.dao.funds.policy import Violation
from overlay.keys import PublicKey

# Bitcoin Core's words when a signature is wrong. It looks at signatures last, so nothing else is.
ONLY_SIGNATURE = "script-verify-flag-failed"
# And when it has the very transaction with other signatures.
SAME_PAYMENT = "txn-same-nonwitness-data-in-mempool"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and why it does not hold; an empty `problem` when it does."""

    what: str
    problem: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would be signed at `fee_rate`, and what was checked."""

    unsigned: UnsignedPayment
    fee_rate: int
    checks: tuple[Check, ...]


# What is looked at, in words.
DECIDED = "decided, due, not paid yet, and this member has not said no"
LIMITS = "within the charter's limits"
PROMISES = "no promise to another payment stands against it"
NETWORK = "the network's rules, as the chain backend applies them, apart from the signatures"
# What no dry run can show.
NOT_CHECKED = (
    "the signatures, which do not exist before enough members' nodes give their shares",
    "whether the other members' nodes see the same coins and would sign",
)


async def rehearse(
    db: sqlite3.Connection,
    group: Charter,
    asked: Payment,
    account: Account,
    backend: ChainBackend,
    me: PublicKey,
    now: int,
) -> Rehearsal:
    """Make the payment as a coordinator would, and put it to every check that a signer makes.

    Raises PaymentError when it cannot be made, BackendError.
    """
    fee_rate = await backend.fee_rate()
    unsigned = policy.build(asked, account, fee_rate)
    checks = (
        _check(DECIDED, lambda: policy.check_approved(db, group, asked, me, now)),
        _check(LIMITS, lambda: policy.check_limits(db, group, asked, account.height)),
        _check(PROMISES, lambda: policy.check_promises(db, asked, unsigned, now)),
        Check(NETWORK, await _objection(unsigned, backend)),
    )
    return Rehearsal(unsigned, fee_rate, checks)


def _check(what: str, judge: Callable[[], object]) -> Check:
    try:
        judge()
    except Violation as violation:
        return Check(what, str(violation))
    return Check(what, "")


async def _objection(unsigned: UnsignedPayment, backend: ChainBackend) -> str:
    """What the Bitcoin node finds wrong beside the signature that is none."""
    try:
        await backend.test_accept(payments.with_placeholders(unsigned))
    except Rejected as rejected:
        if SAME_PAYMENT in rejected.reason:
            return "this very payment has been signed and waits to be mined"
        return "" if ONLY_SIGNATURE in rejected.reason else rejected.reason
    return "it took a payment that nobody signed, so its word means nothing"
