"""Chains become alike on all nodes, and a peer that lies, stalls or cheats gains nothing but being left aside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from overlay.keys import Identity, PublicKey
from overlay.network import comparison
from overlay.network import network as network_module
from overlay.network import sync as sync_module
from overlay.network.comparison import HEADS, MAX_EMPTY, RANGE, Comparison
from overlay.network.intake import MANY
from overlay.network.messages import (
    AskHeads,
    AskRange,
    Head,
    Heads,
    decode,
    encode,
    frames,
)
from overlay.network.network import CallFailed
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import Profile
from overlay.trustchain.statements import encode as encode_statement
from overlay.trustchain.store import StorageError
from overlay.trustchain.validation import Invalid
from tests.network.village import Host, person

LONG = 3 * MANY
MISLED = "comparison that misled us"


def chain_of(author: Identity, length: int, previous: BlockHash = GENESIS_HASH, first: int = 1) -> list[HalfBlock]:
    """A valid chain of profiles."""
    found: list[HalfBlock] = []
    for sequence in range(first, first + length):
        kind, transaction = encode_statement(Profile(f"{sequence}", ""))
        block = HalfBlock(author.public_key, sequence, ANYONE, 0, previous, kind, transaction, 0).signed_by(author)
        found.append(block)
        previous = block.hash
    return found


class Liar:
    """A member whose answers a test makes up: `heads` claims, `show` is what it sends for each range it is asked."""

    def __init__(self, host: Host) -> None:
        self.host, self.asked = host, list[AskRange]()
        self.pages = [Heads(())]
        self.show: Callable[[AskRange], list[HalfBlock]] = lambda ask: []
        host.network.serve(HEADS, self._tell_heads)
        host.network.serve_blocks(RANGE, self._tell_range)

    def claim(self, *heads: Head) -> None:
        self.pages = [Heads(heads)]

    async def _tell_heads(self, peer: PublicKey, payload: bytes) -> bytes:
        decode(payload, AskHeads)
        return encode(self.pages.pop(0) if len(self.pages) > 1 else self.pages[0])

    async def _tell_range(self, peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
        self.asked.append(decode(payload, AskRange))
        yield frames(block.pack() for block in self.show(self.asked[-1]))


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[list[Host]]:
    """Farmer, baker, mechanic: members of one commons who compare only when told to."""
    made = [Host(role, tmp_path) for role in ("farmer", "baker", "mechanic")]
    await made[0].found(*made[1:], syncing=False)
    yield made
    for host in made:
        await host.close()


async def grow(host: Host, length: int) -> None:
    await host.ledger.transact(lambda tx: [tx.append(Profile(f"{number}", "")) for number in range(length)])


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


# Chains that are not kept --------------------------------------------------------------------------------------------


def mixed_chain(author: Identity, length: int) -> list[HalfBlock]:
    """Every third block is a profile, the others are of a foreign type."""
    found: list[HalfBlock] = []
    previous = GENESIS_HASH
    for sequence in range(1, length + 1):
        kind, transaction = encode_statement(Profile(f"{sequence}", "")) if sequence % 3 == 0 else (b"note", b"")
        block = HalfBlock(author.public_key, sequence, ANYONE, 0, previous, kind, transaction, 0).signed_by(author)
        found.append(block)
        previous = block.hash
    return found


async def test_of_a_chain_that_is_not_kept_what_it_declares_is_fetched_once(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic = hosts
    await baker.ledger.ingest(mixed_chain(mechanic.identity, 200))
    baker.meet(farmer)
    farmer.meet(baker)
    farmer.sync.keeps = lambda key: key != mechanic.key
    for _ in range(2):
        await farmer.sync.with_peer(baker.key)
        kept = blocks.chain(farmer.ledger.db, mechanic.key, 1, 999, 999)
        assert [block.sequence_number for block in kept] == [at for at in range(1, 201) if at % 3 == 0]
    assert farmer.length(mechanic) == 0  # which is what it tells others
    asked = []
    fetch = Comparison._fetch
    monkeypatch.setattr(Comparison, "_fetch", lambda *args: asked.append(args) or fetch(*args))
    await farmer.sync.with_peer(baker.key)
    assert asked == []
    assert farmer.network.drops[MISLED] == 0

    farmer.sync.keeps = lambda key: True
    await farmer.sync.with_peer(baker.key)
    assert farmer.length(mechanic) == 200


async def test_who_does_not_keep_a_chain_gives_no_word_about_its_end(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    chain = chain_of(mechanic.identity, 3)
    await farmer.ledger.ingest(chain)
    farmer.sync.keeps = lambda key: False
    mechanic.meet(farmer)
    assert await mechanic.sync.holds_own(farmer.key, 2) == chain[1:]
    await mechanic.ledger.ingest(chain)
    for end in (3, 4):  # it may have come to know the block at the end by itself, with nothing behind it
        with pytest.raises(CallFailed, match="does not keep that chain"):
            await mechanic.sync.holds_own(farmer.key, end)
    mechanic.meet(baker)
    baker.meet(farmer)
    await baker.sync.with_peer(farmer.key)
    assert await mechanic.sync.holds_own(baker.key, 4) == []  # who keeps it may say so


async def test_who_does_not_keep_a_chain_still_shows_another_block_at_its_end(hosts: list[Host]) -> None:
    farmer, _, mechanic = hosts
    chain = chain_of(mechanic.identity, 3)
    await farmer.ledger.ingest(chain[2:])
    farmer.sync.keeps = lambda key: False
    mechanic.meet(farmer)
    await mechanic.ledger.ingest(chain[:2])
    await mechanic.ledger.append(Profile("another history", ""))
    assert await mechanic.sync.holds_own(farmer.key, 3) == chain[2:]


async def test_what_a_broken_line_kept_back_of_what_was_declared_is_asked_for_again(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic = hosts
    await baker.ledger.ingest(mixed_chain(mechanic.identity, 12))
    farmer.meet(baker)
    farmer.sync.keeps = lambda key: key != mechanic.key
    fetch, failures = Comparison._fetch, [CallFailed(baker.key, "the line broke")]

    async def over_a_bad_line(asking: Comparison, ask: AskRange) -> int:
        if failures:
            raise failures.pop()
        return await fetch(asking, ask)

    monkeypatch.setattr(Comparison, "_fetch", over_a_bad_line)
    await farmer.sync.with_peer(baker.key)
    assert blocks.chain(farmer.ledger.db, mechanic.key, 1, 99, 99) == []
    await farmer.sync.with_peer(baker.key)
    assert len(blocks.chain(farmer.ledger.db, mechanic.key, 1, 99, 99)) == 4


async def test_what_was_declared_and_could_not_be_stored_is_asked_for_again(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic = hosts
    await baker.ledger.ingest(mixed_chain(mechanic.identity, 12))
    farmer.meet(baker)
    farmer.sync.keeps = lambda key: key != mechanic.key

    async def full(_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(farmer.ledger, "transact", full)
        await farmer.sync.with_peer(baker.key)
    await farmer.sync.with_peer(baker.key)
    assert len(blocks.chain(farmer.ledger.db, mechanic.key, 1, 99, 99)) == 4


async def test_how_far_peers_were_asked_is_remembered_of_so_many_only(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic = hosts
    monkeypatch.setattr(comparison, "MAX_SKIMMED", 1)
    farmer.meet(baker)
    farmer.sync.keeps = lambda key: False
    chain = mixed_chain(mechanic.identity, 6)
    for known in (chain[:3], chain[3:]):
        await baker.ledger.ingest([*known, *chain_of(baker.identity, 2)])
        await farmer.sync.with_peer(baker.key)
        assert len(farmer.sync._shared.skimmed) <= 1


async def test_proofs_against_whom_is_not_kept_are_fetched_all_the_same(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    chain = mixed_chain(mechanic.identity, 4)
    kind, transaction = encode_statement(Profile("another history", ""))
    other = HalfBlock(mechanic.key, 2, ANYONE, 0, chain[0].hash, kind, transaction, 0).signed_by(mechanic.identity)
    await baker.ledger.ingest([*chain, other])
    farmer.meet(baker)
    farmer.sync.keeps = lambda key: False
    await farmer.sync.with_peer(baker.key)
    assert blocks.has_forked(farmer.ledger.db, mechanic.key)


@pytest.mark.parametrize("wrong", [slice(0, 1), slice(2, 1, -1), slice(8, 9)], ids=["kind", "twice", "place"])
async def test_something_else_than_what_was_declared_is_a_strike(hosts: list[Host], wrong: slice) -> None:
    farmer, baker, mechanic = hosts
    chain = mixed_chain(mechanic.identity, 12)
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 6, 6, 0))
    liar.show = lambda ask: [chain[2], *chain[wrong]]
    farmer.meet(baker)
    farmer.sync.keeps = lambda key: False
    await farmer.sync.with_peer(baker.key)
    assert liar.asked == [AskRange(mechanic.key, 1, 6, declares=True)]
    assert farmer.network.drops[MISLED] == 1


async def test_a_huge_claim_costs_one_question(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert liar.asked == [AskRange(mechanic.key, 1, 0xFFFFFFFF)]


async def test_a_false_charge_of_a_fork_costs_one_question_and_proves_nothing(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 0, 0, 64))
    liar.show = lambda ask: chain_of(mechanic.identity, 2)
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert not blocks.has_forked(farmer.ledger.db, mechanic.key)
    assert farmer.length(mechanic) == 2  # they are true blocks all the same


def _swap(found: list[HalfBlock]) -> list[HalfBlock]:
    return [found[1], found[0], *found[2:]]


def _forge(found: list[HalfBlock]) -> list[HalfBlock]:
    last = found[-1]
    forged = HalfBlock(last.public_key, last.sequence_number, ANYONE, 0, last.previous_hash, b"note", b"", 0, b"s" * 64)
    return [*found[:-1], forged]


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (lambda found: found[1:], 0),  # a gap at the beginning
        (lambda found: [*found[:2], *found[3:]], 0),  # a gap in the middle
        (_swap, 0),
        (lambda found: [found[0], *found], 0),  # one twice
        (lambda found: [*found[:2], *chain_of(person("stranger"), 1, first=3)], 0),
        (lambda found: [*found, *chain_of(person("mechanic"), 5, found[-1].hash, 5)], 0),  # more than was asked for
        (_forge, 3),
    ],
)
async def test_a_range_that_is_not_what_was_asked_for_is_a_strike(
    hosts: list[Host], spoil: Callable[[list[HalfBlock]], list[HalfBlock]], kept: int
) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, 4, 4, 0))
    liar.show = lambda ask: spoil(chain_of(mechanic.identity, 4))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert farmer.network.drops[MISLED] == 1
    assert farmer.length(mechanic) == kept
    assert farmer.length(person("stranger")) == 0


async def test_claims_of_many_chains_with_nothing_behind_them_are_a_strike(tmp_path: Path) -> None:
    farmer, baker, *crowd = [Host(role, tmp_path) for role in ("farmer", "baker", *map(str, range(MAX_EMPTY + 5)))]
    await farmer.found(baker, *crowd, syncing=False)
    liar = Liar(baker)
    keys = sorted((each.key for each in crowd), key=lambda key: (key[-1] % 64, key))
    liar.claim(*(Head(key, 9, 9, 0) for key in keys))
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert len(liar.asked) == MAX_EMPTY + 1
    assert farmer.network.drops[MISLED] == 1
    for host in (farmer, baker, *crowd):
        await host.close()


async def test_pages_of_heads_that_do_not_go_on_are_a_strike(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    liar = Liar(baker)
    liar.pages = [Heads((Head(mechanic.key, 0, 0, 0),), more=True)]
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert farmer.network.drops[MISLED] == 1


async def test_a_peer_that_always_fails_at_the_last_block_does_not_keep_the_others_from_giving_it(
    hosts: list[Host],
) -> None:
    farmer, baker, mechanic = hosts
    chain = chain_of(person("mechanic"), LONG)
    liar = Liar(baker)
    liar.claim(Head(mechanic.key, LONG, LONG, 0))
    liar.show = lambda ask: _forge(chain[ask.first - 1 :])
    farmer.meet(baker, mechanic)
    await mechanic.ledger.ingest(chain)
    for _ in range(3):
        await farmer.sync.with_peer(baker.key)
    assert farmer.length(mechanic) == LONG - 1
    assert [ask.first for ask in liar.asked] == [1, LONG - 1, LONG - 1]
    await farmer.sync.with_peer(mechanic.key)
    assert farmer.length(mechanic) == LONG


async def test_a_peer_with_strikes_waits_for_its_turn(hosts: list[Host]) -> None:
    farmer, baker, mechanic = hosts
    farmer.meet(baker, mechanic)
    sync = farmer.sync
    assert {sync._next_peer() for _ in range(4)} == {baker.key, mechanic.key}
    for _ in range(3):
        sync._strike(baker.key, ValueError("lied"))
    assert [sync._next_peer() for _ in range(12)].count(baker.key) == 0
    assert baker.key in [sync._next_peer() for _ in range(12)]


async def test_a_peer_that_drips_loses_its_turn_and_what_it_gave_is_kept(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic = hosts
    chain, first = chain_of(mechanic.identity, 2 * MANY), asyncio.Event()

    async def drip(peer: PublicKey, payload: bytes) -> AsyncIterator[bytes]:
        yield frames(block.pack() for block in chain[:MANY])
        first.set()
        await asyncio.Event().wait()  # for ever

    monkeypatch.setattr(sync_module, "TURN_SECONDS", 0.5)
    monkeypatch.setattr(comparison, "RANGE_PATIENCE", 60.0)
    Liar(baker).claim(Head(mechanic.key, 2 * MANY, 2 * MANY, 0))
    baker.network.serve_blocks(RANGE, drip)
    farmer.meet(baker)
    async with asyncio.timeout(20):
        await farmer.sync.with_peer(baker.key)
    assert first.is_set()
    assert farmer.length(mechanic) == MANY


async def test_a_chain_without_end_ends_with_the_turn(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    farmer, baker, mechanic = hosts
    monkeypatch.setattr(sync_module, "TURN_SECONDS", 0.5)
    chain = chain_of(mechanic.identity, 1)

    def more(ask: AskRange) -> list[HalfBlock]:
        while len(chain) < ask.first + 7:
            chain.extend(chain_of(mechanic.identity, 8, chain[-1].hash, len(chain) + 1))
        liar.claim(Head(mechanic.key, ask.last + 8, ask.last + 8, 0))
        return chain[ask.first - 1 : ask.last]

    liar = Liar(baker)
    liar.show = more
    liar.claim(Head(mechanic.key, 8, 8, 0))
    farmer.meet(baker)
    async with asyncio.timeout(10):
        await farmer.sync.with_peer(baker.key)
    assert 0 < farmer.length(mechanic) <= len(chain)  # it is a true chain, and there will be other turns


async def test_nonsense_is_a_strike_and_silence_is_none(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    farmer, baker, mechanic = hosts
    monkeypatch.setattr(network_module, "HELLO_SECONDS", 0.2)
    monkeypatch.setattr(comparison, "PATIENCE_SECONDS", 0.2)

    async def nonsense(peer: PublicKey, payload: bytes) -> bytes:
        return b"\xc1"

    baker.network.serve(HEADS, nonsense)
    farmer.meet(baker)
    await farmer.sync.with_peer(baker.key)
    assert farmer.network.drops[MISLED] == 1
    await mechanic.network.close()
    await farmer.sync.with_peer(mechanic.key)
    assert farmer.network.drops[MISLED] == 1


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


async def test_a_forged_block_of_our_own_is_not_noticed(hosts: list[Host]) -> None:
    _, baker, _ = hosts
    seen: list[HalfBlock] = []
    baker.sync.watch_own(seen.append)
    refused = await baker.sync.take(_forge(chain_of(baker.identity, 1)))
    assert len(refused) == 1
    assert seen == []


async def test_many_blocks_are_judged_as_few_are(hosts: list[Host]) -> None:
    farmer, _, mechanic = hosts
    chain = chain_of(mechanic.identity, LONG)
    spoiled = [*_forge(chain[:7]), *chain[7:]]
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
