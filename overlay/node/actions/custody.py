"""Who holds a group's keys, and what a member does about a device that is lost."""

from overlay.dao.assembly import charters, shares
from overlay.dao.assembly.charters import Charter
from overlay.dao.chain import group_order
from overlay.dao.keyring import ceremonies, group_key
from overlay.dao.keyring.keygen import KeygenFailed
from overlay.node.actions.lookup import block_hash, name_of
from overlay.node.actions.registry import BadRequest, NotFound, action, query
from overlay.node.node import Node
from overlay.node.wire import GroupId
from overlay.node.wire.custody import GroupKeys, Holder, Recovered
from overlay.trustchain import blocks

TREASURY, LEDGER = ceremonies.TREASURY, ceremonies.LEDGER


@action("group", "recover")
async def recover(node: Node, ask: GroupId) -> Recovered:
    """Get this member's shares of a group back after its device was lost: the others have what is needed beside its
    identity."""
    group = _keepers(node, ask.group)
    if node.identity.public_key not in group.members:
        raise BadRequest(f"you hold no share of {group.name}: you are not one of those who keep its keys")
    if node.identity.public_key not in TREASURY.holders(node.db, group):
        raise BadRequest(f"as far as this node knows you have never held a share of {group.name}")
    try:
        restored = await node.home.keygen.restore(group)
    except KeygenFailed as failure:
        raise BadRequest(f"your share of {group.name} could not be restored now: {failure}") from failure
    held = [each.stored(node.db, group) is not None for each in (TREASURY, LEDGER)]
    return Recovered(restored, *held)


@query("group", "keys")
def keys(node: Node, ask: GroupId) -> GroupKeys:
    """Show who holds shares of a group's two keys, and how far its own chain has come."""
    group, now = _keepers(node, ask.group), charters.current(node.db, block_hash(ask.group))
    treasury, chain = TREASURY.holders(node.db, group), LEDGER.holders(node.db, group)
    key, agent = shares.threshold_key(node.db, group), group_key.agent_of(node.db, group)
    me, said = node.identity.public_key, blocks.first_gap(node.db, agent) - 1 if agent is not None else 0
    is_kept = TREASURY.stored(node.db, group) is not None
    return GroupKeys(
        treasury_key=key.hex() if key is not None else "",
        chain_key=agent.hex() if agent is not None else "",
        said=said,
        version=group.version.hex(),
        changing=now is not None and now.version != group.version,
        threshold=group.threshold,
        writers=group_order.quorum(len(group.members), group.threshold),
        holders=tuple(
            Holder(each.hex(), name_of(node, each), each in treasury, each in chain) for each in group.members
        ),
        my_share="none" if me not in treasury else "held" if is_kept else "lost",
    )


def _keepers(node: Node, text: str) -> Charter:
    found = charters.current(node.db, block_hash(text))
    if found is None:
        raise NotFound("this node knows no such group")
    return shares.custodians(node.db, found)
