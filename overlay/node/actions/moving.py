"""A group moves what its treasury holds to the treasury of another group."""

from overlay.dao.assembly import governance
from overlay.dao.assembly.addressees import treasury_script
from overlay.dao.assembly.bylaws import seat
from overlay.dao.assembly.charters import current
from overlay.dao.funds import moving
from overlay.node.actions.lookup import block_hash
from overlay.node.actions.registry import BadRequest, NotFound, action
from overlay.node.actions.treasury import check_affordable, open_purse
from overlay.node.node import Node
from overlay.node.wire.treasury import MoveTreasury, TreasuryMove
from overlay.trustchain.statements import ProposePayment

MINUTE = 60_000


@action("treasury", "move")
async def move(node: Node, ask: MoveTreasury) -> TreasuryMove:
    """Propose that a group pays all that its treasury holds to the treasury of another group."""
    purse, to = await open_purse(node, block_hash(ask.group)), current(node.db, block_hash(ask.to))
    if to is None:
        raise NotFound("this node knows no such group to move to")
    script = treasury_script(node.db, to.id)
    if script is None:
        raise BadRequest(f"{to.name} has no treasury yet: not every member of it holds a share")
    if script == purse.account.script:
        raise BadRequest("this is the same treasury")
    planned = moving.plan(purse.account, script, await purse.backend.fee_rate())
    said = ProposePayment(
        group=purse.group.version,
        title=ask.title or "Move the treasury",
        reason=ask.reason,
        payee=seat(to.id),
        script=script,
        amount=planned.amount,
        fee_cap=planned.fee_cap,
        deadline=node.clock.now() + ask.minutes * MINUTE,
    )
    await check_affordable(node, said)
    block = await node.ledger.transact(lambda tx: governance.propose_payment(tx, said))
    return TreasuryMove(block.hash.hex(), planned.amount, planned.fee_cap, planned.left_at_most, planned.coins_left)
