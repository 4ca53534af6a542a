"""Time limits on the injected clock."""

import asyncio
from typing import Any

from overlay.clock import Clock


async def within(clock: Clock, awaited: "asyncio.Future[Any]", seconds: float) -> bool:
    """Whether `awaited` is done after at most `seconds`. It is not cancelled, and its result is not taken."""
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({awaited, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    return awaited.done()
