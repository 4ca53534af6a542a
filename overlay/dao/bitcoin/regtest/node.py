"""What methods and routes work on: the chain, its explorer, the faucet, the clock, and the wish to stop."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from overlay.clock import Clock, Randomness
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.regtest.chain import RegtestChain, open_chain
from overlay.dao.bitcoin.regtest.explorer import Explorer
from overlay.dao.bitcoin.regtest.faucet import Faucet
from overlay.dao.bitcoin.transaction import Txid

# A coinbase of block h can be spent in block h + 100, so the next block could spend those of blocks 1 and 2.
FIRST_BLOCKS = 101


def open_node(folder: Path, clock: Clock, random: Randomness) -> "RegtestNode":
    """The chain and faucet in `folder`; a new chain gets its first blocks. Raises RegtestError, OSError."""
    faucet = Faucet(folder / "faucet.key", random)
    with ExitStack() as opened:
        chain = open_chain(folder, clock.now() // 1000)
        opened.callback(chain.close)
        node = RegtestNode(chain, faucet, clock)
        if chain.height == 0:
            node.mine(faucet.script_pubkey, FIRST_BLOCKS)
        opened.pop_all()
    return node


class RegtestNode:
    """A regtest chain whose first coins belong to its faucet."""

    def __init__(self, chain: RegtestChain, faucet: Faucet, clock: Clock) -> None:
        """Use `open_node`."""
        self.chain, self.faucet, self._clock = chain, faucet, clock
        self.explorer = Explorer(chain)
        self.started = clock.monotonic()
        self.stopping = asyncio.Event()

    @property
    def time(self) -> int:
        """Seconds since the epoch."""
        return self._clock.now() // 1000

    @property
    def uptime(self) -> int:
        """Seconds since the start."""
        return int(self._clock.monotonic() - self.started)

    def mine(self, script_pubkey: bytes, count: int) -> list[str]:
        """`count` blocks whose coins go to `script_pubkey`; on disk when this returns their hashes."""
        hashes = [self.chain.mine(script_pubkey, self.time) for _ in range(count)]
        self.chain.sync()
        return hashes

    def give(self, script_pubkey: bytes, amount: Sats) -> Txid:
        """Send coins of the faucet; raises PaymentError, Refused."""
        transaction = self.faucet.pay(self.chain, script_pubkey, amount)
        return self.chain.send(transaction, self.time).txid

    def close(self) -> None:
        """Write everything to disk."""
        self.chain.close()
