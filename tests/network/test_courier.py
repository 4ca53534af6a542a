"""What is owed is delivered, whatever happens on the way, and one block that cannot be delivered holds up no other."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import PublicKey
from overlay.network import delivery
from overlay.network.delivery import SERVICE, Delivery
from overlay.network.messages import (
    MAX_PARCEL_BLOCKS,
    MAX_PARCEL_PARTS,
    Facts,
    Receipt,
    Refused,
    decode,
    encode,
)
from overlay.network.network import CallFailed, Refusal
from overlay.network.parcels import first_that_fit
from overlay.network.quic_limits import StreamLimits
from overlay.network.rates import Buckets, Rate
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import MAX_PART_BYTES, MAX_PARTS, Body, Disclosure
from overlay.trustchain.ledger import Ledger, Transaction
from overlay.trustchain.statements import Profile, ProposeExchange
from overlay.trustchain.store import StorageError
from tests.network.village import Host, person


class Counter:
    """A receiver whose answers a test makes up; it notes what it was handed."""

    def __init__(self, host: Host) -> None:
        self.parcels: list[Facts] = []
        self.refuse: set[bytes] = set()
        self.came = asyncio.Event()
        host.network.serve(SERVICE, self._receive)

    async def _receive(self, peer: PublicKey, payload: bytes) -> bytes:
        facts = decode(payload, Facts)
        self.parcels.append(facts)
        self.came.set()
        return encode(
            Receipt(tuple(Refused(at, "no\x1b[2J") for at, raw in enumerate(facts.blocks) if raw in self.refuse))
        )


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[list[Host]]:
    made = [Host(role, tmp_path) for role in ("farmer", "baker")]
    await made[0].found(made[1], syncing=False)
    made[0].meet(made[1])
    yield made
    for host in made:
        await host.close()


async def owe(host: Host, receiver: PublicKey, count: int) -> list[HalfBlock]:
    """Sign so many blocks and owe them to a member."""

    def work(tx: Transaction) -> list[HalfBlock]:
        made = [tx.append(Profile(f"{number}", "")) for number in range(count)]
        for block in made:
            tx.post(receiver, block.hash)
        return made

    return await host.ledger.transact(work)


def owed(host: Host) -> int:
    return int(host.ledger.db.execute("SELECT count(*) FROM outbox").fetchone()[0])


async def settled(host: Host, left: int = 0) -> None:
    """Wait until so little is owed."""
    await host.until(lambda: owed(host) <= left)


async def test_everything_that_is_owed_arrives_and_is_forgotten(hosts: list[Host]) -> None:
    farmer, baker = hosts
    sent = await owe(farmer, baker.key, 3 * MAX_PARCEL_BLOCKS)
    await settled(farmer)
    assert all(baker.knows(block) for block in sent)


async def test_a_block_that_is_refused_holds_up_no_other_and_stays_owed(
    hosts: list[Host], caplog: pytest.LogCaptureFixture
) -> None:
    farmer, baker = hosts
    counter = Counter(baker)
    poison = await owe(farmer, person("nobody").public_key, MAX_PARCEL_BLOCKS + 6)
    counter.refuse = {block.pack() for block in poison}
    await farmer.ledger.transact(lambda tx: [tx.post(baker.key, block.hash) for block in poison])
    await settled(farmer, 2 * len(poison))
    good = await owe(farmer, baker.key, 5)
    await settled(farmer, 2 * len(poison))
    handed = {raw for facts in counter.parcels for raw in facts.blocks}
    assert {block.pack() for block in good} <= handed
    assert "does not take a block: no�[2J" in caplog.text


async def test_a_refused_block_is_offered_again_when_it_may_be_welcome(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker = hosts
    monkeypatch.setattr(delivery, "REFUSED_SECONDS", 0.05)
    counter = Counter(baker)
    (block,) = blocks.at(farmer.ledger.db, farmer.key, 1)
    counter.refuse = {block.pack()}
    await farmer.ledger.transact(lambda tx: tx.post(baker.key, block.hash))
    async with asyncio.timeout(10):
        while len(counter.parcels) < 3:
            counter.came.clear()
            await counter.came.wait()
    counter.refuse = set()
    await settled(farmer)


async def test_a_refused_block_is_not_offered_in_a_storm(hosts: list[Host]) -> None:
    farmer, baker = hosts
    counter = Counter(baker)
    (poison, *good) = await owe(farmer, person("nobody").public_key, 21)
    counter.refuse = {poison.pack()}
    await farmer.ledger.transact(lambda tx: tx.post(baker.key, poison.hash))
    for block in good:
        await farmer.ledger.transact(lambda tx, block=block: tx.post(baker.key, block.hash))  # type: ignore[misc]
        farmer.courier.wake(baker.key)
    await settled(farmer, 22)
    assert sum(raw == poison.pack() for facts in counter.parcels for raw in facts.blocks) == 1


async def test_a_stranger_among_the_authors_is_refused_and_the_others_taken(hosts: list[Host]) -> None:
    farmer, baker = hosts
    stranger = Host("stranger", baker.ledger._store.path.parent)
    foreign = await stranger.ledger.append(Profile("stranger", ""))
    await farmer.ledger.ingest([foreign])
    (good,) = await owe(farmer, person("nobody").public_key, 1)
    receipt = decode(
        await farmer.network.call(baker.key, SERVICE, encode(Facts((foreign.pack(), good.pack())))), Receipt
    )
    assert [(each.index, each.reason) for each in receipt.refused] == [(0, "its author is not a member")]
    assert baker.knows(good)
    assert not baker.knows(foreign)
    assert baker.network.drops["block of a parcel refused"] == 1
    stranger.ledger.close()


async def test_a_forged_block_is_refused_and_the_others_taken(hosts: list[Host]) -> None:
    farmer, baker = hosts
    first, second = await owe(farmer, person("nobody").public_key, 2)
    forged = bytearray(first.pack())
    forged[-1] ^= 1
    receipt = decode(
        await farmer.network.call(baker.key, SERVICE, encode(Facts((bytes(forged), second.pack())))), Receipt
    )
    assert [each.index for each in receipt.refused] == [0]
    assert baker.knows(second)


async def test_what_is_no_block_at_all_is_refused_whole(hosts: list[Host]) -> None:
    farmer, baker = hosts
    with pytest.raises(CallFailed, match="block 0 of a message is malformed"):
        await farmer.network.call(baker.key, SERVICE, encode(Facts((b"no block",))))
    assert baker.network.drops["refused: BadMessage"] == 1


async def test_rows_whose_blocks_are_gone_are_dropped_and_hold_up_nothing(hosts: list[Host]) -> None:
    farmer, baker = hosts
    counter = Counter(baker)
    await farmer.ledger.transact(lambda tx: [outbox.post(tx.db, baker.key, bytes([n]) * 32) for n in range(70)])
    farmer.courier.wake(baker.key)
    await settled(farmer)
    assert counter.parcels == []
    (block,) = await owe(farmer, baker.key, 1)
    await settled(farmer)
    assert [facts.blocks for facts in counter.parcels] == [(block.pack(),)]


async def test_a_disk_that_fails_once_does_not_end_delivering(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker = hosts
    monkeypatch.setattr(delivery, "RETRY_SECONDS", 0.01)
    failures = []
    confirm = outbox.confirm

    def fail_once(*arguments: object) -> None:
        if not failures:
            failures.append(1)
            raise StorageError("the disk is full")
        confirm(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox, "confirm", fail_once)
    (block,) = await owe(farmer, baker.key, 1)
    await settled(farmer)
    assert baker.knows(block)
    assert failures


async def test_a_receiver_that_refuses_everything_is_tried_ever_more_seldom(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker = hosts
    calls = []

    async def refuse(peer: PublicKey, payload: bytes) -> bytes:
        calls.append(peer)
        if len(calls) == 9:
            baker.network.serve(SERVICE, baker.courier._receive)
        raise Refusal("go away")

    async def skip(self: object, seconds: float) -> None:
        pauses.append(seconds)

    pauses: list[float] = []
    monkeypatch.setattr(Delivery, "_wait", skip)
    baker.network.serve(SERVICE, refuse)
    await owe(farmer, baker.key, 1)
    await settled(farmer)
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_what_is_owed_when_a_node_starts_is_delivered(hosts: list[Host]) -> None:
    farmer, baker = hosts
    await farmer.courier.close()
    farmer.ledger.listeners.clear()
    (block,) = await owe(farmer, baker.key, 1)
    farmer.courier.wake_all()
    await settled(farmer)
    assert baker.knows(block)


async def test_news_of_those_to_whom_nothing_is_owed_leave_nothing_behind(hosts: list[Host]) -> None:
    farmer, _ = hosts
    for number in range(100):
        farmer.courier.wake(person(f"stranger {number}").public_key)
    assert farmer.courier._deliveries == {}


async def test_what_is_posted_in_the_moment_in_which_delivering_ends_is_not_forgotten(hosts: list[Host]) -> None:
    farmer, baker = hosts
    for _ in range(30):
        await owe(farmer, baker.key, 1)
        await settled(farmer)
    assert all(not each.task.done() for each in farmer.courier._deliveries.values())


# The largest parcels -------------------------------------------------------------------------------------------------


async def test_the_largest_parts_of_many_blocks_are_cut_into_parcels_that_fit_a_request(tmp_path: Path) -> None:
    host = Ledger(tmp_path / "big.db", person("farmer"), [], SystemClock(), SystemRandomness(), "NORMAL")
    receiver = person("baker").public_key
    made = await host.transact(lambda tx: [_largest(tx, receiver) for _ in range(12)])
    everything = outbox.parcel(host.db, receiver, 1_000)
    assert everything is not None
    done: set[BlockHash] = set()
    while len(done) < len(made):
        parcel = first_that_fit(everything, done)
        raw = encode(Facts(tuple(block.pack() for block in parcel.blocks), parcel.disclosures))
        assert parcel.receipts
        assert len(raw) < StreamLimits().request_bytes - 64
        assert len(parcel.disclosures) <= MAX_PARCEL_PARTS
        assert decode(raw, Facts).parts == parcel.disclosures
        assert {part.block for part in parcel.disclosures} <= {block.hash for block in parcel.blocks}
        done |= {block for block, _ in parcel.receipts}
    host.close()


def _largest(tx: Transaction, receiver: PublicKey) -> HalfBlock:
    """A proposal whose body has as many and as large parts as may be, owed with all of them."""
    body = Body([bytes(MAX_PART_BYTES)] * MAX_PARTS, tx._ledger.random)
    block = tx.append(ProposeExchange(0, body.root, 0, None), to=receiver, body=body)
    tx.post(receiver, block.hash, outbox.ALL_PARTS)
    return block


async def test_a_wrong_part_keeps_out_its_own_block_only(tmp_path: Path) -> None:
    farmer, baker = [Host(role, tmp_path) for role in ("farmer", "baker")]
    await farmer.found(baker, syncing=False)
    farmer.meet(baker)

    def two(tx: Transaction) -> list[HalfBlock]:
        return [_largest(tx, person("nobody").public_key) for _ in range(2)]

    wrong, right = await farmer.ledger.transact(two)
    parts = blocks.parts(farmer.ledger.db, right.hash)
    lie = Disclosure(wrong.hash, 0, 1, b"s" * 16, b"not so", ())
    facts = Facts((wrong.pack(), right.pack()), (lie, *parts))
    receipt = decode(await farmer.network.call(baker.key, SERVICE, encode(facts)), Receipt)
    assert [each.index for each in receipt.refused] == [0]
    assert len(blocks.parts(baker.ledger.db, right.hash)) == MAX_PARTS
    for host in (farmer, baker):
        await host.close()


async def test_full_parcels_travel_together_and_small_ones_wait_for_the_one_before(hosts: list[Host]) -> None:
    farmer, baker = hosts
    came, go = asyncio.Semaphore(0), asyncio.Event()
    sizes = []

    async def hold(peer: PublicKey, payload: bytes) -> bytes:
        sizes.append(len(decode(payload, Facts).blocks))
        came.release()
        await go.wait()
        return encode(Receipt())

    baker.network.serve(SERVICE, hold)
    await owe(farmer, baker.key, 2 * MAX_PARCEL_BLOCKS + 5)
    for _ in range(2):
        await came.acquire()
    assert came.locked()
    go.set()
    await settled(farmer)

    assert sizes == [MAX_PARCEL_BLOCKS, MAX_PARCEL_BLOCKS, 5]


async def test_a_receiver_is_not_asked_more_often_than_it_grants(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker = hosts
    sleep, pause, waits = SystemClock.sleep, 1 / delivery.PARCELS.per_second, []

    async def note(self: SystemClock, seconds: float) -> None:
        waits.append(seconds)
        await sleep(self, seconds)

    monkeypatch.setattr(SystemClock, "sleep", note)
    granted = Buckets[PublicKey](SystemClock(), Rate(2, 1))
    farmer.courier._granted = granted
    assert granted.take(baker.key)
    (block,) = await owe(farmer, baker.key, 1)
    await settled(farmer)

    assert pause in waits
    assert baker.knows(block)
