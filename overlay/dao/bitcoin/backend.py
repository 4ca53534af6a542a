"""What the treasury needs of the Bitcoin chain, whoever tells it.

A backend is not trusted: it may be another member's node, misconfigured, or lying. Implementations decode
strictly, bound every number, and have one error for everything that a caller can't act on.
"""

from typing import Protocol

import msgspec

from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.transaction import Transaction, Txid


class BackendError(Exception):
    """The chain backend can't be reached or can't be believed; one clear sentence."""


class Rejected(Exception):
    """The network's rules, or its nodes' policy, refuse a transaction. `reason` is Bitcoin Core's short text."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the Bitcoin network would not take the transaction: {reason}")


class TransactionStatus(msgspec.Struct, frozen=True):
    """A transaction that the backend knows. Unconfirmed: `confirmations` 0 and no `height`."""

    raw: bytes
    confirmations: int
    height: int | None


class ChainBackend(Protocol):
    """The Bitcoin chain. Every method raises BackendError where it has no answer that can be believed."""

    async def network(self) -> Network:
        """The network that the backend is on; BackendError if it is not the one this treasury is for."""

    async def height(self) -> int:
        """Height of the best block."""

    async def coins(self, script_pubkey: bytes) -> list[Coin]:
        """Confirmed unspent outputs to exactly `script_pubkey` that the next block could spend, oldest first.

        Immature coinbases are left out; spends that still wait in the mempool are not looked at (see `coin`).
        """

    async def coin(self, txid: Txid, vout: int) -> Coin | None:
        """That output if it is confirmed and nothing spends it, neither in a block nor in the mempool."""

    async def transaction(self, txid: Txid, since: int | None = None) -> TransactionStatus | None:
        """The transaction, if the backend finds it in its mempool or chain.

        `since` is a height at which it was surely not confirmed yet (the height when it was made): it lets a node
        without a transaction index find one whose outputs have all been spent already.
        """

    async def waiting(self, script_pubkey: bytes) -> list[Transaction] | None:
        """The transactions with an output to exactly `script_pubkey` that wait in the mempool, by their ids.

        For people to look at: a server may leave some out, and none of it is sure to be mined. None where the backend
        cannot tell without reading more than a look is worth.
        """

    async def broadcast(self, raw: bytes) -> Txid:
        """Hand the signed transaction to the network. What it knows already is no error.

        Raises Rejected, and InvalidTransaction for bytes that are no transaction.
        """

    async def test_accept(self, raw: bytes) -> None:
        """Raise Rejected if the network would not take `raw` now; changes nothing. Otherwise as `broadcast`."""

    async def fee_rate(self) -> int:
        """Satoshis per virtual byte for confirmation within about an hour, at least 1."""

    async def close(self) -> None:
        """Let go of connections."""
