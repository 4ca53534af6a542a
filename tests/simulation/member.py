"""One member of a simulated commons: its folder and clock, and the real node that runs on them between crashes."""

import asyncio
import contextvars
import shutil
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

from overlay.clock import Randomness
from overlay.content import ContentError
from overlay.content.bandwidth import token_of
from overlay.keys import PublicKey
from overlay.network.network import Network
from overlay.node.config import Config, NetworkSection
from overlay.node.folder import DataFolder
from overlay.node.node import Node
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Ledger
from tests.simulation.disk import Disk, SimulatedStore
from tests.simulation.internet import Host, Internet, SimulatedNetwork, SimulatedSocket
from tests.simulation.virtual_time import OWNER, MemberClock, VirtualLoop
from tests.town import SeededRandomness

T = TypeVar("T")
PORT = 7000


class CountedContent:
    """The content session's account books without BitTorrent: `carry` is a transfer between two members."""

    endpoint = ("", PORT)

    def __init__(self) -> None:
        self._sent: Counter[str] = Counter()
        self._received: Counter[str] = Counter()

    def restarted(self) -> None:
        """What was received is kept on disk, what was sent is counted anew."""
        self._sent.clear()

    def carry(self, me: PublicKey, to: "CountedContent", them: PublicKey, count: int) -> None:
        self._sent[token_of(them)] += count
        to._received[token_of(me)] += count

    def sent(self) -> dict[str, int]:
        return dict(self._sent)

    def received(self) -> dict[str, int]:
        return dict(self._received)

    def status(self, infohash: str) -> object:
        return SimpleNamespace(path=None, peers=0)

    async def fetch(self, *_: object, **__: object) -> Path:
        raise ContentError("", "there is no BitTorrent in a simulation")

    async def close(self) -> None:
        """There is nothing to end."""


class SimulatedNode(Node):
    """The real node on a simulated disk, network and content session."""

    member: "Member"

    @classmethod
    def on(cls, member: "Member") -> "SimulatedNode":
        config = Config(network=NetworkSection(member.address[0], member.address[1]))
        node = cls(DataFolder(member.folder, member.chance), config, member.clock, member.chance, insist=False)
        node.member = member
        node.ledger._store.close()
        member.store = SimulatedStore(member.disk, node.folder.ledger, node.identity)
        node.ledger._store = member.store
        return node

    async def _start(self) -> None:
        self._content = self.member.content  # type: ignore[assignment]
        self.member.content.restarted()
        entered = self.value("commons")
        if entered is None:
            self.guard.open_alone()
        else:
            network = self._network(entered)
            await network.start(*self.member.address)
            self._enter(entered, network)

    def _network(self, commons_id: bytes) -> Network:
        host = self.member.new_host(self)
        network = SimulatedNetwork(
            self.identity,
            commons_id,
            self.clock,
            self.random,
            self._is_member,
            self._on_block,
            lambda *_: SimulatedSocket(host),
        )
        network.put_on(host)
        return network


class Member:
    """Start it, crash it, give it work. `acknowledged` are the blocks that its node has reported as stored."""

    def __init__(self, number: int, role: str, folder: Path, internet: Internet, seed: int) -> None:
        self.role, self.folder, self.internet, self.loop = role, folder, internet, internet.loop
        self.address = (f"203.0.113.{number + 1}", PORT)  # of a block that is no real network
        self.clock = MemberClock(self.loop)
        self.chance: Randomness = SeededRandomness(f"{seed}/{role}")
        self.disk = Disk(self.loop, Random(f"{seed}/disk/{role}"))
        self.disk.on_crash = self.crash
        self.content = CountedContent()
        self.store: SimulatedStore | None = None
        self.node: SimulatedNode | None = None
        self.host: Host | None = None
        self.key = PublicKey(b"")
        self.is_cheat = False
        self.acknowledged: set[BlockHash] = set()
        self.ending: asyncio.Task[None] | None = None

    @property
    def up(self) -> SimulatedNode:
        """The running node."""
        assert self.node is not None
        return self.node

    def new_host(self, node: SimulatedNode) -> Host:
        self.host = Host(self.internet, self.role, node.identity, self.address)
        return self.host

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something as this member: a crash ends it."""
        token = OWNER.set(self.role)
        try:
            return self.loop.create_task(work)
        finally:
            OWNER.reset(token)

    def make_node(self) -> SimulatedNode:
        """What runs on the folder."""
        return SimulatedNode.on(self)

    async def start(self) -> None:
        """Begin to run on the folder as it is."""
        if self.ending is not None:
            await self.ending
        node = self.make_node()
        self.key, self.node = node.identity.public_key, node
        node.ledger.listeners.append(lambda changes: self.acknowledged.update(block.hash for block in changes.blocks))
        self.internet.trace.tell(self.role, "starts")
        await self.spawn(node._start())

    def another_ledger(self) -> Ledger:
        """An empty ledger with the same views, beside the one that the node runs on."""
        path = self.folder / "another.db"
        path.unlink(missing_ok=True)
        ledger = Ledger(path, self.up.identity, self.up.ledger.views, self.clock, self.chance)
        ledger._store.close()
        ledger._store = SimulatedStore(Disk(self.loop, Random(0)), path, self.up.identity)
        return ledger

    def crash(self, when: str) -> None:
        """The process is gone from one moment to the next: what is not on disk now is lost."""
        node, host, store = self.node, self.host, self.store
        if node is None or store is None:
            return
        self.internet.trace.tell(self.role, f"crashes {when}")
        self.internet.befallen[f"crash {when}"] += 1
        self.node, store.is_dead = None, True
        if host is not None:
            host.is_up = False
        self._cancel_all()
        self.ending = self.loop.create_task(self._end(node), context=contextvars.Context())

    def _cancel_all(self) -> list[asyncio.Task[Any]]:
        tasks = self.loop.tasks_of(self.role)
        for task in tasks:
            task.cancel()
        return tasks

    def left_on_disk(self) -> dict[str, bytes]:
        """What a crash at this moment leaves of the ledger."""
        return save_files(self.folder)

    async def _end(self, node: SimulatedNode) -> None:
        # A function that crashes the node by sending something runs to its end, and may begin tasks.
        while tasks := self._cancel_all():
            await asyncio.gather(*tasks, return_exceptions=True)
        left = self.left_on_disk()
        node.ledger.close()
        node.folder.close()
        restore_files(self.folder, left)

    async def stop(self) -> None:
        """End for good, in good order."""
        if self.node is not None:
            node, self.node = self.node, None
            await node.close()
        if self.ending is not None:
            await self.ending


def save_files(folder: Path) -> dict[str, bytes]:
    """The ledger as it lies on disk: the file and its write-ahead log."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("ledger.db*")) if not path.name.endswith("shm")}


def restore_files(folder: Path, files: dict[str, bytes]) -> None:
    """Put the ledger back as it lay on disk."""
    for path in folder.glob("ledger.db*"):
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def move_folder(folder: Path) -> None:
    """Make of a folder what restoring a backup of it would make: the same content in other files."""
    copy = folder.with_name(f"{folder.name}.restored")
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)


__all__ = ["CountedContent", "Member", "SimulatedNode", "VirtualLoop", "move_folder", "restore_files", "save_files"]
