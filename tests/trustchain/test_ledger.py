"""The ledger: own blocks form one chain, others' are kept whatever their order, two at one place are proof."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.keys import Identity
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import GENESIS_HASH, MAX_SEQUENCE, BlockHash, HalfBlock
from overlay.trustchain.commitment import BadDisclosure, Body
from overlay.trustchain.ledger import Changes, Ledger, SigningRefused, StatementTooLong, Transaction
from overlay.trustchain.outbox import ALL_PARTS
from overlay.trustchain.statements import (
    CancelExchange,
    FoundGroup,
    MalformedStatement,
    Mint,
    Note,
    Profile,
    ProposeExchange,
    encode_part,
)
from overlay.trustchain.validation import Fault
from tests.town import HandClock, SeededRandomness

FARMER, BAKER = Identity.from_seed(b"f" * 64), Identity.from_seed(b"b" * 64)
PROFILE = Profile("farmer", "", False)


class Folder:
    """Ledgers in one folder, closed at the end."""

    def __init__(self, path: Path) -> None:
        self.path, self.open_ledgers = path, list[Ledger]()

    def open(self, identity: Identity, name: str) -> Ledger:
        ledger = Ledger(self.path / f"{name}.db", identity, [], HandClock(), SeededRandomness(name))
        self.open_ledgers.append(ledger)
        return ledger


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    for ledger in folder.open_ledgers:
        ledger.close()


async def chain_of(ledger: Ledger, length: int) -> list[HalfBlock]:
    return [await ledger.append(Profile(f"farmer {at}", "")) for at in range(length)]


async def test_own_blocks_form_one_chain(folder: Folder) -> None:
    ledger = folder.open(FARMER, "farmer")
    found = await asyncio.gather(*(ledger.append(PROFILE) for _ in range(50)))
    assert [block.sequence_number for block in found] == list(range(1, 51))
    assert [block.previous_hash for block in found] == [GENESIS_HASH, *(block.hash for block in found[:-1])]
    assert all(block.has_valid_signature() for block in found)


async def test_a_chain_goes_on_after_a_restart(folder: Folder) -> None:
    first = folder.open(FARMER, "farmer")
    before = await first.append(PROFILE)
    first.close()
    after = await folder.open(FARMER, "farmer").append(PROFILE)
    assert (after.sequence_number, after.previous_hash) == (2, before.hash)


async def test_a_chain_ends_with_its_last_number(folder: Folder) -> None:
    last = HalfBlock(
        FARMER.public_key, MAX_SEQUENCE, FARMER.public_key, 0, BlockHash(b"p" * 32), b"test", b"", 0
    ).signed_by(FARMER)
    ledger = folder.open(FARMER, "farmer")
    assert await ledger.ingest([last]) == []
    with pytest.raises(SigningRefused, match="last number"):
        await ledger.append(PROFILE)


async def test_nothing_is_signed_while_the_pen_is_closed(folder: Folder) -> None:
    ledger = folder.open(FARMER, "farmer")
    ledger.signing_refusal = "this folder is an old copy"
    with pytest.raises(SigningRefused, match="old copy"):
        await ledger.append(PROFILE)
    assert blocks.count(ledger.db) == 0


async def test_a_statement_that_does_not_fit_a_block_is_refused_with_figures(folder: Folder) -> None:
    ledger = folder.open(FARMER, "farmer")
    members = tuple(bytes([at]) * 74 for at in range(10))
    with pytest.raises(StatementTooLong, match="a block holds 1173"):
        await ledger.append(FoundGroup("bridge", "ü" * 280, members, 3, 3))
    with pytest.raises(MalformedStatement):
        await ledger.append(Profile("", ""))
    assert blocks.count(ledger.db) == 0


async def test_blocks_are_kept_in_any_order_each_once(folder: Folder) -> None:
    found = await chain_of(folder.open(FARMER, "farmer"), 4)
    for at, order in enumerate(itertools.permutations(found)):
        ledger = folder.open(BAKER, f"baker {at}")
        for block in (*order, *order):
            assert await ledger.ingest([block]) == []
        assert blocks.chain(ledger.db, FARMER.public_key, 1, 9, 9) == found
        assert blocks.first_gap(ledger.db, FARMER.public_key) == 5
        assert blocks.head(ledger.db, FARMER.public_key) == (4, found[3].hash)
        assert blocks.count(ledger.db) == 4


async def test_the_first_gap_is_where_a_chain_breaks_off(folder: Folder) -> None:
    found = await chain_of(folder.open(FARMER, "farmer"), 6)
    ledger = folder.open(BAKER, "baker")
    expected = [(found[1], 1), (found[0], 3), (found[4], 3), (found[3], 3), (found[2], 6), (found[5], 7)]
    for block, gap in expected:
        await ledger.ingest([block])
        assert blocks.first_gap(ledger.db, FARMER.public_key) == gap
    assert blocks.first_gap(ledger.db, BAKER.public_key) == 1


async def test_a_refused_block_is_named_and_the_others_of_its_message_are_kept(folder: Folder) -> None:
    good, other = await chain_of(folder.open(FARMER, "farmer"), 2)
    ledger = folder.open(BAKER, "baker")
    refused = await ledger.ingest([good, replace(good, timestamp=5), other])
    assert [(each.culprit, each.sequence_number, each.fault) for each in refused] == [
        (FARMER.public_key, 1, Fault.SIGNATURE)
    ]
    assert blocks.count(ledger.db) == 2


async def test_foreign_blocks_are_kept_as_they_are(folder: Folder) -> None:
    ledger = folder.open(BAKER, "baker")
    foreign = HalfBlock(
        FARMER.public_key,
        3,
        BAKER.public_key,
        9,
        BlockHash(b"p" * 32),
        b"tribler_bandwidth",
        b"\x00\xff a4d",
        2**64 - 1,
    ).signed_by(FARMER)
    await ledger.ingest([foreign])
    assert blocks.by_hash(ledger.db, foreign.hash) == foreign
    assert list(blocks.everything(ledger.db)) == [foreign]
    row = ledger.db.execute("SELECT raw, type, hash, sequence FROM block").fetchone()
    assert row == (foreign.pack(), b"tribler_bandwidth", foreign.hash, 3)


async def test_two_blocks_at_one_place_are_proof_the_same_for_everyone(folder: Folder) -> None:
    rivals = [
        HalfBlock(FARMER.public_key, 1, BAKER.public_key, 0, GENESIS_HASH, b"test", bytes([at]), 0).signed_by(FARMER)
        for at in range(3)
    ]
    low, high, _ = sorted(rivals, key=lambda block: block.hash)
    for at, order in enumerate(itertools.permutations(rivals)):
        ledger = folder.open(BAKER, f"baker {at}")
        told: list[Changes] = []
        ledger.listeners.append(told.append)
        for block in order:
            await ledger.ingest([block])
        assert blocks.forks(ledger.db) == [(low, high)]
        assert ledger.db.execute("SELECT first, second FROM fork").fetchall() == [(low.pack(), high.pack())]
        assert blocks.has_forked(ledger.db, FARMER.public_key)
        assert not blocks.has_forked(ledger.db, BAKER.public_key)
        (fork,) = [fork for changes in told for fork in changes.forks]
        assert fork.culprit == FARMER.public_key
        assert {fork.first, fork.second} == set(order[:2])


async def test_listeners_are_told_of_what_a_cancelled_caller_stored(folder: Folder) -> None:
    ledger = folder.open(FARMER, "farmer")
    told: asyncio.Queue[Changes] = asyncio.Queue()
    ledger.listeners.append(told.put_nowait)
    caller = asyncio.create_task(ledger.append(PROFILE))
    await asyncio.wait([caller], timeout=0)
    caller.cancel()
    changes = await told.get()
    assert [block.sequence_number for block in changes.blocks] == [1]
    assert blocks.count(ledger.db) == 1


async def test_a_transaction_that_raises_leaves_nothing_and_tells_nobody(folder: Folder) -> None:
    ledger = folder.open(FARMER, "farmer")
    told: list[Changes] = []
    ledger.listeners.append(told.append)

    with pytest.raises(LookupError):
        await ledger.transact(lambda tx: (tx.append(PROFILE), tx.post(BAKER.public_key, b"h" * 32), {}["no"]))
    assert blocks.count(ledger.db) == 0
    assert outbox.receivers(ledger.db) == []
    assert told == []
    assert (await ledger.append(PROFILE)).sequence_number == 1


async def a_proposal(ledger: Ledger, *notes: str) -> tuple[HalfBlock, Body]:
    body = Body([encode_part(Note(note)) for note in notes], ledger.random)
    said = ProposeExchange(0, body.root, 0, None)
    return await ledger.transact(lambda tx: tx.append(said, to=BAKER.public_key, body=body)), body


async def test_parts_are_kept_when_they_belong_to_a_stored_block(folder: Folder) -> None:
    farmer, baker = folder.open(FARMER, "farmer"), folder.open(BAKER, "baker")
    block, body = await a_proposal(farmer, "one", "two", "three")
    shown = body.disclosures(block.hash)
    assert await baker.ingest([], shown) == []
    assert blocks.parts(baker.db, block.hash) == []  # of a block that is not known
    await baker.ingest([block], [shown[2], shown[0], shown[0]])
    await baker.ingest([block], [shown[1]])
    assert blocks.parts(baker.db, block.hash) == shown == blocks.parts(farmer.db, block.hash)


async def test_a_part_that_does_not_belong_is_refused_and_nothing_of_its_message_is_kept(folder: Folder) -> None:
    farmer, baker = folder.open(FARMER, "farmer"), folder.open(BAKER, "baker")
    block, body = await a_proposal(farmer, "one", "two")
    other, _ = await a_proposal(farmer, "three")
    profile = await farmer.append(PROFILE)
    shown = body.disclosures(block.hash)
    for wrong in (body.disclosures(other.hash)[0], body.disclosures(profile.hash)[0]):
        with pytest.raises(BadDisclosure, match="does not belong"):
            await baker.ingest([block, other, profile], [*shown, wrong])
        assert blocks.count(baker.db) == 0


async def test_the_outbox_survives_a_restart_and_is_confirmed_exactly(folder: Folder) -> None:
    farmer = folder.open(FARMER, "farmer")
    block, _ = await a_proposal(farmer, "one", "two")
    profile = await farmer.append(PROFILE)
    await farmer.transact(
        lambda tx: (tx.post(BAKER.public_key, block.hash, 1), tx.post(BAKER.public_key, profile.hash))
    )
    farmer.close()

    farmer = folder.open(FARMER, "farmer")
    assert outbox.receivers(farmer.db) == [BAKER.public_key]
    parcel = outbox.parcel(farmer.db, BAKER.public_key, 64)
    assert parcel is not None
    assert parcel.blocks == (block, profile)
    assert [part.index for part in parcel.disclosures] == [0]
    # While it is on its way, one more part is owed: only what was confirmed is forgotten.
    await farmer.transact(lambda tx: tx.post(BAKER.public_key, block.hash, 2))
    await farmer.transact(lambda tx: outbox.confirm(tx.db, BAKER.public_key, parcel))
    rest = outbox.parcel(farmer.db, BAKER.public_key, 64)
    assert rest is not None
    assert rest.blocks == (block,)
    assert [part.index for part in rest.disclosures] == [0, 1]
    await farmer.transact(lambda tx: outbox.confirm(tx.db, BAKER.public_key, rest))
    await farmer.transact(lambda tx: outbox.confirm(tx.db, BAKER.public_key, rest))
    assert outbox.parcel(farmer.db, BAKER.public_key, 64) is None
    assert outbox.receivers(farmer.db) == []


async def test_a_parcel_has_no_more_blocks_than_asked_for_in_the_order_in_which_they_came(folder: Folder) -> None:
    farmer = folder.open(FARMER, "farmer")
    found = await chain_of(farmer, 5)
    for block in found:
        await farmer.transact(lambda tx, block=block: tx.post(BAKER.public_key, block.hash, ALL_PARTS))  # type: ignore[misc]
    first = outbox.parcel(farmer.db, BAKER.public_key, 3)
    assert first is not None
    assert list(first.blocks) == found[:3]


async def test_nobody_owes_anything_to_himself(folder: Folder) -> None:
    farmer = folder.open(FARMER, "farmer")
    block = await farmer.append(CancelExchange(b"h" * 32, ""))
    await farmer.transact(lambda tx: tx.post(FARMER.public_key, block.hash))
    assert outbox.receivers(farmer.db) == []


async def test_linked_halves_are_found(folder: Folder) -> None:
    farmer, baker = folder.open(FARMER, "farmer"), folder.open(BAKER, "baker")
    mint = await farmer.append(Mint("bread", "loaf", 1, "", 0, None))
    await baker.ingest([mint])
    answer = await baker.transact(lambda tx: tx.append(CancelExchange(mint.hash, ""), link=mint))
    assert blocks.linked_to(baker.db, mint) == [answer]
    assert blocks.linked_to(baker.db, answer) == []
    assert blocks.at(baker.db, FARMER.public_key, 1) == [mint]


async def test_within_a_transaction_and_after_one_that_failed_the_head_is_what_is_stored(folder: Folder) -> None:
    ledger = folder.open(FARMER, "farmer")

    def three(tx: Transaction) -> tuple[int, BlockHash] | None:
        for at in range(3):
            tx.append(Profile(f"farmer {at}", ""))
        return blocks.head(tx.db, FARMER.public_key)

    def fail(tx: Transaction) -> None:
        three(tx)
        raise LookupError("a fault of the program")

    inside = await ledger.transact(three)
    with pytest.raises(LookupError):
        await ledger.transact(fail)

    assert inside == blocks.head(ledger.db, FARMER.public_key)
    assert blocks.first_gap(ledger.db, FARMER.public_key) == 4
    assert (await ledger.append(PROFILE)).sequence_number == 4


async def test_a_chain_that_comes_in_two_halves_is_known_as_far_as_it_has_no_gap(folder: Folder) -> None:
    farmer, baker = folder.open(FARMER, "farmer"), folder.open(BAKER, "baker")
    chain = await chain_of(farmer, 9)

    await baker.ingest([*chain[5:], *chain[:3]])
    assert (blocks.first_gap(baker.db, FARMER.public_key), blocks.head(baker.db, FARMER.public_key)) == (
        4,
        (9, chain[8].hash),
    )
    await baker.ingest(chain)
    assert blocks.first_gap(baker.db, FARMER.public_key) == 10
