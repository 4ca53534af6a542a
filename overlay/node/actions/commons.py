"""Status, and belonging to a commons."""

import os

import psutil

from overlay.economy.members import Commons, member
from overlay.keys import did_key
from overlay.network.invitation import parse
from overlay.node import qr
from overlay.node.actions.registry import action, query
from overlay.node.node import Node, version
from overlay.node.wire import CommonsModel, FoundCommons, InvitationModel, JoinCommons, Nothing, Status
from overlay.trustchain.statements import Profile


@query("status", "show")
def status(node: Node, ask: Nothing) -> Status:
    """Show this node at a glance: who it is, where it listens, whether it may sign, what it dropped and why."""
    home = node.membership
    refusal = node.ledger.signing_refusal or ""
    (count,) = node.db.execute("SELECT count(*) FROM block").fetchone()
    me = member(node.db, node.identity.public_key)
    notices = [refusal] if refusal else []
    if me.forked:
        notices.append("Your key is proven to have signed two histories. Others will not deal with it any more.")
    return Status(
        public_key=node.identity.public_key.hex(),
        name=me.name,
        headless=node.config.node.headless,
        commons=_commons(home.commons) if home else None,
        address="{}:{}".format(*home.network.address) if home else "",
        content_address="{}:{}".format(*node.content.endpoint),
        online=len(home.network.online()) if home else 0,
        members=len(home.members()) if home else 0,
        blocks=count,
        signing=refusal,
        notices=tuple(notices),
        counters=dict(home.network.drops) if home else {},
        pid=os.getpid(),
        rss_mb=round(psutil.Process().memory_info().rss / (1 << 20), 1),
        ledger=str(node.folder.ledger),
        version=version(),
        did=did_key(node.identity.public_key),
    )


@action("commons", "found")
async def found(node: Node, ask: FoundCommons) -> CommonsModel:
    """Found a commons and become its first member."""
    return _commons(await node.found_commons(ask.commons, ask.purpose, _profile(node, ask.name, ask.about)))


@action("commons", "join")
async def join(node: Node, ask: JoinCommons) -> CommonsModel:
    """Join a commons with the text of an invitation."""
    return _commons(await node.join_commons(parse(ask.invitation), _profile(node, ask.name, ask.about)))


@action("commons", "invite")
async def invite(node: Node, ask: Nothing) -> InvitationModel:
    """Make an invitation for one newcomer."""
    invitation = await node.home.joining.invite([node.advertised()])
    text = invitation.to_text()
    return InvitationModel(text, qr.blocks(text))


def _profile(node: Node, name: str, about: str) -> Profile:
    return Profile(name, about, node.config.node.headless)


def _commons(found: Commons) -> CommonsModel:
    return CommonsModel(found.id.hex(), found.name, found.purpose, found.founder.hex())
