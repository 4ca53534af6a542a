"""What members propose to their group: payments, texts, changes of the charter, paid work, votes elsewhere."""

from typing import Annotated, Final

from msgspec import Meta

from overlay.trustchain.statements.base import Hash, Key, Line, Name, Quantity, Statement, Time
from overlay.trustchain.statements.charters import MAX_FOUNDERS, MAX_MEMBERS, Rule
from overlay.trustchain.statements.content import Media

# A payee takes a key of 74 bytes, a script of at most 42 and an amount, 130 in all: six of them, 780, and some 130 for
# the rest leave a good 200 for title and reason in the 1,173 bytes of a block.
MAX_FURTHER_PAYEES: Final = 5


class ProposePayment(Statement, frozen=True, tag="payment"):
    """Pay `amount` satoshis from the group's treasury to a Bitcoin script, on behalf of `payee`."""

    group: Hash
    title: Name
    reason: Line
    payee: Key
    script: Annotated[bytes, Meta(min_length=2, max_length=42)]
    amount: Quantity
    fee_cap: Quantity
    deadline: Time


class FurtherPayee(Statement, frozen=True):
    """One more who is paid by the same transaction: `amount` satoshis to a script, on behalf of `payee`."""

    payee: Key
    script: Annotated[bytes, Meta(min_length=2, max_length=42)]
    amount: Quantity


class ProposePayments(ProposePayment, frozen=True, tag="payments"):
    """As `ProposePayment`, to several payees in one transaction: all of them are paid, or none."""

    more: Annotated[tuple[FurtherPayee, ...], Meta(min_length=1, max_length=MAX_FURTHER_PAYEES)]


class ProposeText(Statement, frozen=True, tag="text"):
    """That a group agrees to these words: a plan, a rule among its members, a position."""

    group: Hash
    title: Name
    text: Line
    deadline: Time


class ProposeDocument(ProposeText, frozen=True, tag="document"):
    """As `ProposeText`, where the words are too long for a block: `text` sums them up, `content` is all of them."""

    content: Media


class ClassRule(Statement, frozen=True):
    """The rule for one class of decisions."""

    subject: Annotated[str, Meta(pattern="^(payments|texts|amendments|works)$")]
    rule: Rule


class AmendCharter(Statement, frozen=True, tag="amendment"):
    """Change a charter. `group` is the version that it changes; once adopted, this block's hash is the next version.

    `threshold` 0 leaves it as it is, and so does each class of decisions that `rules` does not name.
    """

    group: Hash
    title: Name
    reason: Line
    admit: Annotated[tuple[Key, ...], Meta(max_length=MAX_FOUNDERS)]
    remove: Annotated[tuple[Key, ...], Meta(max_length=MAX_FOUNDERS)]
    threshold: Annotated[int, Meta(ge=0, le=MAX_MEMBERS)]
    rules: Annotated[tuple[ClassRule, ...], Meta(max_length=4)]
    deadline: Time


class ProposeWork(Statement, frozen=True, tag="work"):
    """That a patch or a piece of work is worth `amount` satoshis, to be paid to a script once its delivery is accepted.

    `content` is the patch, or a longer description, where there is one.
    """

    group: Hash
    title: Name
    text: Line
    worker: Key
    script: Annotated[bytes, Meta(min_length=2, max_length=42)]
    amount: Quantity
    content: Media | None
    deadline: Time


class AcceptWork(ProposePayment, frozen=True, tag="acceptance"):
    """A `ProposePayment` of exactly what was agreed for a `ProposeWork`, because of this `DeliverWork`."""

    work: Hash
    delivery: Hash


class InstructVote(Statement, frozen=True, tag="instruction"):
    """That a group which is a member of another votes so on that one's proposal `about`."""

    group: Hash
    about: Hash
    choice: Annotated[str, Meta(pattern="^(yes|no|abstain|block)$")]
    reason: Line
    deadline: Time
