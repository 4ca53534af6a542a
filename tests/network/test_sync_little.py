"""Chains that are not kept: what they declare is fetched once, and proofs against their keys."""

import pytest

from overlay.keys import Identity
from overlay.network import comparison
from overlay.network.comparison import Comparison
from overlay.network.messages import (
    AskRange,
    Head,
)
from overlay.network.network import CallFailed
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.statements import Profile
from overlay.trustchain.statements import encode as encode_statement
from overlay.trustchain.store import StorageError
from tests.network.comparing import MISLED, Liar, chain_of
from tests.network.village import Host


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
