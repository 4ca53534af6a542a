"""A holding with everything that proves it: made here, checked anywhere."""

import asyncio

from overlay.economy import bundle as bundles
from overlay.economy.proof import Proof
from overlay.economy.proof import check as check_bundle
from overlay.node import qr
from overlay.node.actions.lookup import block_hash
from overlay.node.actions.registry import action, query
from overlay.node.node import Node
from overlay.node.wire import AskBundle, BundleModel, BundleVerdict, CheckBundle


@query("voucher", "bundle")
def bundle(node: Node, ask: AskBundle) -> BundleModel:
    """Make a bundle of what you hold of a voucher: everything that proves it, checkable with no network."""
    now = node.clock.now()
    made = bundles.make(node.db, node.identity.public_key, block_hash(ask.voucher), now)
    text = bundles.text_of(made) or ""
    return BundleModel(made, len(made), text, qr.blocks(text) if text else "", check_bundle(made, now).sentence)


@action("voucher", "check")
async def check(node: Node, ask: CheckBundle) -> BundleVerdict:
    """Check a bundle by itself: what it proves, and what it cannot."""
    return verdict(await asyncio.to_thread(check_bundle, ask.bundle, node.clock.now()))


def verdict(proof: Proof) -> BundleVerdict:
    """A proof as it is told."""
    return BundleVerdict(
        sentence=proof.sentence,
        voucher=proof.voucher.hex(),
        promise=proof.promise,
        unit=proof.unit,
        issuer=proof.issuer.hex(),
        issuer_name=proof.issuer_name,
        holder=proof.holder.hex(),
        holder_name=proof.holder_name,
        final=proof.final,
        provisional=proof.provisional,
        expires=proof.expires,
        expired=proof.expired,
        commons=proof.commons.id.hex() if proof.commons else "",
        commons_name=proof.commons.name if proof.commons else "",
        exchanges=proof.exchanges,
        made=proof.made,
    )
