"""Whether a node may sign after a start: whole nodes on loopback, their folders copied and restored as people do it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import PublicKey
from overlay.network import network
from overlay.network.invitation import Invitation
from overlay.network.network import CallFailed, Network
from overlay.network.sync import Sync
from overlay.node import guard
from overlay.node.config import load
from overlay.node.folder import DataFolder
from overlay.node.guard import CHECKING, PATIENCE_SECONDS, STRANGE_PLACE, SigningGuard
from overlay.node.node import Node
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.ledger import Ledger, SigningRefused
from overlay.trustchain.statements import Profile
from tests.network.village import person
from tests.town import HandClock, SeededRandomness

LOOPBACK: dict[str, dict[str, object]] = {"network": {"host": "127.0.0.1"}, "content": {"host": "127.0.0.1"}}


class Town:
    """Nodes by their folders' names; all of them end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.open = folder, dict[str, Node]()

    async def start(self, name: str, *, insist: bool = False) -> Node:
        path = self.folder / name
        clock, random = SystemClock(), SystemRandomness()
        self.open[name] = await Node.open(path, load(path, LOOPBACK), clock, random, insist=insist)
        return self.open[name]

    async def stop(self, *names: str) -> None:
        for name in names:
            await self.open.pop(name).close()

    async def found(self, *names: str) -> list[Node]:
        """Members of one commons, all of whom know all others' chains."""
        nodes = [await self.start(name) for name in names]
        await nodes[0].found_commons("bridge", "", Profile(names[0], ""))
        for node, name in zip(nodes[1:], names[1:], strict=True):
            await node.join_commons(await self.invitation(nodes[0]), Profile(name, ""))
        await self.agree(nodes)
        return nodes

    async def invitation(self, node: Node) -> Invitation:
        return await node.home.joining.invite([node.advertised()])

    async def agree(self, nodes: list[Node]) -> None:
        """Compare heads until everybody knows everybody's chain."""
        for _ in range(3):
            for node in nodes:
                for peer in node.home.members() - {node.identity.public_key}:
                    await node.home.sync.with_peer(peer)

    def copy(self, name: str, to: str) -> None:
        shutil.copytree(self.folder / name, self.folder / to, dirs_exist_ok=True)

    def restore(self, backup: str, name: str) -> None:
        """Put the old contents back into the same files, as a restored backup of a disk does: the place still fits."""
        for old in (self.folder / backup).iterdir():
            if old.is_file() and old.name.startswith("ledger.db"):
                (self.folder / name / old.name).write_bytes(old.read_bytes())
        for later in (self.folder / name).glob("ledger.db-*"):
            if not (self.folder / backup / later.name).exists():
                later.unlink()


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    monkeypatch.setattr(guard, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(network, "HELLO_SECONDS", 0.5)
    yield made
    await made.stop(*made.open)


async def verdict(node: Node, wanted: Callable[[str | None], bool]) -> str | None:
    """The refusal of a node, None for none, once it is as wanted."""
    changed = asyncio.Event()
    node.guard.on_verdict = lambda _: changed.set()
    async with asyncio.timeout(20):
        while not wanted(node.ledger.signing_refusal):
            changed.clear()
            await changed.wait()
    return node.ledger.signing_refusal


def is_open(refusal: str | None) -> bool:
    return refusal is None


def is_old_copy(refusal: str | None) -> bool:
    return refusal is not None and "old copy, or another copy" in refusal


async def sign(node: Node) -> HalfBlock:
    return await node.ledger.append(Profile("still here", ""))


def length(of: Node, on: Node) -> int:
    head = blocks.head(on.db, of.identity.public_key)
    return head[0] if head else 0


# Starts that are in order --------------------------------------------------------------------------------------------


async def test_a_fresh_node_signs_at_once(town: Town) -> None:
    node = await town.start("farmer")
    assert node.ledger.signing_refusal is None
    await sign(node)


async def test_a_founder_without_members_has_nobody_to_ask(town: Town) -> None:
    await town.found("farmer")
    await town.stop("farmer")
    node = await town.start("farmer")
    assert await verdict(node, is_open) is None


async def test_a_node_asks_before_its_first_signature_and_signs_when_its_peers_know_nothing_newer(town: Town) -> None:
    await town.found("farmer", "baker")
    await town.stop("baker")
    baker = await town.start("baker")
    with pytest.raises(SigningRefused, match="still asking"):
        await sign(baker)
    await verdict(baker, is_open)
    await sign(baker)


async def test_a_node_whose_peers_are_all_away_signs_where_it_has_always_run(town: Town) -> None:
    await town.found("farmer", "baker")
    await town.stop("farmer", "baker")
    baker = await town.start("baker")
    assert baker.ledger.signing_refusal == CHECKING
    await verdict(baker, is_open)
    await sign(baker)


# Copies and backups --------------------------------------------------------------------------------------------------


async def test_a_copied_folder_signs_nothing_while_nobody_answers_and_signs_when_its_user_insists(town: Town) -> None:
    await town.found("farmer", "baker")
    await town.stop("farmer", "baker")
    town.copy("baker", "copy")
    copy = await town.start("copy")
    assert await verdict(copy, lambda refusal: refusal != CHECKING) == STRANGE_PLACE
    with pytest.raises(SigningRefused, match="insist-on-place"):
        await sign(copy)
    await town.stop("copy")
    insisting = await town.start("copy", insist=True)
    await verdict(insisting, is_open)
    await sign(insisting)


async def test_a_copied_folder_without_a_commons_signs_nothing_once_it_has_signed(town: Town) -> None:
    await sign(await town.start("farmer"))
    await town.stop("farmer")
    town.copy("farmer", "copy")
    assert (await town.start("copy")).ledger.signing_refusal == STRANGE_PLACE


async def test_a_folder_that_moved_signs_once_a_member_has_answered(town: Town) -> None:
    await town.found("farmer", "baker")
    await town.stop("baker")
    (town.folder / "baker").rename(town.folder / "new machine")
    moved = await town.start("new machine")
    await verdict(moved, is_open)
    await sign(moved)


async def test_a_restored_backup_signs_nothing_until_it_has_caught_up_and_was_started_again(town: Town) -> None:
    farmer, baker = await town.found("farmer", "baker")
    await town.stop("baker")
    town.copy("baker", "backup")
    baker = await town.start("baker")
    await verdict(baker, is_open)
    newest = await sign(baker)
    await farmer.home.sync.with_peer(baker.identity.public_key)
    await town.stop("baker")
    town.restore("backup", "baker")

    restored = await town.start("baker")
    assert length(restored, on=restored) < newest.sequence_number
    await verdict(restored, is_old_copy)
    with pytest.raises(SigningRefused, match="another copy of it runs"):
        await sign(restored)
    await restored.home.sync.with_peer(farmer.identity.public_key)
    with pytest.raises(SigningRefused):
        await sign(restored)
    await town.stop("baker")

    again = await town.start("baker")
    await verdict(again, is_open)
    assert (await sign(again)).sequence_number > newest.sequence_number
    await farmer.home.sync.with_peer(again.identity.public_key)
    assert not blocks.has_forked(farmer.db, again.identity.public_key)


async def test_a_restored_backup_that_began_to_sign_alone_stops_when_a_member_shows_what_it_lacks(town: Town) -> None:
    """What no check can prevent: nobody was there to ask, and the place fits. It ends with the first who knows."""
    farmer, baker = await town.found("farmer", "baker")
    await town.stop("baker")
    town.copy("baker", "backup")
    baker = await town.start("baker")
    await verdict(baker, is_open)
    await sign(baker)
    await farmer.home.sync.with_peer(baker.identity.public_key)
    await town.stop("baker", "farmer")
    town.restore("backup", "baker")
    restored = await town.start("baker")
    await verdict(restored, is_open)
    farmer = await town.start("farmer")
    restored.home.network.add_contact(farmer.home.network.address, farmer.identity.public_key)
    await verdict(restored, is_old_copy)
    with pytest.raises(SigningRefused):
        await sign(restored)


async def test_a_copy_whose_original_has_gone_on_signs_nothing(town: Town) -> None:
    farmer, _ = await town.found("farmer", "baker")
    await town.stop("baker")
    town.copy("baker", "copy")
    baker = await town.start("baker")
    await verdict(baker, is_open)
    await sign(baker)
    await farmer.home.sync.with_peer(baker.identity.public_key)
    await verdict(await town.start("copy"), is_old_copy)
    assert not blocks.has_forked(farmer.db, baker.identity.public_key)


async def test_a_node_stops_as_soon_as_a_copy_of_it_has_signed(town: Town) -> None:
    farmer, baker = await town.found("farmer", "baker")
    town.copy("baker", "copy")
    copy = await town.start("copy", insist=True)
    copy.ledger.signing_refusal = None  # somebody who tears out the checks
    await copy.home.sync.close()
    for _ in range(9):
        await sign(copy)
    await farmer.home.sync.with_peer(copy.identity.public_key)
    await verdict(baker, is_old_copy)


async def test_a_fork_at_our_head_is_found_by_asking_for_the_head_itself(town: Town) -> None:
    farmer, baker = await town.found("farmer", "baker")
    await town.stop("baker")
    town.copy("baker", "copy")
    copy = await town.start("copy", insist=True)
    await verdict(copy, is_open)
    await sign(copy)
    await farmer.home.sync.with_peer(copy.identity.public_key)
    await town.stop("copy", "farmer")
    baker = await town.start("baker")
    await verdict(baker, is_open)
    await baker.ledger.append(Profile("another history", ""))
    await town.stop("baker")
    farmer = await town.start("farmer")
    baker = await town.start("baker")
    baker.home.network.add_contact(farmer.home.network.address, farmer.identity.public_key)
    await verdict(baker, is_old_copy)


# Whom it asks, in doubles --------------------------------------------------------------------------------------------


class Ring:
    """Stands in for network and sync: members who hold some of our blocks, or do not answer."""

    def __init__(self, clock: HandClock, others: int) -> None:
        self.clock, self.asked = clock, list[PublicKey]()
        self.others = [person(f"member {number}").public_key for number in range(others)]
        self.holds: dict[PublicKey, list[HalfBlock] | None] = dict.fromkeys(self.others, None)

    def peers(self) -> list[PublicKey]:
        return self.others

    def members(self) -> set[PublicKey]:
        return {person("baker").public_key, *self.others}

    def watch_own(self, on_foreign: Callable[[HalfBlock], None]) -> None:
        self.on_foreign = on_foreign

    async def holds_own(self, peer: PublicKey, known: int) -> list[HalfBlock]:
        self.asked.append(peer)
        held = self.holds[peer]
        if held is None:
            raise CallFailed(peer, "silent")
        return [block for block in held if block.sequence_number >= known]


@pytest.fixture
async def lone(tmp_path: Path) -> AsyncIterator[tuple[SigningGuard, Ledger, HandClock]]:
    """A guard over a folder that has been copied, and so depends on what others say."""
    identity, clock, random = person("baker"), HandClock(), SeededRandomness("baker")
    folder = DataFolder(tmp_path / "folder", random)
    (tmp_path / "folder" / "place").write_text("another place")
    ledger = Ledger(tmp_path / "ledger.db", identity, [], clock, random, "NORMAL")
    await ledger.append(Profile("baker", ""))
    yield SigningGuard(ledger, folder, insist=False), ledger, clock
    ledger.close()
    folder.close()


async def watch(guard_: SigningGuard, ring: Ring) -> None:
    await guard_.watch(cast(Network, ring), cast(Sync, ring))


async def own(ledger: Ledger) -> list[HalfBlock]:
    return blocks.chain(ledger.db, ledger.identity.public_key, 1, 9, 9)


async def test_three_witnesses_are_enough_at_once(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    ring.holds = dict.fromkeys(ring.others[:3], await own(ledger)) | dict.fromkeys(ring.others[3:], None)
    started = clock.time
    await watch(guard_, ring)
    assert ledger.signing_refusal is None
    assert clock.time == started


async def test_two_of_many_are_waited_for_until_it_is_late(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    ring.holds = dict.fromkeys(ring.others[:2], await own(ledger)) | dict.fromkeys(ring.others[2:], None)
    started = clock.time
    await watch(guard_, ring)
    assert ledger.signing_refusal is None
    assert clock.time - started == PATIENCE_SECONDS * 1000
    assert ring.asked.count(ring.others[0]) == 1


async def test_a_commons_of_two_needs_the_one_other(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 1)
    ring.holds[ring.others[0]] = await own(ledger)
    started = clock.time
    await watch(guard_, ring)
    assert (ledger.signing_refusal, clock.time) == (None, started)


async def stays_closed(guard_: SigningGuard, ring: Ring) -> None:
    """Until somebody stops to wait: nobody's answer opens the pen."""
    watching, refused = asyncio.ensure_future(watch(guard_, ring)), asyncio.Event()
    guard_.on_verdict = lambda _: refused.set()
    await asyncio.wait_for(refused.wait(), 20)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_who_knows_nothing_of_us_opens_no_copy(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    """A member who has just come cannot tell what the original signed."""
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    ring.holds = {key: [] for key in ring.others}
    await stays_closed(guard_, ring)
    assert ledger.signing_refusal == STRANGE_PLACE


async def test_who_knows_nothing_of_us_is_an_answer_where_the_folder_has_always_run(tmp_path: Path) -> None:
    clock, random = HandClock(), SeededRandomness("baker")
    folder = DataFolder(tmp_path / "folder", random)
    folder.mark_place()
    ledger = Ledger(tmp_path / "ledger.db", person("baker"), [], clock, random, "NORMAL")
    await ledger.append(Profile("baker", ""))
    ring = Ring(clock, 8)
    ring.holds = {key: [] for key in ring.others}
    started = clock.time
    await watch(SigningGuard(ledger, folder, insist=False), ring)
    assert (ledger.signing_refusal, clock.time) == (None, started)
    ledger.close()
    folder.close()


async def test_one_witness_against_many_is_enough_to_stop(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    held = await own(ledger)
    newer = HalfBlock(held[0].public_key, 2, ANYONE, 0, held[0].hash, b"note", b"", 0).signed_by(ledger.identity)
    ring.holds = dict.fromkeys(ring.others, held) | {ring.others[7]: [*held, newer]}
    await watch(guard_, ring)
    assert "holds your statement 2" in (ledger.signing_refusal or "")


async def test_another_block_at_our_own_head_is_enough_to_stop(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    key = ledger.identity.public_key
    rival = HalfBlock(key, 1, ANYONE, 0, GENESIS_HASH, b"note", b"", 0).signed_by(ledger.identity)
    ring.holds = {key: [] for key in ring.others} | {ring.others[0]: [rival]}
    await watch(guard_, ring)
    assert "holds your statement 1" in (ledger.signing_refusal or "")


async def test_a_forged_block_stops_nobody(lone: tuple[SigningGuard, Ledger, HandClock]) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    forged = HalfBlock(ledger.identity.public_key, 9, ANYONE, 0, GENESIS_HASH, b"note", b"", 0, b"s" * 64)
    shown = [*await own(ledger), forged]
    ring.holds = dict.fromkeys(ring.others, shown)
    await watch(guard_, ring)
    assert ledger.signing_refusal is None


async def test_a_wall_clock_that_jumps_neither_opens_nor_delays(
    lone: tuple[SigningGuard, Ledger, HandClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 8)
    jumps = iter([10**15, -(10**12)] * 1_000)
    monkeypatch.setattr(clock, "now", lambda: clock.time + next(jumps))
    ring.holds[ring.others[0]] = await own(ledger)
    started = clock.time
    await watch(guard_, ring)
    assert clock.time - started == PATIENCE_SECONDS * 1000
    assert ledger.signing_refusal is None


async def test_a_foreign_block_that_comes_later_closes_the_pen_for_good(
    lone: tuple[SigningGuard, Ledger, HandClock],
) -> None:
    guard_, ledger, clock = lone
    ring = Ring(clock, 3)
    ring.holds = dict.fromkeys(ring.others, await own(ledger))
    await watch(guard_, ring)
    assert ledger.signing_refusal is None
    ring.on_foreign((await own(ledger))[0])
    assert "another member holds your statement 1" in (ledger.signing_refusal or "")
    await watch(guard_, ring)
    assert ledger.signing_refusal is not None
