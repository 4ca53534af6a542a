"""Five nodes on real UDP sockets of this machine and a real regtest chain: a key of all, three votes, one payment."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from overlay.clock import SystemClock
from overlay.dao.assembly import governance, turns
from overlay.dao.assembly.charters import charters
from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.shares import share_holders, threshold_key
from overlay.dao.funds.treasury import PaymentFailed, is_paid
from overlay.dao.keyring.custody import host_key
from overlay.dao.keyring.keygen import KeygenFailed
from overlay.economy.members import member_keys
from overlay.keys import PublicKey
from overlay.network.network import Network
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Changes
from overlay.trustchain.statements import AdmitMember, FoundCommons, FoundGroup
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import ROLES, GroupTown, Member, chain

PATIENCE = 30.0
# A chain backend does not call: nodes look at least so often.
LOOK_SECONDS = 0.2


class Node(Member):
    """A member on a socket, which looks after its groups by itself."""

    commons: bytes

    async def enter(self, town: GroupTown, charter: HalfBlock) -> None:
        self.commons, self.changed, self.news = charter.hash[:20], asyncio.Event(), asyncio.Event()
        self.network = Network(
            self.identity, self.commons, self.clock, self.ledger.random, lambda key: key in self.keys(), self._on_block
        )
        self.start(self.network, town.new_backend())
        self.sync = Sync(self.ledger, self.network, self.keys)
        self.gossip: asyncio.Queue[HalfBlock] = asyncio.Queue()
        self.ledger.listeners.append(self._on_changes)
        await self.network.start("127.0.0.1", 0)
        self.sync.start()
        self.tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._take())]

    def keys(self) -> set[PublicKey]:
        return member_keys(self.ledger.db, self.commons)

    def _on_block(self, block: HalfBlock) -> None:
        self.gossip.put_nowait(block)

    def _on_changes(self, changes: Changes) -> None:
        self.network.gossip(block for block in changes.blocks if block.public_key == self.key)
        self.changed.set()
        self.news.set()

    async def _take(self) -> None:
        while True:
            await self.ledger.ingest([await self.gossip.get()])

    async def _look(self) -> None:
        while True:
            for group in charters(self.ledger.db):
                try:
                    if self.keygen.is_due(group):
                        await self.keygen.coordinate(group)
                    await self.treasury.step()
                except (KeygenFailed, PaymentFailed):
                    pass  # told to the member; the next look goes on
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.changed.wait()
            except TimeoutError:
                continue
            self.changed.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.sync.close()
        await self.network.close()


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[GroupTown]:
    async with chain(tmp_path) as service:
        town = GroupTown(tmp_path, service, SystemClock())
        nodes = [Node(role, tmp_path, town.clock) for role in ROLES]
        town.members = {node.role: node for node in nodes}
        for node in nodes:
            node.open_ledger()
        founder = nodes[0]
        charter = await founder.say(FoundCommons("bridge", "rebuild it", 1))
        admitted = [await founder.say(AdmitMember(node.key)) for node in nodes[1:]]
        for node in nodes:
            await node.ledger.ingest([charter, *admitted])
            await node.enter(town, charter)
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.network.add_contact(other.network.address, other.key)
        yield town
        for node in nodes:
            await node.leave()
        await town.close()
    shutil.rmtree(tmp_path / "chain", ignore_errors=True)


def nodes(town: GroupTown) -> list[Node]:
    return [node for node in town.all if isinstance(node, Node)]


async def with_key(town: GroupTown, threshold: int) -> None:
    """A charter that all sign, and the key that they then make by themselves."""
    founder, keys = nodes(town)[0], tuple(node.key for node in town.all)
    said = FoundGroup("bridge group", "rebuild it", keys, threshold, threshold)
    town.id = (await founder.ledger.transact(lambda tx: governance.found_group(tx, said))).hash
    for node in nodes(town):
        await node.until(lambda node=node: blocks.contains(node.ledger.db, town.id))  # type: ignore[misc]
        key = host_key(node.identity, town.id)
        await node.ledger.transact(lambda tx, key=key: governance.sign_charter(tx, town.id, key))  # type: ignore[misc]
    for node in nodes(town):
        await node.until(lambda node=node: threshold_key(node.ledger.db, node.group(town.id)) is not None)  # type: ignore[misc]
        assert len(share_holders(node.ledger.db, node.group(town.id))) == len(ROLES)


async def proposed(town: GroupTown, proposer: Node) -> BlockHash:
    proposal = await town.propose(proposer)
    for node in nodes(town):
        await node.until(lambda node=node: blocks.contains(node.ledger.db, proposal))  # type: ignore[misc]
    return proposal


async def in_mempool(town: GroupTown) -> str:
    async with asyncio.timeout(PATIENCE):
        while not (waiting := await town.mempool()):
            continue
    return waiting[0]


async def test_five_nodes_make_a_key_vote_and_pay(real: GroupTown) -> None:
    await with_key(real, 3)
    await real.fund(5_000_000)
    engineer, farmer, baker = (real.members[role] for role in ("engineer", "farmer", "baker"))
    assert isinstance(engineer, Node)
    proposal = await proposed(real, engineer)
    for voter in (engineer, farmer):
        await voter.vote(proposal)
    await engineer.until(lambda: engineer.tally(proposal).count("yes") == 2)
    assert await real.mempool() == []
    await baker.vote(proposal)
    txid = await in_mempool(real)
    await real.mine()
    for node in nodes(real):
        await node.until(lambda node=node: is_paid(node.ledger.db, proposal))  # type: ignore[misc]
        await node.until(lambda node=node: bool(payouts(node.ledger.db, node.group(real.id), proposal)))  # type: ignore[misc]
        assert payouts(node.ledger.db, node.group(real.id), proposal)[0].txid.hex() == txid
    assert await real.received(Purse("welder").script) == 1_500_000


async def test_the_proposer_dies_after_the_vote_and_the_others_pay(
    real: GroupTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 2.0)
    await with_key(real, 3)
    await real.fund(5_000_000)
    engineer = real.members["engineer"]
    assert isinstance(engineer, Node)
    proposal = await proposed(real, engineer)
    await engineer.vote(proposal)
    for node in nodes(real):
        await node.until(lambda node=node: node.tally(proposal).count("yes") == 1)  # type: ignore[misc]
    await engineer.leave()
    for role in ("farmer", "baker"):
        await real.members[role].vote(proposal)
    await in_mempool(real)
    await real.mine()
    mechanic = real.members["mechanic"]
    assert isinstance(mechanic, Node)
    await mechanic.until(lambda: is_paid(mechanic.ledger.db, proposal))
    assert await real.received(Purse("welder").script) == 1_500_000
