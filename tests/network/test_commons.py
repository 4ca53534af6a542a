"""Members find each other over real UDP sockets, join by invitation, and bring their chains to the same state."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.members import MembersView, member_keys
from overlay.keys import Identity, PublicKey
from overlay.network.courier import Courier
from overlay.network.invitation import BadInvitation, Invitation, parse
from overlay.network.joining import SCHEMA, Joining, join
from overlay.network.network import CallFailed, Network
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Changes, Ledger
from overlay.trustchain.statements import FoundCommons, Profile

PATIENCE = 20.0


class Host:
    """One member with everything of the network, and nothing of the economy."""

    def __init__(self, role: str, folder: Path, seed: int) -> None:
        self.identity = Identity.from_seed(bytes([seed]) * 64)
        self.clock = SystemClock()
        self.ledger = Ledger(
            folder / f"{role}.db", self.identity, [MembersView()], self.clock, SystemRandomness(), tables=[SCHEMA]
        )
        self.changed = asyncio.Event()
        self.ledger.listeners.append(self._on_change)
        self.commons = b""

    def _on_change(self, changes: Changes) -> None:
        self.changed.set()
        for receiver in changes.posted:
            self.courier.wake(receiver)

    def members(self) -> set[PublicKey]:
        return member_keys(self.ledger.db, self.commons)

    async def enter(self, commons: bytes) -> None:
        self.commons = commons
        self.network = Network(
            self.identity, commons, self.clock, self.ledger.random, lambda key: key in self.members(), self._on_block
        )
        self.sync = Sync(self.ledger, self.network, self.members)
        self.courier = Courier(self.ledger, self.network, self.sync)
        await self.network.start("127.0.0.1", 0)
        self.sync.start()

    def _on_block(self, block: object) -> None:
        """Gossip is not part of these tests: heads alone must be enough."""

    async def found(self) -> None:
        charter = await self.ledger.append(FoundCommons("bridge", "rebuild it", 1))
        await self.enter(charter.hash[:20])
        self.joining = Joining(self.ledger, self.network, charter.hash)

    async def join(self, invitation: Invitation) -> None:
        await self.enter(invitation.commons)
        for address in invitation.places:
            self.network.add_contact(address, invitation.member)
        charter = await join(invitation, self.ledger, self.network, self.sync)
        self.joining = Joining(self.ledger, self.network, charter)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def knows(self, block: BlockHash) -> bool:
        return blocks.contains(self.ledger.db, block)

    async def close(self) -> None:
        if self.commons:
            await self.sync.close()
            await self.courier.close()
            await self.network.close()
        self.ledger.close()


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[list[Host]]:
    made = [Host(role, tmp_path, seed) for seed, role in enumerate(("farmer", "baker", "mechanic"), 1)]
    yield made
    for host in made:
        await host.close()


async def test_members_join_by_invitation_and_learn_each_others_chains(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    await farmer.found()
    await baker.join(await farmer.joining.invite([farmer.network.address]))
    await mechanic.join(parse((await baker.joining.invite([baker.network.address])).to_text()))
    profile = (await mechanic.ledger.append(Profile("mechanic", "repairs"))).hash
    for host in hosts:
        await host.until(lambda host=host: host.members() == {each.identity.public_key for each in hosts})  # type: ignore[misc]
        await host.until(lambda host=host: host.knows(profile))  # type: ignore[misc]


async def test_an_invitation_serves_one_guest_only_and_the_same_guest_again(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    await farmer.found()
    invitation = await farmer.joining.invite([farmer.network.address])
    await baker.join(invitation)
    before = blocks.head(farmer.ledger.db, farmer.identity.public_key)
    await join(invitation, baker.ledger, baker.network, baker.sync)
    assert blocks.head(farmer.ledger.db, farmer.identity.public_key) == before
    with pytest.raises(CallFailed, match="used by somebody else"):
        await mechanic.join(invitation)


async def test_strangers_are_not_answered(hosts: list[Host]) -> None:
    farmer, baker, _ = hosts
    await farmer.found()
    await baker.enter(farmer.commons)
    baker.network.add_contact(farmer.network.address, farmer.identity.public_key)
    with pytest.raises(CallFailed, match="only members"):
        await baker.network.call(farmer.identity.public_key, "heads", b"")


async def test_what_is_owed_reaches_a_member_and_is_confirmed(hosts: list[Host]) -> None:
    farmer, baker, _ = hosts
    await farmer.found()
    await baker.join(await farmer.joining.invite([farmer.network.address]))
    block = await farmer.ledger.append(Profile("farmer", "grows"))
    await farmer.ledger.transact(lambda tx: tx.post(baker.identity.public_key, block.hash))
    await baker.until(lambda: baker.knows(block.hash))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello", "begins with 'counterfoil:'"),
        ("counterfoil:" + "A" * 700, "at most 600 characters"),
        ("counterfoil:AAAA*AAA", "a character that does not belong"),
        ("counterfoil:AAAAAAAAAAAA", "incomplete or mistyped"),
    ],
)
def test_a_wrong_invitation_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadInvitation, match=sentence.replace("*", r"\*")):
        parse(text)
