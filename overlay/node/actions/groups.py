"""Groups, their charters and their treasury."""

from msgspec.structs import replace

from overlay.dao.assembly import charters as charters_
from overlay.dao.assembly import governance
from overlay.dao.assembly.bylaws import AMENDMENTS, PAYMENTS, TEXTS, USUAL_AMENDMENTS, WORKS, seat
from overlay.dao.assembly.groups import Charter, charters, host_keys, share_holders, threshold_key
from overlay.dao.assembly.shares import custodians
from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.funds.signer import script_of
from overlay.dao.keyring import custody
from overlay.keys import PublicKey
from overlay.node import rule_words
from overlay.node.actions.lookup import block_hash, find_member
from overlay.node.actions.motions import called
from overlay.node.actions.registry import BadRequest, action
from overlay.node.node import Node
from overlay.node.wire import Done, FoundGroup, Group, GroupId, GroupMember, Groups, Nothing
from overlay.trustchain.statements import FoundAssembly, Limits, Rule
from overlay.trustchain.statements import FoundGroup as FoundGroupStatement


@action("group", "found")
async def found(node: Node, ask: FoundGroup) -> Done:
    """Write a group's charter and sign it; it stands when every member has signed it."""
    members = tuple(_founding_member(node, text) for text in ask.members)
    simple = FoundGroupStatement(ask.name, ask.purpose, members, ask.approvals, ask.threshold)
    fault = None if ask.rule else charters_.fault(simple, node.identity.public_key)
    if fault is not None:
        raise governance.NotAllowed(fault)
    if not ask.limit_blocks and (ask.limit_total or ask.limit_each):
        raise BadRequest("limits hold for a number of blocks: give limit-blocks, too")
    said = _with_rules(ask, members) if ask.rule or ask.limit_blocks else simple
    block = await node.ledger.transact(lambda tx: governance.found_group(tx, said))
    await sign(node, GroupId(block.hash.hex()))
    return Done(block.hash.hex())


def _founding_member(node: Node, text: str) -> PublicKey:
    """A person, or a group by its id."""
    try:
        inner = charters_.charter(node.db, bytes.fromhex(text))
    except ValueError:
        inner = None
    return seat(inner.id) if inner else find_member(node, text)


def _with_rules(ask: FoundGroup, members: tuple[PublicKey, ...]) -> FoundAssembly:
    """A charter with a rule for each class of decisions, and limits where they are asked for."""
    rules, usual = rule_words.parse_all(ask.rule), Rule("count", ask.approvals)
    spend = rules.get(PAYMENTS, usual)
    return FoundAssembly(
        ask.name,
        ask.purpose,
        members,
        ask.threshold,
        payments=spend,
        texts=rules.get(TEXTS, usual),
        amendments=rules.get(AMENDMENTS, USUAL_AMENDMENTS),
        works=rules.get(WORKS, spend),
        limits=Limits(ask.limit_blocks, ask.limit_total, ask.limit_each) if ask.limit_blocks else None,
    )


@action("group", "sign")
async def sign(node: Node, ask: GroupId) -> Done:
    """Sign a group's charter: you accept its rules, and your node will hold a share of its treasury."""
    group = block_hash(ask.group)
    key = custody.host_key(node.identity, group)
    block = await node.ledger.transact(lambda tx: governance.sign_charter(tx, group, key))
    return Done(block.hash.hex())


@action("group", "list", query=True)
async def groups(node: Node, ask: Nothing) -> Groups:
    """List the groups, who signed, what they wait for, and what their treasuries hold."""
    with node.ledger.snapshot():
        found = [_group(node, group) for group in charters(node.db)]
    return Groups(tuple([replace(group, balance=await _balance(node, script)) for group, script in found]))


def _group(node: Node, group: Charter) -> tuple[Group, bytes | None]:
    """What the ledger says of a group, and the script of its treasury if we can tell it."""
    holding = custodians(node.db, group)
    signed, holders = host_keys(node.db, holding), share_holders(node.db, holding)
    me, online = node.identity.public_key, set(node.home.network.online())
    key = threshold_key(node.db, group)
    share = custody.share_of(node.db, node.identity, holding) if me in holding.members and key else None
    script = script_of(share) if share else None
    told = Group(
        id=group.id.hex(),
        name=group.name,
        purpose=group.purpose,
        members=tuple(
            GroupMember(each.hex(), called(node, each), each in signed, each in holders, each in online or each == me)
            for each in group.members
        ),
        approvals=group.approvals,
        threshold=group.threshold,
        stage="ready" if key else "keys" if len(signed) == len(group.members) else "charter",
        i_am_member=me in group.members,
        i_have_signed=me in signed,
        threshold_key=key.hex() if key else "",
        address=(address.encode(script, node.config.chain) or "") if script else "",
        network=node.config.chain.label,
        balance=-1,
    )
    return told, script


async def _balance(node: Node, script: bytes | None) -> int:
    if script is None or node.backend is None:
        return -1
    try:
        return sum(coin.amount for coin in await node.backend.coins(script))
    except BackendError:
        return -1
