"""One proposal as the interfaces show it, of whatever kind."""

from itertools import islice

from overlay.dao.assembly import decision_log, motions, rules
from overlay.dao.assembly.belonging import has_belonged
from overlay.dao.assembly.bylaws import Charter, amended, group_of
from overlay.dao.assembly.charters import charter, current
from overlay.dao.assembly.deciding import acceptance, rule_for
from overlay.dao.assembly.governance import Tally, tally
from overlay.dao.assembly.motions import Amendment, Instruction, Place, Work
from overlay.dao.assembly.proposals import Payment, Proposal, Text
from overlay.dao.assembly.work import accepted, deliveries
from overlay.dao.bitcoin import address
from overlay.keys import PublicKey
from overlay.node import rule_words
from overlay.node.actions.lookup import name_of
from overlay.node.node import Node
from overlay.node.wire import Ballot, CommentModel, ContentModel, DeliveryModel, Motion, WorkModel
from overlay.trustchain.block import BlockHash


def called(node: Node, member: PublicKey) -> str:
    """The name of a person, or of the group that a member is."""
    inner = group_of(member)
    if inner is None:
        return name_of(node, member)
    group = current(node.db, inner)
    return group.name if group else ""


def motion(node: Node, asked: Proposal, latest: int | None = None) -> Motion | None:
    """How a proposal stands; None where this node does not know its charter.

    With all comments and deliveries, or the `latest` ones.
    """
    group, place = charter(node.db, asked.group), motions.place(node.db, asked.id)
    if group is None or place is None:
        return None
    stands = tally(node.db, group, asked, node.clock.now())
    rule, _ = rule_for(group, asked)
    return Motion(
        id=asked.id.hex(),
        number=decision_log.number(group, place),
        group=group.id.hex(),
        group_name=group.name,
        version=group.version.hex(),
        version_number=len(group.versions),
        kind=place.kind,
        title=asked.title,
        text=_text(asked),
        content=_content(node, asked.id),
        proposer=asked.proposer.hex(),
        proposer_name=called(node, asked.proposer),
        opened=place.opened,
        deadline=asked.deadline,
        rule=rule_words.describe(rule),
        votes=_ballots(node, stands),
        yes=stands.count("yes"),
        no=stands.count("no"),
        abstain=stands.count("abstain"),
        block=stands.count("block"),
        needed=stands.needed,
        missing=tuple(called(node, member) for member in stands.missing),
        counted_by=tuple(called(node, member) for member in stands.deciders),
        can_still_pass=stands.can_still_pass,
        state=stands.outcome.value,
        final=stands.final,
        due=stands.due,
        verdict=_verdict(stands, place, node.clock.now()),
        obstacle=stands.obstacle,
        comments=_comments(node, group, asked.id, latest),
        changes=_changes(node, group, asked) if isinstance(asked, Amendment) else (),
        work=_work(node, group, asked, latest) if isinstance(asked, Work) else None,
        about=_about(node, asked),
    )


def _verdict(stands: Tally, place: Place, now: int) -> str:
    if stands.final:
        return "decided: enough members' nodes have counted enough votes"
    if stands.obstacle:
        return f"cannot pass: {stands.obstacle}"
    if stands.passing:
        return "has enough votes; members' nodes are counting them"
    if not stands.can_still_pass:
        return "cannot pass any more"
    if now > place.deadline:
        return "has lapsed: the deadline has passed"
    return f"can still pass: {stands.count('yes')} of {stands.needed} yes votes, {len(stands.missing)} may still vote"


def _text(asked: Proposal) -> str:
    match asked:
        case Text(text=text) | Work(text=text):
            return text
        case Payment(reason=reason) | Instruction(reason=reason):
            return reason
        case _:
            return asked.said.reason


def _about(node: Node, asked: Proposal) -> str:
    """What a group's vote is about, or which work a payment accepts."""
    if isinstance(asked, Instruction):
        return asked.about.hex()
    found = acceptance(node.db, asked.id) if isinstance(asked, Payment) else None
    return found.work.hex() if found else ""


def _ballots(node: Node, stands: Tally) -> tuple[Ballot, ...]:
    return tuple(
        Ballot(
            each.voter.hex(),
            called(node, each.voter),
            each.choice,
            each.reason,
            tuple(called(node, hand) for hand in each.through),
        )
        for each in stands.ballots
    )


def _comments(node: Node, group: Charter, proposal: BlockHash, latest: int | None) -> tuple[CommentModel, ...]:
    """What was said by those who belong to the group, in the order of time."""
    rows = node.db.execute(
        "SELECT author, text, time FROM group_comment WHERE proposal = ?"
        " ORDER BY time DESC, author DESC, sequence DESC, block DESC",
        (proposal,),
    )
    heard = ((PublicKey(author), text, time) for author, text, time in rows)
    kept = list(islice((each for each in heard if has_belonged(node.db, group, each[0])), latest))
    return tuple(CommentModel(author.hex(), called(node, author), text, time) for author, text, time in reversed(kept))


def _changes(node: Node, base: Charter, asked: Amendment) -> tuple[str, ...]:
    """What an amendment changes, one sentence each."""
    try:
        made = amended(base, asked.id, asked.said)
    except ValueError as error:
        return (f"nothing: {error}",)
    told = [f"admits {called(node, PublicKey(member))}" for member in asked.said.admit]
    told += [f"removes {called(node, PublicKey(member))}" for member in asked.said.remove]
    if made.threshold != base.threshold:
        told.append(f"asks for {made.threshold} members' nodes instead of {base.threshold}")
    told += [f"decides {each.subject} by {rule_words.describe(each.rule)}" for each in asked.said.rules]
    size = len(made.members)
    told.append(f"a payment then takes {max(made.threshold, rules.fewest(made.payments, size))} of {size} yes votes")
    return tuple(told)


def _work(node: Node, group: Charter, asked: Work, latest: int | None) -> WorkModel:
    now = current(node.db, group.id) or group
    done, shown = accepted(node.db, now, asked), deliveries(node.db, asked)
    return WorkModel(
        worker=asked.worker.hex(),
        worker_name=called(node, asked.worker),
        address=address.encode(asked.script, node.config.chain) or asked.script.hex(),
        amount=asked.amount,
        deliveries=tuple(
            DeliveryModel(each.id.hex(), each.note, _content(node, each.id))
            for each in (shown if latest is None else shown[-latest:])
        ),
        accepted=done.id.hex() if done else "",
    )


def _content(node: Node, block: BlockHash) -> ContentModel | None:
    found = motions.media(node.db, block)
    if found is None:
        return None
    path = node.content.status(found.infohash.hex()).path
    return ContentModel(found.infohash.hex(), found.sha256.hex(), found.size, str(path or ""))
