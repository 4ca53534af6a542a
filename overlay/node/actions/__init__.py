"""Everything that a member can ask of its node; importing this package fills the registry."""

from overlay.node.actions import commons, exchanges, groups, people, proposals, trust, vouchers
from overlay.node.actions.registry import ACTIONS, Action, BadRequest, NotFound

__all__ = [
    "ACTIONS",
    "Action",
    "BadRequest",
    "NotFound",
    "commons",
    "exchanges",
    "groups",
    "people",
    "proposals",
    "trust",
    "vouchers",
]
