"""How groups govern themselves: texts, discussion, changes of charters, delegation, councils, paid work."""

import asyncio
import hashlib
from pathlib import Path

import msgspec

from overlay.dao.assembly import charters as charters_of
from overlay.dao.assembly import decision_log, governance, mandates, motions
from overlay.dao.assembly.agenda import open_now
from overlay.dao.assembly.amendments import propose_amendment
from overlay.dao.assembly.bylaws import AMENDMENTS, PAYMENTS, TEXTS, WORKS, Charter
from overlay.dao.assembly.charters import current
from overlay.dao.assembly.delegation import delegations
from overlay.dao.assembly.newest import newest
from overlay.dao.assembly.proposals import proposal
from overlay.dao.assembly.shares import custodians
from overlay.dao.assembly.work import deliveries
from overlay.dao.bitcoin import address
from overlay.files import write_file
from overlay.node import rule_words
from overlay.node.actions.lookup import block_hash, find_member
from overlay.node.actions.motions import called, motion
from overlay.node.actions.registry import BadRequest, NotFound, action, query
from overlay.node.folder import is_inside
from overlay.node.node import Node
from overlay.node.wire import (
    AcceptWork,
    AmendGroup,
    AskGroup,
    AskLog,
    AskProposal,
    CharterModel,
    Charters,
    CommentOn,
    DelegateVotes,
    DeliverWork,
    Done,
    InstructVote,
    Logged,
    Motion,
    Motions,
    Nothing,
    ProposeText,
    ProposeWork,
    RuleModel,
)
from overlay.trustchain import statements as say
from overlay.trustchain.statements import Media

MINUTE = 60_000
# What fits a block; longer texts travel as content.
MAX_LINE = 280
# One page of the terminal interface. Each is tallied anew: 0.1 ms on one core for each who votes, 0.1 s for 100 by ten.
RECENT = 100
# What a member may write is 280 characters, of 4 bytes at most. 100 proposals of ten votes, the latest 5 comments and 5
# deliveries, at 1.6 kB each, are 3 MB; the terminal interface reads answers of up to 8 MiB.
LATEST = 5
SUBJECTS = (PAYMENTS, TEXTS, AMENDMENTS, WORKS)


@action("proposal", "text")
async def text(node: Node, ask: ProposeText) -> Done:
    """Propose that a group agrees to a text; a long one travels as content, and its beginning stands in the block."""
    group, until = version_now(node, ask.group).version, _until(node, ask.minutes)
    if len(ask.text) <= MAX_LINE:
        said = say.ProposeText(group, ask.title, ask.text, until)
    else:
        content = await _publish(node, ask.text.encode(), ".txt")
        said = say.ProposeDocument(group, ask.title, ask.text[:MAX_LINE], until, content)
    block = await node.ledger.transact(lambda tx: governance.propose_text(tx, said))
    return Done(block.hash.hex())


@action("proposal", "comment")
async def comment(node: Node, ask: CommentOn) -> Done:
    """Say something in the discussion of a proposal."""
    id_ = block_hash(ask.proposal)
    block = await node.ledger.transact(lambda tx: governance.comment(tx, id_, ask.text))
    return Done(block.hash.hex())


@query("proposal", "show")
def show(node: Node, ask: AskProposal) -> Motion:
    """Show one proposal of any kind: its text, discussion, votes with reasons, rule, and what the votes come to."""
    asked = proposal(node.db, block_hash(ask.proposal))
    found = motion(node, asked) if asked else None
    if found is None:
        raise NotFound("this node knows no such proposal")
    return found


@query("proposal", "open")
def open_proposals(node: Node, ask: Nothing) -> Motions:
    """List what is open in all groups, by deadline, and how it stands."""
    now = node.clock.now()
    groups = charters_of.charters(node.db)
    found = [motion(node, asked) for group in groups for asked, _ in open_now(node.db, group, now)]
    return Motions(tuple(sorted((each for each in found if each), key=lambda each: (each.deadline, each.id))))


@query("proposal", "recent")
def recent(node: Node, ask: Nothing) -> Motions:
    """List the newest 100 proposals of every kind: the open ones by deadline, then the latest that are over.

    Of your own groups first, and of others where there is room. Each comes with its latest 5 comments and deliveries.
    """
    ids = newest(node.db, node.identity.public_key, node.clock.now(), RECENT)
    known = [asked for id_ in ids if (asked := proposal(node.db, id_))]
    told = [found for asked in known if (found := motion(node, asked, LATEST))]
    return Motions(tuple(sorted(told, key=_open_first)))


def _open_first(each: Motion) -> tuple[bool, int, str]:
    over = each.state != "open"
    return over, -each.deadline if over else each.deadline, each.id


@action("proposal", "log")
async def log(node: Node, ask: AskLog) -> Logged:
    """Write all decisions of a group, with charter versions, votes and block hashes, as JSON lines to a file."""
    group, to = version_now(node, ask.group), Path(ask.to)
    if not to.is_absolute():
        raise BadRequest("name the file to write from the machine's root: the node may run anywhere")
    if is_inside(node.folder.path, to):
        raise BadRequest(f"{to}: this is inside the data folder, where only the node writes")
    with node.ledger.snapshot():
        lines = [msgspec.json.encode(each) + b"\n" for each in decision_log.entries(node.db, group, node.clock.now())]
    written = b"".join(lines)
    try:
        await asyncio.to_thread(write_file, to, written)
    except OSError as error:
        raise BadRequest(f"{to}: the log cannot be written: {error.strerror}") from error
    return Logged(str(to), len(lines), hashlib.sha256(written).hexdigest())


@action("proposal", "work")
async def work(node: Node, ask: ProposeWork) -> Done:
    """Propose a patch or a piece of work with its price; it is paid once a second vote accepts its delivery."""
    content = await _publish(node, ask.patch, ".bin") if ask.patch is not None else None
    said = say.ProposeWork(
        group=version_now(node, ask.group).version,
        title=ask.title,
        text=ask.text,
        worker=find_member(node, ask.worker),
        script=address.decode(ask.address, node.config.chain),
        amount=ask.amount,
        content=content,
        deadline=_until(node, ask.minutes),
    )
    block = await node.ledger.transact(lambda tx: mandates.propose_work(tx, said))
    return Done(block.hash.hex())


@action("proposal", "deliver")
async def deliver(node: Node, ask: DeliverWork) -> Done:
    """Show what you made for a work that the group agreed to; the evidence travels as content."""
    evidence = await _publish(node, ask.evidence, ask.extension)
    said = say.DeliverWork(block_hash(ask.work), evidence, ask.note)
    block = await node.ledger.transact(lambda tx: mandates.deliver(tx, said))
    return Done(block.hash.hex())


@action("proposal", "accept")
async def accept(node: Node, ask: AcceptWork) -> Done:
    """Propose that a delivery be accepted; once decided, its price is paid like any other payment."""
    asked = motions.work(node.db, block_hash(ask.work))
    if asked is None:
        raise NotFound("this node knows no such work")
    shown = deliveries(node.db, asked)
    if not shown:
        raise BadRequest("the worker has not delivered anything yet")
    delivery = block_hash(ask.delivery) if ask.delivery else shown[-1].id
    said = say.AcceptWork(
        group=version_now(node, asked.group.hex()).version,
        title=asked.title,
        reason="the delivery is accepted",
        payee=asked.worker,
        script=asked.script,
        amount=asked.amount,
        fee_cap=ask.fee_cap,
        deadline=_until(node, ask.minutes),
        work=asked.id,
        delivery=delivery,
    )
    block = await node.ledger.transact(lambda tx: mandates.accept(tx, said))
    return Done(block.hash.hex())


@action("proposal", "instruct")
async def instruct(node: Node, ask: InstructVote) -> Done:
    """Propose how your group votes in a council that it is a member of; what it decides is its vote there."""
    group, about = version_now(node, ask.group).version, block_hash(ask.about)
    said = say.InstructVote(group, about, ask.choice, ask.reason, _until(node, ask.minutes))
    block = await node.ledger.transact(lambda tx: mandates.instruct(tx, said))
    return Done(block.hash.hex())


@action("group", "amend")
async def amend(node: Node, ask: AmendGroup) -> Done:
    """Propose another version of a charter: members come or go, rules change. It is decided by the charter's rule."""
    group = version_now(node, ask.group)
    rules = tuple(say.ClassRule(subject, rule) for subject, rule in rule_words.parse_all(ask.rule).items())
    said = say.AmendCharter(
        group=group.version,
        title=ask.title,
        reason=ask.reason,
        admit=tuple(find_member(node, each) for each in ask.admit),
        remove=tuple(_member_of(node, group, each) for each in ask.remove),
        threshold=ask.threshold,
        rules=rules,
        deadline=_until(node, ask.minutes),
    )
    block = await node.ledger.transact(lambda tx: propose_amendment(tx, said))
    return Done(block.hash.hex())


@action("group", "delegate")
async def delegate(node: Node, ask: DelegateVotes) -> Done:
    """Leave your votes on one class of decisions to another member, or take them back; your own vote comes first."""
    group = version_now(node, ask.group)
    to = _member_of(node, group, ask.to) if ask.to else None
    said = say.Delegate(group.id, rule_words.SUBJECTS[ask.subject], to)
    block = await node.ledger.transact(lambda tx: mandates.delegate(tx, group.version, said))
    return Done(block.hash.hex())


@query("group", "charter")
def charter(node: Node, ask: AskGroup) -> Charters:
    """Show a group's charter in all its versions: members, rules, who holds shares, who leaves votes to whom."""
    found = tuple(_charter(node, each) for each in charters_of.versions(node.db, block_hash(ask.group)))
    if not found:
        raise NotFound("this node knows no such group")
    return Charters(found)


def version_now(node: Node, group: str) -> Charter:
    """The charter of a group as it stands. Raises NotFound."""
    found = current(node.db, block_hash(group))
    if found is None:
        raise NotFound("this node knows no such group")
    return found


def _charter(node: Node, group: Charter) -> CharterModel:
    left = [
        f"{called(node, author)} leaves {subject} to {called(node, to)}"
        for subject in SUBJECTS
        if group.rule(subject).delegable
        for author, (to, _) in delegations(node.db, group, subject).items()
    ]
    return CharterModel(
        group=group.id.hex(),
        name=group.name,
        purpose=group.purpose,
        version=group.version.hex(),
        number=len(group.versions),
        members=tuple(member.hex() for member in group.members),
        member_names=tuple(called(node, member) for member in group.members),
        threshold=group.threshold,
        rules=tuple(RuleModel(subject, rule_words.describe(group.rule(subject))) for subject in SUBJECTS),
        custodians=tuple(member.hex() for member in custodians(node.db, group).members),
        delegations=tuple(left),
        rivals=tuple(rival.hex() for rival in group.rivals),
    )


def _member_of(node: Node, group: Charter, text: str) -> bytes:
    """A member of a group by what people call it; it may have left the commons, or be a group."""
    named = [member for member in group.members if called(node, member) == text.strip()]
    return named[0] if len(named) == 1 else find_member(node, text)


async def _publish(node: Node, data: bytes, extension: str) -> Media:
    _ = node.home
    made = await node.content.publish(data, extension)
    return Media(bytes.fromhex(made.infohash), bytes.fromhex(made.sha256), made.size)


def _until(node: Node, minutes: int) -> int:
    return node.clock.now() + minutes * MINUTE
