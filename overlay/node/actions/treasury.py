"""What a group's treasury holds, what came and went, and what this node would sign."""

import urllib.parse
from dataclasses import dataclass

from overlay.dao.assembly.charters import Charter, charter
from overlay.dao.assembly.proposals import Payment, payment
from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.backend import BackendError, ChainBackend
from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.funds import labels, policy, rehearsal, wallet
from overlay.dao.funds.account import Account
from overlay.dao.funds.signer import script_of
from overlay.dao.keyring.custody import Share
from overlay.node import qr
from overlay.node.actions.lookup import block_hash
from overlay.node.actions.motions import called
from overlay.node.actions.registry import NotFound, action, query
from overlay.node.node import Node
from overlay.node.wire import base
from overlay.node.wire import treasury as wire
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import ProposePayment

# What nodes relay at all, satoshis per virtual byte.
LEAST_FEE_RATE = 1
NO_CHAIN = "this node sees no Bitcoin chain: give it one under [bitcoin], rpc or esplora"


@dataclass(frozen=True, slots=True)
class Purse:
    """A group's treasury as this node sees it now."""

    group: Charter
    share: Share
    account: Account
    backend: ChainBackend


@action("treasury", "show", query=True)
async def show(node: Node, ask: wire.AskTreasury) -> wire.TreasuryModel:
    """Show what a treasury holds: its coins, what waits to be mined, the charter's limits."""
    purse = await open_purse(node, block_hash(ask.group))
    group, account = purse.group, purse.account
    waiting = await purse.backend.waiting(account.script)
    known = None if waiting is None else wallet.unconfirmed(account.coins, waiting, account.script)
    return wire.TreasuryModel(
        group=group.id.hex(),
        name=group.name,
        label=labels.label(node.db, group.id),
        address=_address(node, account.script),
        network=node.config.chain.label,
        height=account.height,
        confirmed=sum(coin.amount for coin in account.coins),
        unconfirmed=known,
        coins=tuple(
            wire.CoinModel(
                coin.txid,
                coin.vout,
                coin.amount,
                coin.height,
                account.height - coin.height + 1,
                (policy.promised_to(node.db, coin, node.clock.now()) or b"").hex(),
                labels.label(node.db, bytes.fromhex(coin.txid)),
            )
            for coin in account.coins
        ),
        limits=wire.LimitsModel(group.limits.blocks, group.limits.total, group.limits.each) if group.limits else None,
    )


@query("treasury", "address")
def show_address(node: Node, ask: wire.AskTreasury) -> wire.TreasuryAddress:
    """Show where to pay into a treasury, as text and QR code."""
    group = _group(node, block_hash(ask.group))
    text = _address(node, script_of(_share(node, group)))
    uri = f"bitcoin:{text}?label={urllib.parse.quote(group.name)}"
    # Wallets read the address in capitals too, and a QR code of capitals is smaller (BIP173).
    return wire.TreasuryAddress(text, uri, qr.blocks(f"BITCOIN:{text.upper()}"))


@action("treasury", "history", query=True)
async def history(node: Node, ask: wire.AskTreasury) -> wire.History:
    """List what a treasury received and paid, for which proposal, in which transaction, at which fee."""
    purse = await open_purse(node, block_hash(ask.group))
    found = await wallet.history(node.db, purse.group, purse.account, purse.backend)
    return wire.History(tuple(_entry(node, each, purse.account.height) for each in found))


@action("treasury", "label")
async def label(node: Node, ask: wire.LabelTreasury) -> base.Done:
    """Note something about a treasury or a transaction, for yourself: it stays on this node."""
    await node.ledger.transact(lambda tx: labels.write(tx.db, bytes.fromhex(ask.about), ask.label))
    return base.Done(ask.about)


@action("treasury", "fees", query=True)
async def fees(node: Node, ask: wire.AskFees) -> wire.Fees:
    """Estimate what a payment to one payee would cost now."""
    purse = await open_purse(node, block_hash(ask.group))
    found = wallet.estimate(ask.amount, purse.account, await purse.backend.fee_rate())
    return wire.Fees(found.fee_rate, found.inputs, found.vsize, found.fee)


@action("treasury", "dry-run", query=True)
async def dry_run(node: Node, ask: wire.AskPayment) -> wire.DryRun:
    """Show exactly what this node would sign for a proposal, and every check; nothing is signed or sent."""
    asked = payment_of(node, ask.proposal)
    purse = await open_purse(node, asked.group)
    me, now = node.identity.public_key, node.clock.now()
    run = await rehearsal.rehearse(node.db, purse.group, asked, purse.account, purse.backend, me, now)
    made = run.unsigned
    return wire.DryRun(
        proposal=ask.proposal,
        title=asked.title,
        would_sign=not any(each.problem for each in run.checks),
        checks=tuple(wire.RunCheck(each.what, each.problem) for each in run.checks),
        not_checked=rehearsal.NOT_CHECKED,
        txid=made.txid,
        inputs=tuple(
            wire.RunInput(coin.txid, coin.vout, coin.amount, coin.height, sighash.hex())
            for coin, sighash in zip(made.coins, made.sighashes, strict=True)
        ),
        outputs=_outputs(node, asked, made),
        fee=made.fee,
        fee_rate=run.fee_rate,
        fee_cap=asked.fee_cap,
        change=made.change,
        vsize=made.vsize,
        lock_time=made.transaction.locktime,
        transaction=made.raw.hex(),
    )


async def check_affordable(node: Node, said: ProposePayment) -> None:
    """Raises PaymentError when this node's chain shows that a payment cannot be made, at the least fee, as it stands.

    A node that sees no chain, or holds no share, cannot tell, and lets the others judge.
    """
    try:
        purse = await open_purse(node, BlockHash(said.group))
    except (NotFound, BackendError):
        return
    policy.build(wallet.draft(said, node.identity.public_key), purse.account, LEAST_FEE_RATE)


async def open_purse(node: Node, group: BlockHash) -> Purse:
    """A treasury that this node holds a share of, as its backend shows it now. Raises NotFound, BackendError."""
    found, accounts = _group(node, group), node.home.signer.accounts
    share = _share(node, found)
    if accounts is None or node.backend is None:
        raise BackendError(NO_CHAIN)
    return Purse(found, share, await accounts.look(found, script_of(share)), node.backend)


def _group(node: Node, id_: BlockHash) -> Charter:
    found = charter(node.db, id_)
    if found is None:
        raise NotFound("this node knows no such group")
    return found


def _share(node: Node, group: Charter) -> Share:
    share = node.home.signer.share_of(group) if node.identity.public_key in group.members else None
    if share is None:
        raise NotFound(f"this node holds no share of a treasury of {group.name}")
    return share


def payment_of(node: Node, proposal: str) -> Payment:
    found = payment(node.db, block_hash(proposal))
    if found is None:
        raise NotFound("this node knows no such payment")
    return found


def _address(node: Node, script: bytes) -> str:
    return address.encode(script, node.config.chain) or script.hex()


def _entry(node: Node, each: wallet.Entry, height: int) -> wire.HistoryEntry:
    asked = payment(node.db, each.proposal) if each.proposal else None
    return wire.HistoryEntry(
        kind="paid" if each.proposal else "received",
        txid=each.txid,
        height=each.height,
        confirmations=height - each.height + 1,
        amount=each.amount,
        fee=each.fee,
        proposal=(each.proposal or b"").hex(),
        title=asked.title if asked else "",
        label=labels.label(node.db, bytes.fromhex(each.txid)),
    )


def _outputs(node: Node, asked: Payment, made: UnsignedPayment) -> tuple[wire.RunOutput, ...]:
    names = [*(called(node, each.key) for each in asked.payees), "change"]
    paid = zip(made.transaction.outputs, names, strict=True)
    return tuple(wire.RunOutput(_address(node, each.script_pubkey), each.amount, name) for each, name in paid)
