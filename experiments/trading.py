"""Members of an experiment who trade as fast as their nodes allow: a load in which every transaction has two halves."""

import asyncio
import contextlib

from overlay.economy import exchange
from overlay.economy.exchange import Amount, Refused
from overlay.keys import PublicKey
from overlay.node.node import Node
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Changes, SigningRefused, Transaction, meaning
from overlay.trustchain.statements import Mint, ProposeExchange
from overlay.trustchain.store import StorageError

HOUR = 3_600_000
# Proposals of one member that wait for their answers.
MAX_OPEN = 8
# How often to look whether the node may sign.
PEN_SECONDS = 0.005


class Trader:
    """One member with one partner: mints, gives, and agrees to everything. `trade` goes on until it is cancelled."""

    def __init__(self, node: Node, partner: PublicKey) -> None:
        self._node, self._partner = node, partner
        self._open: set[BlockHash] = set()
        self._to_answer: asyncio.Queue[BlockHash] = asyncio.Queue()
        self._answered = asyncio.Event()
        self.is_closing = False
        node.ledger.listeners.append(self._hear)

    async def trade(self) -> None:
        """Propose and answer."""
        while self._node.ledger.signing_refusal is not None:  # noqa: ASYNC110 - nothing announces it to a load
            await asyncio.sleep(PEN_SECONDS)
        for proposal in self._unanswered("counterparty"):
            self._to_answer.put_nowait(proposal)
        self._open.update(self._unanswered("proposer"))
        await asyncio.gather(self._propose(), self._answer(), self._answer())

    def _unanswered(self, side: str) -> list[BlockHash]:
        query = (
            "SELECT hash FROM half WHERE id IN (SELECT block FROM voucher_proposal WHERE agreed IS NULL AND"
            f" {side} = (SELECT id FROM agent WHERE key = ?))"
        )
        found = self._node.db.execute(query, (self._node.identity.public_key,)).fetchall()
        return [BlockHash(proposal) for (proposal,) in found]

    async def _propose(self) -> None:
        while not self.is_closing:
            if len(self._open) < MAX_OPEN:
                with contextlib.suppress(SigningRefused, StorageError):
                    self._open.add((await self._node.ledger.transact(self._give)).hash)
                continue
            self._answered.clear()
            await self._answered.wait()

    async def _answer(self) -> None:
        while True:
            proposal = await self._to_answer.get()
            with contextlib.suppress(Refused, SigningRefused, StorageError):
                await self._node.ledger.transact(lambda tx, one=proposal: exchange.agree(tx, one))  # type: ignore[misc]

    def _give(self, tx: Transaction) -> HalfBlock:
        """A promise and its first gift: one transaction, so that there is never one without the other."""
        voucher = tx.append(Mint("bread", "loaf", 10, "", 0, None)).hash
        until = tx.now + HOUR
        return exchange.propose(tx, self._node.random, self._partner, [Amount(voucher, 3)], until, "mended a roof")

    def _hear(self, changes: Changes) -> None:
        # A block may come as gossip, before its body: what can be answered is what its last part came for.
        for part in changes.parts:
            self._to_answer.put_nowait(BlockHash(part.block))
        for block in changes.blocks:
            said = meaning(block)
            if isinstance(said, ProposeExchange) and block.public_key == self._partner:
                self._to_answer.put_nowait(block.hash)
            elif block.public_key == self._partner and block.is_agreement:
                self._open.discard(BlockHash(getattr(said, "proposal", b"")))
                self._answered.set()
