"""The books: their size, whether they are in order, folding them anew, writing them as tables.

What reads everything does so on a thread with a connection of its own, beside the node's work.
"""

import asyncio

from overlay.node import audit, books
from overlay.node import export as tables
from overlay.node.actions.registry import action
from overlay.node.node import Node
from overlay.node.wire import Exported, ExportLedger, LedgerStats, LedgerVerdict, Nothing, Rebuilt


@action("ledger", "stats", query=True)
async def stats(node: Node, ask: Nothing) -> LedgerStats:
    """Show how much this node keeps: statements, members, agreements, bytes, rows of each view."""
    return await asyncio.to_thread(books.stats, node.folder)


@action("ledger", "verify", query=True)
async def verify(node: Node, ask: Nothing) -> LedgerVerdict:
    """Read everything again: every signature, hash, link and commitment, and the views against a fresh fold."""
    return await asyncio.to_thread(audit.verify, node.folder)


@action("ledger", "rebuild")
async def rebuild(node: Node, ask: Nothing) -> Rebuilt:
    """Drop what was folded from the statements and fold it anew; nothing else is written meanwhile."""
    return await books.rebuild_open(node.ledger)


@action("ledger", "export")
async def export(node: Node, ask: ExportLedger) -> Exported:
    """Write the books as tables (CSV or Parquet) into a folder on the node's machine; never secrets."""
    return await asyncio.to_thread(tables.export, node.folder, ask, node.clock.now())
