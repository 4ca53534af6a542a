"""Chains become alike on all nodes, and nothing that was stored is left untold."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from overlay.network.messages import (
    AskRange,
    Head,
)
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import Profile
from overlay.trustchain.statements import encode as encode_statement
from overlay.trustchain.store import StorageError
from overlay.trustchain.validation import Invalid
from tests.network.comparing import LONG, MISLED, Liar, chain_of, forge, grow
from tests.network.village import Host, person


async def test_a_long_chain_is_fetched_checked_and_stored(hosts: list[Host]) -> None:
    farmer, baker, _ = hosts
    await grow(farmer, LONG)
    await baker.sync.with_peer(farmer.key)
    assert baker.length(farmer) == farmer.length(farmer) == LONG + 3
    assert baker.network.drops[MISLED] == 0


async def test_what_is_missing_comes_from_whoever_has_it(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    await grow(farmer, 5)
    await baker.sync.with_peer(farmer.key)
    await farmer.network.close()
    mechanic.meet(baker)
    await mechanic.sync.with_peer(baker.key)
    assert mechanic.length(farmer) == baker.length(farmer)


async def test_heads_are_compared_with_one_peer_after_another_without_being_told(tmp_path: Path) -> None:
    farmer, baker, mechanic = made = [Host(role, tmp_path) for role in ("farmer", "baker", "mechanic")]
    await farmer.found(baker, mechanic)
    await grow(mechanic, 5)
    await baker.until(lambda: baker.length(mechanic) == 5)
    for host in made:
        await host.close()


async def test_a_fork_proof_reaches_a_member_that_was_away(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    (first,) = chain_of(mechanic.identity, 1)
    kind, transaction = encode_statement(Profile("another history", ""))
    second = HalfBlock(mechanic.key, 1, ANYONE, 0, GENESIS_HASH, kind, transaction, 0).signed_by(mechanic.identity)
    await baker.ledger.ingest([first])
    await farmer.ledger.ingest([first, second])
    assert not blocks.has_forked(baker.ledger.db, mechanic.key)
    await baker.sync.with_peer(farmer.key)
    assert blocks.has_forked(baker.ledger.db, mechanic.key)


@pytest.mark.parametrize(("here", "there"), [(3, 3), (3, 6), (6, 3)])
async def test_two_histories_prove_themselves_where_members_who_heard_one_each_compare(
    hosts: list[Host], here: int, there: int
) -> None:
    farmer, baker, mechanic = hosts
    chain = chain_of(mechanic.identity, here)
    kind, transaction = encode_statement(Profile("another history", ""))
    other = HalfBlock(mechanic.key, 2, ANYONE, 0, chain[0].hash, kind, transaction, 0).signed_by(mechanic.identity)
    await farmer.ledger.ingest(chain)
    await baker.ledger.ingest([chain[0], other, *chain_of(mechanic.identity, there - 2, other.hash, 3)])
    for one, another in ((farmer, baker), (baker, farmer)):
        one.meet(another)
        await one.sync.with_peer(another.key)
    await farmer.sync.with_peer(baker.key)
    for host in (farmer, baker):
        assert blocks.has_forked(host.ledger.db, mechanic.key)
        assert host.network.drops[MISLED] == 0


async def test_one_history_is_not_asked_for_again(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    await farmer.ledger.ingest(chain_of(mechanic.identity, 3))
    liar = Liar(baker)
    liar.claim(farmer.sync._heads.of(mechanic.key))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert liar.asked == []


async def test_a_tip_that_is_made_up_costs_one_question_and_proves_nothing(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    chain = chain_of(mechanic.identity, 3)
    await farmer.ledger.ingest(chain)
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 3, 3, 0, b"made up!"))
    liar.show = lambda ask: chain[ask.first - 1 : ask.last]
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert liar.asked == [AskRange(mechanic.key, 3, 3)]
    assert not blocks.has_forked(farmer.ledger.db, mechanic.key)


async def test_comparing_survives_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    farmer, baker = made = [Host(role, tmp_path) for role in ("farmer", "baker")]
    await farmer.found(baker, syncing=False)
    await grow(farmer, 3)
    take, failures = baker.sync._intake.take, []

    async def full(found: list[HalfBlock], parts: list[Disclosure]) -> dict[BlockHash, Invalid]:
        if len(failures) < 2:
            failures.append(1)
            raise StorageError("the disk is full")
        return await take(found, parts)

    monkeypatch.setattr(baker.sync._intake, "take", full)
    baker.sync.start()
    await baker.until(lambda: baker.length(farmer) == farmer.length(farmer))
    assert len(failures) == 2
    for host in made:
        await host.close()


async def test_whoever_goes_away_in_the_middle_leaves_nothing_that_is_stored_and_not_told(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer may send blocks and leave at once: what is stored must be acted upon all the same."""
    farmer, _, mechanic = hosts
    told: list[HalfBlock] = []
    farmer.ledger.listeners.append(lambda changes: told.extend(changes.blocks))
    chain, transact, begun = chain_of(mechanic.identity, 3), farmer.ledger.transact, asyncio.Event()

    async def slow(work: Callable[..., object]) -> object:
        begun.set()
        return await transact(work)

    monkeypatch.setattr(farmer.ledger, "transact", slow)
    taking = asyncio.ensure_future(farmer.sync.take(chain))
    await begun.wait()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await farmer.until(lambda: told == chain)


async def test_a_block_of_our_own_that_we_did_not_know_is_noticed_however_it_comes(hosts: list[Host]) -> None:
    farmer, baker, _ = hosts
    seen: list[HalfBlock] = []
    baker.sync.watch_own(seen.append)
    foreign = chain_of(baker.identity, 2)
    await farmer.ledger.ingest(foreign)
    await baker.sync.with_peer(farmer.key)
    assert seen == foreign
    await baker.sync.take(foreign)
    assert seen == foreign


async def test_aforged_block_of_our_own_is_not_noticed(hosts: list[Host]) -> None:
    _, baker, _ = hosts
    seen: list[HalfBlock] = []
    baker.sync.watch_own(seen.append)
    refused = await baker.sync.take(forge(chain_of(baker.identity, 1)))
    assert len(refused) == 1
    assert seen == []


async def test_many_blocks_are_judged_as_few_are(hosts: list[Host]) -> None:
    farmer, _, mechanic = hosts
    chain = chain_of(mechanic.identity, LONG)
    spoiled = [*forge(chain[:7]), *chain[7:]]
    refused = await farmer.sync.take(spoiled)
    assert list(refused) == [spoiled[6].hash]
    assert blocks.head(farmer.ledger.db, mechanic.key) == (LONG, chain[-1].hash)
    assert farmer.length(mechanic) == 6


async def test_closing_waits_for_what_is_being_stored(tmp_path: Path) -> None:
    farmer, mechanic = Host("farmer", tmp_path), person("mechanic")
    await farmer.found(syncing=False)
    sync = Sync(farmer.ledger, farmer.network, farmer.members)
    taking: Awaitable[object] = asyncio.ensure_future(sync.take(chain_of(mechanic, LONG)))
    await asyncio.sleep(0)
    await sync.close()
    await asyncio.gather(taking, return_exceptions=True)
    await farmer.close()
    assert isinstance(farmer.ledger, Ledger)
