"""Everything that a member can ask of its node; importing this package fills the registry."""

from overlay.node.actions import (
    bundles,
    claims,
    commons,
    custody,
    exchanges,
    following,
    governing,
    groups,
    keys,
    ledger,
    people,
    proposals,
    psbts,
    treasury,
    trust,
    vouchers,
)
from overlay.node.actions.registry import ACTIONS, Action, BadRequest, NotFound

__all__ = [
    "ACTIONS",
    "Action",
    "BadRequest",
    "NotFound",
    "bundles",
    "claims",
    "commons",
    "custody",
    "exchanges",
    "following",
    "governing",
    "groups",
    "keys",
    "ledger",
    "people",
    "proposals",
    "psbts",
    "treasury",
    "trust",
    "vouchers",
]
