"""A group's keys at whole nodes: its chain grows by itself, and a lost device gets its shares back."""

import pytest

from overlay.dao.assembly.charters import Charter, current
from overlay.dao.assembly.shares import custodians
from overlay.dao.keyring import group_key
from overlay.keys import PublicKey
from overlay.node import wire
from overlay.node.actions import commons, custody, governing, groups, proposals
from overlay.node.actions.registry import BadRequest, NotFound
from overlay.node.node import Node
from overlay.trustchain import blocks
from tests.node.test_town import Village, found, knows, until, village

__all__ = ["village"]


async def group_of_three(village: Village) -> tuple[list[Node], str]:
    """Two of whom sign; it stands when all hold shares of both keys."""
    farmer = await found(village)
    nodes = [farmer, await village.join("baker", farmer), await village.join("welder", farmer)]
    await until(farmer, lambda: knows(farmer, "baker") and knows(farmer, "welder"))
    made = await groups.found(farmer, wire.FoundGroup("bridge", "", ("farmer", "baker", "welder"), 2, 2))
    for node in nodes[1:]:
        await until(node, lambda node=node: current(node.db, bytes.fromhex(made.id)))  # type: ignore[misc]
        await groups.sign(node, wire.GroupId(made.id))
    for node in nodes:
        await until(node, lambda node=node: agent_of(node, made.id))  # type: ignore[misc]
    return nodes, made.id


def agent_of(node: Node, group: str) -> PublicKey | None:
    found_ = current(node.db, bytes.fromhex(group))
    return group_key.agent_of(node.db, found_) if found_ else None


async def test_a_lost_device_gets_both_shares_back_from_the_others_and_nobody_else_does(village: Village) -> None:
    nodes, group = await group_of_three(village)
    shown = await custody.keys(nodes[1], wire.GroupId(group))
    assert shown.my_share == "held"
    assert (shown.threshold, shown.writers, len(shown.holders)) == (2, 3, 3)
    assert all(each.treasury and each.chain for each in shown.holders)
    await village.leave("baker")
    for path in (village.folder / "baker").glob("ledger.db*"):
        path.unlink()
    (village.folder / "baker" / "place").unlink(missing_ok=True)
    baker = await village.open("baker")
    invitation = await commons.invite(nodes[0], wire.Nothing())
    await commons.join(baker, wire.JoinCommons(invitation.text, "baker"))
    await until(baker, lambda: agent_of(baker, group))
    await custody.recover(baker, wire.GroupId(group))
    again = await custody.keys(baker, wire.GroupId(group))
    assert again.my_share == "held"
    assert again.chain_key == shown.chain_key
    poet = await village.join("poet", nodes[0])
    await until(poet, lambda: current(poet.db, bytes.fromhex(group)))
    with pytest.raises(BadRequest, match="hold no share"):
        await custody.recover(poet, wire.GroupId(group))
    with pytest.raises(NotFound):
        await custody.keys(poet, wire.GroupId("ab" * 32))


async def test_what_a_group_agrees_to_appears_on_its_own_chain_by_itself(village: Village) -> None:
    nodes, group = await group_of_three(village)
    asked = await governing.text(nodes[1], wire.ProposeText(group, "Paint it", "green"))
    for node in nodes:
        await until(node, lambda node=node: blocks.contains(node.db, bytes.fromhex(asked.id)))  # type: ignore[misc]
        await proposals.vote(node, wire.CastVote(asked.id, "yes"))
    for node in nodes:
        await until(node, lambda node=node: said(node, group))  # type: ignore[misc]
        assert (await custody.keys(node, wire.GroupId(group))).said == 1


def said(node: Node, group: str) -> bool:
    agent = agent_of(node, group)
    return agent is not None and blocks.first_gap(node.db, agent) > 1


async def test_new_members_get_the_same_keys_from_the_old_ones_by_themselves(village: Village) -> None:
    nodes, group = await group_of_three(village)
    before = await custody.keys(nodes[0], wire.GroupId(group))
    poet = await village.join("poet", nodes[0])
    await until(nodes[0], lambda: knows(nodes[0], "poet"))
    asked = await governing.amend(nodes[0], wire.AmendGroup(group, "Poets", admit=("poet",), remove=("welder",)))
    for node in nodes:
        await until(node, lambda node=node: blocks.contains(node.db, bytes.fromhex(asked.id)))  # type: ignore[misc]
        await proposals.vote(node, wire.CastVote(asked.id, "yes"))
    for node in (*nodes[:2], poet):
        await until(node, lambda node=node: stands(node, asked.id))  # type: ignore[misc]
        await groups.sign(node, wire.GroupId(asked.id))
    for node in (*nodes[:2], poet):
        await until(node, lambda node=node: holds(node, asked.id))  # type: ignore[misc]
        after = await custody.keys(node, wire.GroupId(group))
        assert after.treasury_key == before.treasury_key
        assert after.my_share == "held"
        assert not after.changing


def stands(node: Node, version: str) -> Charter | None:
    now = current(node.db, bytes.fromhex(version))
    return now if now is not None and now.version.hex() == version else None


def holds(node: Node, version: str) -> bool:
    """Whether the members of a version hold the key, as far as this node knows."""
    now = stands(node, version)
    return now is not None and custodians(node.db, now).version == now.version
