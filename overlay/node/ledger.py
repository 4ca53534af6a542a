"""The ledger as a node keeps it: which views are folded, and what else stands in its file."""

from pathlib import Path

from overlay.clock import Clock, Randomness
from overlay.content import tallies
from overlay.content.tallies import TalliesView
from overlay.dao.assembly.groups import GroupsView
from overlay.dao.chain import group_order
from overlay.dao.funds import policy, treasury
from overlay.dao.keyring import custody
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.meritrank.feedback import FeedbackView
from overlay.network import joining
from overlay.node import following, keeping
from overlay.node.folder import DataFolder
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.view import View

# Of the node itself: what it is set to, and where it met members.
SCHEMA = """
CREATE TABLE IF NOT EXISTS node_setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_contact (key BLOB PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL) WITHOUT ROWID;
"""
TABLES = (
    SCHEMA,
    following.SCHEMA,
    keeping.SCHEMA,
    tallies.SCHEMA,
    joining.SCHEMA,
    custody.SCHEMA,
    policy.SCHEMA,
    treasury.SCHEMA,
    group_order.SCHEMA,
)


def open_ledger(folder: DataFolder, clock: Clock, random: Randomness, file: Path | None = None) -> Ledger:
    """The ledger of a data folder, or a copy of it in `file`, with everything that a node keeps. Raises StorageError,
    InvalidKey."""
    views: list[View] = [MembersView(), HoldingsView(), FeedbackView(), TalliesView(), GroupsView()]
    return Ledger(file or folder.ledger, folder.identity, views, clock, random, tables=TABLES)
