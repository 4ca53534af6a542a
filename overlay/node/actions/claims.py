"""What this node's member took provisionally and lost: claims against the givers, with proof."""

from overlay.economy.losses import Loss, losses
from overlay.node.actions.lookup import name_of
from overlay.node.actions.registry import query
from overlay.node.node import Node
from overlay.node.wire import LostClaim, LostClaims, Nothing
from overlay.trustchain import blocks


@query("exchange", "claims")
def claims(node: Node, ask: Nothing) -> LostClaims:
    """List what you were given and lost, because it was not the giver's to give: claims, with the proof of each."""
    found = losses(node.db, node.identity.public_key, node.clock.now())
    return LostClaims(tuple(_claim(node, loss) for loss in found))


def _claim(node: Node, loss: Loss) -> LostClaim:
    return LostClaim(
        exchange=loss.proposal.hex(),
        giver=loss.giver.hex(),
        giver_name=name_of(node, loss.giver),
        what=tuple(f"{leg.quantity} {_unit(node, leg.voucher)}" for leg in loss.legs),
        reason=loss.reason,
        giver_proven_cheat=blocks.has_forked(node.db, loss.giver),
        proof=tuple(block.pack().hex() for block in loss.proof),
    )


def _unit(node: Node, voucher: bytes) -> str:
    row = node.db.execute("SELECT unit, promise FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    return "{} {}".format(*row) if row else "of an unknown promise"
