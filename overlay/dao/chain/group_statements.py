"""What a group says on its own chain: that a proposal was decided, and that it was paid.

Each is the group's half of an agreement: it answers the member's proposal. A member's node lets the group say what its
own ledger, and its own Bitcoin node, say too; and each thing once.
"""

import sqlite3
from dataclasses import dataclass

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.charters import Charter, current, honest, versions
from overlay.dao.assembly.chronicle import Mined
from overlay.dao.assembly.limits import one_each
from overlay.dao.assembly.proposals import Proposal, proposal
from overlay.dao.assembly.tallies import tally
from overlay.dao.assembly.words import words
from overlay.dao.keyring.group_key import key_of
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, HASH_BYTES, HalfBlock
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import Decide, HandOver, RecordPayout

KEY_BYTES = 32


class NotTheGroupsWord(Exception):
    """What the group is asked to say is not so, as far as this node knows; the message says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that is to be said, and the proposal half that it answers, if any."""

    about: HalfBlock | None
    statement: Decide | RecordPayout | HandOver


def unsaid(db: sqlite3.Connection, group: Charter, by: Charter, agent: PublicKey, now: int) -> Word | None:
    """The first thing that the group has to say and has not said; None when there is none.

    `group` is the charter as it stands, `by` the version whose members write the chain now.
    """
    if (heir := _heir(db, by, agent)) is not None:
        return Word(None, HandOver(heir.version))
    rows = db.execute(
        "SELECT DISTINCT proposal FROM group_decision WHERE approved AND proposal NOT IN"
        " (SELECT proposal FROM group_countersigned WHERE agent = ? AND said = 'decision') ORDER BY proposal",
        (agent,),
    )
    for (id_,) in rows.fetchall():
        about, asked = blocks.by_hash(db, id_), proposal(db, id_)
        if about is None or asked is None or not _is_of(group, asked):
            continue
        counted = _counted(db, group, id_)
        if counted and tally(db, group, asked, now).final:
            votes = min(counted)
            named = tuple(votes[at : at + HASH_BYTES] for at in range(0, len(votes), HASH_BYTES))
            return Word(about, Decide(id_, True, named))
    return _unsaid_payout(db, group, agent)


def _unsaid_payout(db: sqlite3.Connection, group: Charter, agent: PublicKey) -> Word | None:
    """What no reorganisation is expected to undo any more."""
    rows = db.execute(
        "SELECT proposal FROM treasury_mined WHERE charter = ? AND settled AND proposal NOT IN"
        " (SELECT proposal FROM group_countersigned WHERE agent = ? AND said = 'payout') ORDER BY height, proposal",
        (group.id, agent),
    )
    for (id_,) in rows.fetchall():
        about, paid = blocks.by_hash(db, id_), chronicle.mined(db, id_)
        if about is not None and paid is not None and _is_its_own(db, paid):
            return Word(about, RecordPayout(id_, bytes.fromhex(paid.txid), paid.height, ()))
    return None


def _heir(db: sqlite3.Connection, by: Charter, agent: PublicKey) -> Charter | None:
    """The newest version whose members all hold the group's own key, shared anew."""
    later = [each for each in versions(db, by.id) if len(each.versions) > len(by.versions)]
    return next((each for each in reversed(later) if key_of(db, each) == agent[-KEY_BYTES:]), None)


def check(db: sqlite3.Connection, by: Charter, agent: PublicKey, block: HalfBlock, now: int) -> None:
    """Whether this node would have the group say it. Raises NotTheGroupsWord."""
    statement, group = meaning(block), current(db, by.id)
    if isinstance(statement, HandOver):
        _check_handover(db, by, agent, block, statement)
        return
    if not isinstance(statement, Decide | RecordPayout) or group is None:
        raise NotTheGroupsWord("a group says what it decided and paid, nothing else")
    id_, about, asked = statement.proposal, blocks.by_hash(db, statement.proposal), proposal(db, statement.proposal)
    if about is None or asked is None or not _is_of(group, asked):
        raise NotTheGroupsWord("this member knows no such proposal of the group")
    if (block.link_public_key, block.link_sequence_number) != (about.public_key, about.sequence_number):
        raise NotTheGroupsWord("the group answers the proposal that it names")
    if isinstance(statement, Decide):
        _check_decision(db, group, agent, statement, final=tally(db, group, asked, now).final)
    else:
        _check_payout(db, agent, id_, statement)


def _check_decision(db: sqlite3.Connection, group: Charter, agent: PublicKey, said: Decide, *, final: bool) -> None:
    if _said(db, agent, said.proposal, "decision"):
        raise NotTheGroupsWord("the group has said this before")
    if not final or not said.approved:
        raise NotTheGroupsWord("by this member's ledger this is not decided")
    if b"".join(said.votes) not in _counted(db, group, said.proposal):
        raise NotTheGroupsWord("no member counted these votes")


def _check_handover(db: sqlite3.Connection, by: Charter, agent: PublicKey, block: HalfBlock, said: HandOver) -> None:
    heir = _heir(db, by, agent)
    if heir is None or heir.version != said.version:
        raise NotTheGroupsWord("not all members of this version hold the group's key, or a later one's do")
    if block.is_agreement or block.link_public_key != ANYONE:
        raise NotTheGroupsWord("this answers nothing")


def _check_payout(db: sqlite3.Connection, agent: PublicKey, id_: bytes, said: RecordPayout) -> None:
    if _said(db, agent, id_, "payout"):
        raise NotTheGroupsWord("the group has said this before")
    paid = chronicle.mined(db, id_)
    if paid is None or (bytes.fromhex(paid.txid), paid.height) != (said.txid, said.height) or said.signers:
        raise NotTheGroupsWord("this member's Bitcoin node does not show this payment")
    if not _is_its_own(db, paid):
        raise NotTheGroupsWord("this transaction paid another proposal, which was decided")


def _is_its_own(db: sqlite3.Connection, paid: Mined) -> bool:
    """Whether the transaction paid this proposal, and not one that it was made to look like."""
    return paid in one_each(db, chronicle.paid_by(db, paid.txid))


def _said(db: sqlite3.Connection, agent: PublicKey, proposal_: bytes, what: str) -> bool:
    row = db.execute(
        "SELECT 1 FROM group_countersigned WHERE agent = ? AND proposal = ? AND said = ?", (agent, proposal_, what)
    ).fetchone()
    return row is not None


def _is_of(group: Charter, asked: Proposal) -> bool:
    return asked.group in group.versions and asked.proposer in group.roster


def _counted(db: sqlite3.Connection, group: Charter, proposal_: bytes) -> set[bytes]:
    """The votes that members' nodes named when they counted them as enough."""
    trusted = honest(db, group)
    return {word.named for word in words(db, proposal_) if word.author in trusted}
