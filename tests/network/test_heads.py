"""Heads: how far chains are known, kept up to date, compared by digest, told page by page."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import PUBLIC_PREFIX, PublicKey
from overlay.network.heads import KnownHeads, place
from overlay.network.messages import HEAD_BUCKETS, MAX_FORKS, MAX_HEADS, TIP_BYTES, AskHeads, BadMessage, Head, Heads
from overlay.network.telling import raw_chain, raw_forks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock, unpack
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import AdmitMember, Profile, encode
from tests.network.village import person

ME = person("farmer")
NOTHING = (bytes(8),) * HEAD_BUCKETS


def key_of(number: int) -> PublicKey:
    """A key that nobody has, for chains that nobody checks."""
    return PublicKey(PUBLIC_PREFIX + number.to_bytes(64))


def block(key: PublicKey, sequence: int, note: bytes = b"") -> HalfBlock:
    return HalfBlock(key, sequence, ANYONE, 0, GENESIS_HASH, b"note", note, 0)


def declaration(key: PublicKey, sequence: int, transaction: bytes) -> HalfBlock:
    return HalfBlock(key, sequence, ANYONE, 0, GENESIS_HASH, b"declare", transaction, 0)


class Shelf:
    """A ledger, the members whose chains it keeps, and their heads."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.db", ME, [], SystemClock(), SystemRandomness(), "NORMAL")
        self.members: set[PublicKey] = set()
        self.heads = KnownHeads(self.ledger, lambda: set(self.members))

    async def store(self, *blocks: HalfBlock) -> None:
        await self.ledger.transact(lambda tx: [tx.store(each) for each in blocks])

    def pages(self) -> list[Heads]:
        found = [self.heads.page(AskHeads(NOTHING))]
        while found[-1].more:
            found.append(self.heads.page(AskHeads(NOTHING, found[-1].heads[-1].key)))
        return found


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.heads.close()
    made.ledger.close()


async def test_a_head_counts_from_the_genesis_and_knows_the_highest(shelf: Shelf) -> None:
    key = key_of(1)
    assert shelf.heads.of(key) == Head(key, 0, 0, 0)
    await shelf.store(block(key, 1), block(key, 2), block(key, 4))
    assert shelf.heads.of(key) == Head(key, 2, 4, 0, block(key, 2).hash[:TIP_BYTES])
    await shelf.store(block(key, 3))
    assert shelf.heads.of(key) == Head(key, 4, 4, 0, block(key, 4).hash[:TIP_BYTES])


async def test_two_histories_of_one_length_are_told_apart(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, key = Shelf(tmp_path / "other"), key_of(1)
    for each, note in ((shelf, b"one"), (other, b"another")):
        each.members = {key}
        await each.store(block(key, 1, note))
    assert shelf.heads.digests() != other.heads.digests()
    (told,) = other.heads.page(AskHeads(shelf.heads.digests())).heads
    assert told.tip == block(key, 1, b"another").hash[:TIP_BYTES]
    other.heads.close()
    other.ledger.close()


async def test_a_chain_without_its_genesis_counts_nothing(shelf: Shelf) -> None:
    await shelf.store(block(key_of(1), 2), block(key_of(1), 3))
    assert shelf.heads.of(key_of(1)) == Head(key_of(1), 0, 3, 0)


async def test_proven_forks_are_counted_up_to_the_limit_and_their_proofs_told(shelf: Shelf) -> None:
    key = key_of(1)
    await shelf.store(*(block(key, at + 1, note) for at in range(MAX_FORKS + 2) for note in (b"a", b"b")))
    assert shelf.heads.of(key).forks == MAX_FORKS
    proofs = [unpack(raw) for raw in raw_forks(shelf.ledger.db, key)]
    assert [each.sequence_number for each in proofs] == [at + 1 for at in range(MAX_FORKS) for _ in "ab"]
    assert len({each.hash for each in proofs}) == 2 * MAX_FORKS


async def test_one_block_per_place_is_told_the_same_on_every_node(shelf: Shelf) -> None:
    key, rivals = key_of(1), [block(key_of(1), 2, bytes([number])) for number in range(5)]
    await shelf.store(block(key, 1), *rivals, block(key, 3))
    told = raw_chain(shelf.ledger.db, key, 1, 10, 10)
    assert [sequence for sequence, _ in told] == [1, 2, 3]
    assert unpack(told[1][1]) == min(rivals, key=lambda each: each.hash)
    assert [sequence for sequence, _ in raw_chain(shelf.ledger.db, key, 2, 10, 1)] == [2]


async def test_a_large_commons_is_told_page_by_page_each_head_once_and_in_order(shelf: Shelf) -> None:
    keys = [key_of(number) for number in range(2 * MAX_HEADS + 1)]
    shelf.members.update(keys)
    await shelf.store(*(block(key, 1) for key in keys))
    pages = shelf.pages()
    assert [len(page.heads) for page in pages] == [MAX_HEADS, MAX_HEADS, 1]
    told = [head.key for page in pages for head in page.heads]
    assert told == sorted(keys, key=place)


async def test_nothing_is_told_to_whoever_knows_the_same_and_only_what_moved_afterwards(shelf: Shelf) -> None:
    keys = [key_of(number) for number in range(500)]
    shelf.members.update(keys)
    await shelf.store(*(block(key, 1) for key in keys))
    before = shelf.heads.digests()
    assert shelf.heads.page(AskHeads(before)).heads == ()
    await shelf.store(block(keys[7], 2))
    told = [head.key for head in shelf.heads.page(AskHeads(before)).heads]
    assert keys[7] in told
    assert len(told) <= 500 / HEAD_BUCKETS + 1


async def test_a_new_member_is_noticed_with_the_declaration_that_admits_it(shelf: Shelf) -> None:
    assert shelf.heads.members() == set()
    shelf.members.add(key_of(1))
    await shelf.store(block(key_of(1), 1))
    assert shelf.heads.members() == set()
    await shelf.store(*(declaration(key_of(2), 1, each) for each in (b"", encode(Profile("baker", ""))[1])))
    assert shelf.heads.members() == set()
    await shelf.store(declaration(key_of(2), 2, encode(AdmitMember(key_of(1)))[1]))
    assert shelf.heads.members() == {key_of(1)}
    assert [head.key for head in shelf.heads.page(AskHeads(NOTHING)).heads] == [key_of(1)]


async def test_a_digest_of_another_length_is_refused(shelf: Shelf) -> None:
    with pytest.raises(BadMessage, match="a digest has 8 bytes"):
        shelf.heads.page(AskHeads((b"",) * HEAD_BUCKETS))


async def test_whoever_asks_behind_a_key_that_nobody_has_gets_what_comes_behind_it(shelf: Shelf) -> None:
    shelf.members.update({key_of(1), key_of(2)})
    await shelf.store(block(key_of(1), 1), block(key_of(2), 1))
    assert [head.key for head in shelf.heads.page(AskHeads(NOTHING, b"\x01")).heads] == [key_of(1), key_of(2)]
    assert shelf.heads.page(AskHeads(NOTHING, b"\xff" * 74)).heads == ()
