"""A whole network of real nodes keeps its promises under faults; and whoever breaks one is found out.

`python -m experiments.simulate` runs many seeds; here are a few, and the proof that the checks can fail.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pytest

from overlay.economy import drafting, exchange, proposing, witnessing
from overlay.economy.exchange import Amount
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.economy.standing import Standing, standing
from overlay.trustchain import blocks
from overlay.trustchain.block import GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction, meaning
from overlay.trustchain.statements import AnnounceSeed, Anything, Mint, Part, Profile
from overlay.trustchain.store import StorageError
from tests.simulation.member import PORT, Member, SimulatedNode, save_files
from tests.simulation.run import Plan, World, simulate
from tests.simulation.virtual_time import Stuck, VirtualLoop

# A short storm over a small commons: enough for a crash, a partition, a cheat, and a dozen agreements.
SHORT = Plan(members=4, storm_seconds=8.0)
BRIEF = replace(SHORT, storm_seconds=3.0, restores_backup=False)
CALM = Plan(members=4, storm_seconds=0.0, has_cheat=False, restores_backup=False)
HOUR = 3_600_000


@pytest.mark.parametrize("seed", [1, 2])
def test_every_promise_is_kept_under_faults(seed: int) -> None:
    outcome = simulate(seed, SHORT)

    assert outcome.violation == "", "\n".join(outcome.last)
    assert outcome.deeds > 0
    assert {"message lost", "message doubled", "message damaged"} <= outcome.befallen.keys()


def test_one_seed_gives_one_trace_and_another_seed_another() -> None:
    first, again, other = simulate(4, BRIEF), simulate(4, BRIEF), simulate(5, BRIEF)

    assert first.digest == again.digest
    assert first.digest != other.digest


def test_a_cheat_who_signs_on_from_an_old_copy_is_proven_everywhere() -> None:
    async def cheat(world: World) -> None:
        baker = world.members[1]
        backup = world.faults.backup(baker)
        await baker.spawn(baker.up.ledger.append(_a_mint()))
        await world.pass_time(5.0)
        await world.faults.go_back(baker, backup)

    outcome = simulate(6, replace(SHORT, has_cheat=False, prologue=cheat))

    assert outcome.violation == "", "\n".join(outcome.last)
    assert outcome.proven_cheats == 1


def test_a_disk_that_is_full_while_a_node_finds_that_it_may_sign_only_delays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announce, refused = SimulatedNode._announce, list[str]()

    async def first_too_full(node: SimulatedNode) -> None:
        if not refused:
            refused.append("the disk is full")
            raise StorageError(*refused)
        await announce(node)

    async def fill(world: World) -> None:
        baker = world.members[1]
        baker.content.endpoint = ("", PORT + 1)  # which is to be announced
        monkeypatch.setattr(SimulatedNode, "_announce", first_too_full)
        await _crash_and_return(world, baker)
        await world.pass_time(10.0)
        said = [meaning(block) for block in blocks.chain(baker.up.db, baker.key, 1, 99, 99)]
        assert AnnounceSeed(PORT + 1) in said

    outcome = simulate(1, replace(CALM, prologue=fill))

    assert outcome.violation == "", "\n".join(outcome.last)
    assert refused


def test_an_answer_that_did_not_fit_the_disk_is_given_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    react, refused = exchange.react, list[BlockHash]()

    def once_too_full(tx: Transaction, proposals: Iterable[BlockHash]) -> None:
        due = [*proposals]
        if due and due[0] not in refused:
            refused.append(due[0])
            raise StorageError("the disk is full")
        react(tx, due)

    monkeypatch.setattr(exchange, "react", once_too_full)

    async def give(world: World) -> None:
        founder, baker = world.members[:2]
        voucher = (await founder.spawn(founder.up.ledger.append(_a_mint()))).hash
        proposal = await founder.spawn(founder.up.ledger.transact(_give(founder, baker, voucher, [])))
        await world.pass_time(3.0)
        await baker.spawn(baker.up.ledger.transact(partial(exchange.agree, proposal=proposal.hash)))
        await world.pass_time(5.0)
        assert refused
        assert standing(baker.up.db, proposal.hash, baker.clock.now()) is Standing.FINAL

    outcome = simulate(1, replace(CALM, prologue=give))

    assert outcome.violation == "", "\n".join(outcome.last)


def test_a_store_that_loses_the_last_commit_is_found_out() -> None:
    async def lose_a_commit(world: World) -> None:
        baker = world.members[1]
        before = save_files(baker.folder)
        await baker.spawn(baker.up.ledger.append(_a_mint()))
        baker.left_on_disk = lambda: before  # type: ignore[method-assign]
        await _crash_and_return(world, baker)

    assert simulate(1, replace(CALM, prologue=lose_a_commit)).violation.startswith("2: baker has lost 1 block")


def test_a_node_that_signs_on_from_a_restored_copy_is_found_out() -> None:
    async def sign_on(world: World) -> None:
        baker = world.members[1]
        backup = world.faults.backup(baker)
        await baker.spawn(baker.up.ledger.append(_a_mint()))
        await world.pass_time(5.0)
        baker.crash("to go back")
        await world.faults.restore(baker, backup, moves=False)
        baker.up.ledger.signing_refusal = None
        await baker.spawn(baker.up.ledger.append(Mint("another promise", "piece", 1, "", 0, None)))

    assert simulate(1, replace(CALM, prologue=sign_on)).violation.startswith("1: baker has signed two blocks")


def test_an_issuer_that_witnesses_two_spends_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnessing, "_is_first", lambda tx, legs, agreed: True)

    async def spend_twice(world: World) -> None:
        founder, baker, farmer = world.members[:3]
        voucher = (await founder.spawn(founder.up.ledger.append(_a_mint()))).hash
        legs: list[Part] = []
        for receiver in (baker, farmer):
            proposal = await founder.spawn(founder.up.ledger.transact(_give(founder, receiver, voucher, legs)))
            await world.pass_time(3.0)
            await receiver.spawn(receiver.up.ledger.transact(partial(exchange.agree, proposal=proposal.hash)))
        await world.pass_time(5.0)

    assert "second spend of one holding" in simulate(1, replace(CALM, prologue=spend_twice)).violation


def test_a_view_in_which_one_member_alone_takes_what_others_hold_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = HoldingsView.fold_block

    def greedy(view: HoldingsView, db: sqlite3.Connection, block: HalfBlock, said: Anything) -> None:
        fold(view, db, block, said)
        if isinstance(said, Mint) and said.promise == "greed":
            db.execute("UPDATE voucher_holding SET live = 0")

    monkeypatch.setattr(HoldingsView, "fold_block", greedy)

    async def take(world: World) -> None:
        baker, farmer = world.members[1:3]
        await baker.spawn(baker.up.ledger.append(_a_mint()))
        await world.pass_time(5.0)
        await farmer.spawn(farmer.up.ledger.append(Mint("greed", "piece", 1, "", 0, None)))
        await world.pass_time(1.0)

    assert simulate(1, replace(CALM, prologue=take)).violation.startswith("6: a statement of farmer alone")


def test_a_block_that_leaves_before_it_is_on_disk_is_found_out() -> None:
    async def hurry(world: World) -> None:
        baker = world.members[1]
        unsaved = HalfBlock(baker.key, 99, baker.key, 0, GENESIS_HASH, b"mint", b"", 0).signed_by(baker.up.identity)
        world.internet.on_leave(baker.role, unsaved.pack())

    assert simulate(1, replace(CALM, prologue=hurry)).violation == "1: block 99 of baker leaves before it is on disk"


def test_a_view_that_depends_on_the_order_of_arrival_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = MembersView.fold_block

    def count_arrivals(view: MembersView, db: object, block: HalfBlock, statement: object) -> None:
        if isinstance(statement, Profile):
            (known,) = db.execute("SELECT count(*) FROM member_admission").fetchone()  # type: ignore[attr-defined]
            statement = replace_about(statement, str(known))
        fold(view, db, block, statement)  # type: ignore[arg-type]

    monkeypatch.setattr(MembersView, "fold_block", count_arrivals)

    assert simulate(1, CALM).violation.startswith("3: ")


def test_a_node_that_fails_inside_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(db: object, me: object, proposals: object) -> None:
        raise LookupError("a fault of the program")

    monkeypatch.setattr(exchange, "due", fail)

    assert simulate(1, BRIEF).violation.startswith("10: a node failed inside")


def test_time_passes_only_when_nothing_is_left_to_do() -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(asyncio.sleep(100_000))
        assert loop.time() == 100_000
        with pytest.raises(Stuck):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()


async def _crash_and_return(world: World, member: Member) -> None:
    member.crash("on purpose")
    await member.start()
    world.inspector.restarted(member)


def _give(giver: Member, receiver: Member, voucher: BlockHash, legs: list[Part]) -> Callable[[Transaction], HalfBlock]:
    """The same leg to everyone, as only a program that was tampered with would give it."""

    def propose(tx: Transaction) -> HalfBlock:
        if not legs:
            legs.extend(drafting.body_of(tx.db, drafting.draft(tx, [Amount(voucher, 1)]), []))
        until = giver.clock.now() + HOUR
        return proposing._propose(tx, giver.chance, receiver.key, legs, until, weight=0, offer=None)

    return propose


def replace_about(said: Profile, about: str) -> Profile:
    return Profile(said.name, about, said.headless)


def _a_mint() -> Mint:
    return Mint("one more loaf", "piece", 1, "", 0, None)
