"""A cheat's node, for the demo only: a copy of somebody's data folder, run as if nobody had ever warned about that.

The real node would refuse: the mark of place does not fit, and its peers know newer statements of its own key. Here
the pen is opened by force, and what others know of its own chain is not asked for.
"""

import asyncio
import sys
from pathlib import Path

from overlay.clock import SystemClock, SystemRandomness
from overlay.node.config import load
from overlay.node.node import Node
from overlay.node.rest import Rest


async def cheat(folder: Path) -> None:
    config = load(folder, {"network": {"host": "127.0.0.1"}, "content": {"host": "127.0.0.1"}})
    node = await Node.open(folder, config, SystemClock(), SystemRandomness(), insist=True)
    rest = Rest(node, node.folder.token)
    try:
        node.ledger.signing_refusal = None
        node.home.when_open = _say_nothing
        await node.home.sync.close()
        await rest.start(config.rest)
        node.folder.tell_rest(rest.url)
        await asyncio.Event().wait()
    finally:
        await rest.close()
        await node.close()


async def _say_nothing() -> None:
    """A cheat does not announce itself."""


if __name__ == "__main__":
    asyncio.run(cheat(Path(sys.argv[1])))
