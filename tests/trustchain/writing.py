"""A process that signs without end and says what is on disk; a test ends it in the middle of a write."""

import asyncio
import sys
from pathlib import Path

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import Identity
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import Profile

WRITERS = 8


async def write(path: Path) -> None:
    identity = Identity.from_seed(b"w" * 64)
    ledger = Ledger(path, identity, [], SystemClock(), SystemRandomness())

    async def sign() -> None:
        while True:
            block = await ledger.append(Profile("writer", "x" * 100))
            sys.stdout.write(f"{block.sequence_number} {block.hash.hex()}\n")
            sys.stdout.flush()

    await asyncio.gather(*(sign() for _ in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
