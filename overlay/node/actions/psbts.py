"""Payments of a treasury as PSBTs: handed out, compared with what this node would sign, taken back signed."""

import base64

from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.funds import handover, policy, treasury
from overlay.dao.funds.policy import Violation
from overlay.node.actions.registry import action
from overlay.node.actions.treasury import NO_CHAIN, open_purse, payment_of
from overlay.node.node import Node
from overlay.node.wire import treasury as wire


@action("treasury", "psbt-export", query=True)
async def psbt_export(node: Node, ask: wire.AskPayment) -> wire.PsbtModel:
    """Hand out the payment of a proposal as a PSBT: with signatures once this node's coordination got them."""
    asked = payment_of(node, ask.proposal)
    purse = await open_purse(node, asked.group)
    done, key = treasury.signed(node.db, asked.id), purse.share.internal_key
    if done is not None:
        made = handover.export_signed(done.raw, purse.account, key)
    else:
        made = handover.export(policy.build(asked, purse.account, await purse.backend.fee_rate()), key)
    told = handover.read(made)
    signatures = sum(each.signature is not None for each in told.inputs)
    return wire.PsbtModel(base64.b64encode(made).decode(), told.transaction.txid, len(told.inputs), signatures)


@action("treasury", "psbt-check")
async def psbt_check(node: Node, ask: wire.ShowPsbt) -> wire.PsbtVerdict:
    """Tell whether this node would sign just what a PSBT says, for a proposal; if not, why not."""
    asked, told = payment_of(node, ask.proposal), handover.read(ask.psbt)
    purse = await open_purse(node, asked.group)
    me, now = node.identity.public_key, node.clock.now()
    signatures, problem, fee = sum(each.signature is not None for each in told.inputs), "", 0
    try:
        fee = handover.judge(node.db, purse.group, asked, told, purse.account, me, now).fee
    except Violation as violation:
        problem = str(violation)
    return wire.PsbtVerdict(not problem, problem, told.transaction.txid, fee, signatures)


@action("treasury", "psbt-import")
async def psbt_import(node: Node, ask: wire.ShowPsbt) -> wire.Sent:
    """Send a payment that comes as a PSBT with all signatures, if it is the one that was decided."""
    asked, told = payment_of(node, ask.proposal), handover.read(ask.psbt)
    purse = await open_purse(node, asked.group)
    me, now = node.identity.public_key, node.clock.now()
    unsigned = handover.judge(node.db, purse.group, asked, told, purse.account, me, now)
    sender = node.home.treasury
    if sender is None:
        raise BackendError(NO_CHAIN)
    await sender.send(asked, treasury.Signed(unsigned.txid, handover.finish(told, unsigned), ()))
    return wire.Sent(unsigned.txid)
