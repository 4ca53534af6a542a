"""What members of a group do: write and sign a charter, propose a payment or a text, discuss, vote, count.

A vote carries nothing that can sign. A proposal names the version of the charter by which it is judged, and so does
every vote on it: nobody's vote can be carried over to a charter that its voter has not seen. What could never be
decided is refused at once.
"""

from overlay.dao.assembly import charters, limits, rules
from overlay.dao.assembly.addressees import misdirected
from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.bylaws import PAYMENTS, TEXTS
from overlay.dao.assembly.charters import Charter, adopted, charter, honest
from overlay.dao.assembly.deciding import slot_of
from overlay.dao.assembly.proposals import Proposal, payees_of, proposal
from overlay.dao.assembly.rules import Counts
from overlay.dao.assembly.shares import host_keys, threshold_key
from overlay.dao.assembly.tallies import CHARTER_CHANGED, NOT_A_MEMBER, Outcome, Tally, tally
from overlay.dao.assembly.words import first_in_slot, words
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import MAX_MONEY
from overlay.dao.bitcoin.scripts import ScriptKind
from overlay.keys import PublicKey, short
from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import (
    CastVote,
    Comment,
    Decide,
    FoundCouncil,
    FoundGroup,
    ProposePayment,
    ProposeText,
    SignCharter,
)

__all__ = [
    "CHARTER_CHANGED",
    "NotAllowed",
    "Outcome",
    "Tally",
    "cast_vote",
    "check_decidable",
    "check_payable",
    "check_payment",
    "comment",
    "found_group",
    "ours",
    "propose_payment",
    "propose_text",
    "record_decision",
    "sign_charter",
    "tally",
]

# Data outputs pay nobody, and what follows no template may not be relayed.
MINUTE = 60_000
UNPAYABLE = (ScriptKind.NULL_DATA, ScriptKind.NONSTANDARD)


class NotAllowed(Exception):
    """The charter or the state of a proposal does not allow this; one clear sentence."""


def found_group(tx: Transaction, said: FoundGroup | FoundCouncil) -> HalfBlock:
    """Write a charter. Raises NotAllowed when it could never decide or sign."""
    fault = charters.fault(said, tx.identity.public_key)
    if fault is not None:
        raise NotAllowed(fault)
    return tx.append(said)


def sign_charter(tx: Transaction, group: bytes, host_key: bytes) -> HalfBlock:
    """Accept a charter and bind our host key (33 bytes). Raises NotAllowed."""
    found = ours(tx, group)
    if tx.identity.public_key in host_keys(tx.db, found):
        raise NotAllowed("you have signed this charter already")
    return tx.append(SignCharter(group, host_key), to=found.founder)


def propose_payment(tx: Transaction, said: ProposePayment) -> HalfBlock:
    """Propose a payment of a group whose treasury stands. Raises NotAllowed."""
    check_payment(tx, said)
    return tx.append(said)


def check_payment(tx: Transaction, said: ProposePayment) -> None:
    """Raises NotAllowed with the reason when this payment could never be decided or made."""
    found = check_decidable(tx, said.group, PAYMENTS, said.deadline)
    if threshold_key(tx.db, found) is None:
        raise NotAllowed("this group has no treasury yet: not every member holds a share")
    check_payable(said)
    elsewhere = misdirected(tx.db, payees_of(said))
    if elsewhere:
        raise NotAllowed(elsewhere)
    beyond = limits.excess(found.limits, payees_of(said)) if found.limits else None
    if beyond is not None:
        raise NotAllowed(beyond)


def propose_text(tx: Transaction, said: ProposeText) -> HalfBlock:
    """Propose that a group agrees to some words. Raises NotAllowed."""
    check_decidable(tx, said.group, TEXTS, said.deadline)
    return tx.append(said)


def comment(tx: Transaction, id_: bytes, text: str) -> HalfBlock:
    """Say something in the discussion of a proposal, at any time. Raises NotAllowed."""
    asked = _proposal(tx, id_)
    ours(tx, asked.group, through_groups=True)
    if not text.strip():
        raise NotAllowed("a comment says something")
    return tx.append(Comment(id_, text), to=asked.proposer)


def cast_vote(tx: Transaction, id_: bytes, choice: str, reason: str) -> HalfBlock:
    """Vote, or change a vote, until the deadline or the decision. Raises NotAllowed.

    After the decision a vote decides nothing, but still tells one's own node whether to help: a yes always may, a no
    only as long as the charter's delay lasts.
    """
    asked = _proposal(tx, id_)
    found = ours(tx, asked.group)
    if not belongs(tx.db, found, asked.proposer):
        raise NotAllowed(NOT_A_MEMBER)
    if choice == "block" and not reason.strip():
        raise NotAllowed("whoever blocks a proposal says why")
    stands = tally(tx.db, found, asked, tx.now)
    if stands.obstacle:
        raise NotAllowed(f"this proposal can no longer be voted on: {stands.obstacle}")
    is_open = (choice == "yes" or tx.now < stands.due) if stands.final else tx.now <= asked.deadline
    if not is_open:
        raise NotAllowed(f"this proposal can no longer be voted on: it is {stands.outcome.value}")
    return tx.append(CastVote(id_, choice, reason), to=asked.proposer)


def record_decision(tx: Transaction, group: Charter, asked: Proposal) -> bool:
    """Write down, once and in time, that this member's node counts enough yes votes; whether it did so now."""
    me, stands = tx.identity.public_key, tally(tx.db, group, asked, tx.now)
    if not belongs(tx.db, group, me) or blocks.has_forked(tx.db, me):
        return False
    if not stands.passing and not is_to_be_kept(group, asked, stands, me):
        return False
    if me in stands.deciders or _has_spoken(tx, group, asked):
        return False
    tx.append(Decide(asked.id, True, stands.yes_votes), to=asked.proposer)
    return True


def is_to_be_kept(group: Charter, asked: Proposal, stands: Tally, me: PublicKey) -> bool:
    """Decided in time by others: our own word keeps it decided when we adopt another version.

    Also of what made the charter as it stands, where we belong to the group through one that sits in it: the others who
    spoke for that one may be removed from it.
    """
    if not stands.final or stands.count("yes") < stands.needed:
        return False
    return asked.group == group.version or (asked.id in group.versions and me not in group.members)


def _has_spoken(tx: Transaction, group: Charter, asked: Proposal) -> bool:
    """Whether our word stands already: on something else in the same slot, or on this for a group that is a member."""
    me, slot = tx.identity.public_key, slot_of(tx.db, asked)
    if slot is not None and first_in_slot(tx.db, slot, group.versions).get(me, asked.id) != asked.id:
        return True
    return me not in group.members and any(word.author == me for word in words(tx.db, asked.id))


def check_payable(said: ProposePayment) -> None:
    """Raises NotAllowed when no node would relay such a payment."""
    payees = payees_of(said)
    for each in payees:
        if scripts.kind(each.script) in UNPAYABLE:
            raise NotAllowed("this is no address that can be paid")
        least = scripts.dust_limit(each.script)
        if not least <= each.amount <= MAX_MONEY:
            raise NotAllowed(f"a payment to this address is between {least} and {MAX_MONEY} sat, not {each.amount}")
    if len({each.script for each in payees}) < len(payees):
        raise NotAllowed("two of the payees have the same address: name it once, with the sum")


def check_decidable(tx: Transaction, version: bytes, subject: str, deadline: int) -> Charter:
    """The charter, where a proposal of this class could be decided by it until then. Raises NotAllowed."""
    found = ours(tx, version, through_groups=True)
    rule, trusted = found.rule(subject), honest(tx.db, found)
    if adopted(tx.db, found):
        raise NotAllowed(CHARTER_CHANGED)
    if deadline <= tx.now:
        raise NotAllowed("the deadline of a proposal lies in the future")
    if deadline - tx.now < rule.period:
        raise NotAllowed(f"the charter gives members {rule.period // MINUTE} minutes to vote on {subject}")
    counts = Counts(len(found.members), 0, 0, 0, len(trusted))
    if len(trusted) < found.threshold or not rules.can_pass(rule, counts, 1):
        raise NotAllowed(
            f"this can never pass: only {len(trusted)} of {len(found.members)} members have a vote, and the rule for"
            f" {subject} asks for {max(found.threshold, rules.needed(rule, counts, 1))}"
        )
    return found


def ours(tx: Transaction, version: bytes, *, through_groups: bool = False) -> Charter:
    """The charter in a version that our member belongs to, or a group that it belongs to. Raises NotAllowed."""
    found, me = charter(tx.db, version), tx.identity.public_key
    if found is None:
        raise NotAllowed("this node knows no such group")
    if not (belongs(tx.db, found, me) if through_groups else me in found.members):
        raise NotAllowed(f"you ({short(me)}) are not a member of {found.name}")
    if blocks.has_forked(tx.db, me):
        raise NotAllowed("your key is proven to have signed two histories: it has no vote any more")
    return found


def _proposal(tx: Transaction, id_: bytes) -> Proposal:
    asked = proposal(tx.db, id_)
    if asked is None:
        raise NotAllowed("this node knows no such proposal")
    return asked
