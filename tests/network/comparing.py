"""Chains to compare, and a member whose answers a test makes up."""

from collections.abc import AsyncIterator, Callable

from overlay.keys import Identity, PublicKey
from overlay.network.comparison import HEADS, RANGE
from overlay.network.intake import MANY
from overlay.network.messages import (
    AskHeads,
    AskRange,
    Head,
    Heads,
    decode,
    encode,
    frames,
)
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.statements import Profile
from overlay.trustchain.statements import encode as encode_statement
from tests.network.village import Host

LONG = 3 * MANY
MISLED = "comparison that misled us"


def chain_of(author: Identity, length: int, previous: BlockHash = GENESIS_HASH, first: int = 1) -> list[HalfBlock]:
    """A valid chain of profiles."""
    found: list[HalfBlock] = []
    for sequence in range(first, first + length):
        kind, transaction = encode_statement(Profile(f"{sequence}", ""))
        block = HalfBlock(author.public_key, sequence, ANYONE, 0, previous, kind, transaction, 0).signed_by(author)
        found.append(block)
        previous = block.hash
    return found


class Liar:
    """A member whose answers a test makes up: `heads` claims, `show` is what it sends for each range it is asked."""

    def __init__(self, host: Host) -> None:
        self.host, self.asked = host, list[AskRange]()
        self.pages = [Heads(())]
        self.show: Callable[[AskRange], list[HalfBlock]] = lambda ask: []
        host.network.serve(HEADS, self._tell_heads)
        host.network.serve_blocks(RANGE, self._tell_range)

    def claim(self, *heads: Head) -> None:
        self.pages = [Heads(heads)]

    async def _tell_heads(self, peer: PublicKey, payload: bytes) -> bytes:
        decode(payload, AskHeads)
        return encode(self.pages.pop(0) if len(self.pages) > 1 else self.pages[0])

    async def _tell_range(self, peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
        self.asked.append(decode(payload, AskRange))
        yield frames(block.pack() for block in self.show(self.asked[-1]))


async def grow(host: Host, length: int) -> None:
    await host.ledger.transact(lambda tx: [tx.append(Profile(f"{number}", "")) for number in range(length)])


def forge(found: list[HalfBlock]) -> list[HalfBlock]:
    last = found[-1]
    forged = HalfBlock(last.public_key, last.sequence_number, ANYONE, 0, last.previous_hash, b"note", b"", 0, b"s" * 64)
    return [*found[:-1], forged]
