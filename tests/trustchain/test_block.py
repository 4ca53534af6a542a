"""Half-blocks: the bytes of TrustChain, their links, and what is refused as no block at all."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.keys import Identity
from overlay.trustchain.block import (
    ANYONE,
    FIXED_BYTES,
    GENESIS_HASH,
    MAX_BLOCK_BYTES,
    MAX_CONTENT_BYTES,
    MAX_TYPE_BYTES,
    UNSIGNED,
    BlockHash,
    HalfBlock,
    MalformedBlock,
    stored,
    unpack,
)

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "trustchain.json"
FARMER, BAKER = Identity.from_seed(b"f" * 64), Identity.from_seed(b"b" * 64)


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    if not VECTORS.exists():
        pytest.skip("the published vectors are not beside this repository")
    return json.loads(VECTORS.read_text())  # type: ignore[no-any-return]


def half(
    number: int = 1, previous: BlockHash = GENESIS_HASH, *, transaction: bytes = b"bread", kind: bytes = b"test"
) -> HalfBlock:
    """The farmer's block at a place, addressed to nobody."""
    return HalfBlock(FARMER.public_key, number, ANYONE, 0, previous, kind, transaction, 1_000).signed_by(FARMER)


def test_the_bytes_are_those_of_kotlin_ipv8(vectors: dict[str, Any]) -> None:
    golden = vectors["kotlin_half_block_sign"]
    signer = Identity.from_secret(bytes.fromhex(golden["private_key_bin"]))
    block = HalfBlock(
        signer.public_key, 1, ANYONE, 0, GENESIS_HASH, b"test", golden["raw_transaction_ascii"].encode(), 0
    )
    assert block.pack(signature=False).hex() == golden["message_with_empty_sig"]
    signed = block.signed_by(signer)
    assert signed.signature.hex() == golden["signature"]
    assert signed.hash.hex() == golden["derived_here_not_in_source"]["sha256_of_signed_block"]
    assert signed.has_valid_signature()
    assert unpack(signed.pack()) == signed


def test_the_hash_of_an_empty_block_is_that_of_py_ipv8(vectors: dict[str, Any]) -> None:
    golden = vectors["py_ipv8_empty_block_hash"]
    # All defaults there: the key and the link are 74 ASCII zeros, the signature 64.
    empty = HalfBlock(ANYONE, 1, ANYONE, 0, GENESIS_HASH, b"unknown", b"a0d", 0)
    assert empty.hash.hex() == golden["sha256"]


def test_a_key_pair_of_kotlin_ipv8_is_ours(vectors: dict[str, Any]) -> None:
    golden = vectors["kotlin_test_identity"]
    signer = Identity.from_seed(bytes.fromhex(golden["private_key"] + golden["sign_seed"]))
    assert signer.public_key.hex() == golden["public_key_bin(appears in CommunityTest packets)"]


def test_a_first_block_has_number_one_and_no_predecessor() -> None:
    first = half()
    assert first.is_genesis
    assert first.previous_hash == GENESIS_HASH
    assert not first.is_agreement


def test_a_next_block_names_the_hash_of_the_one_before() -> None:
    first = half()
    second = half(2, first.hash)
    assert second.previous_hash == first.hash
    assert not second.is_genesis


def test_an_answer_links_to_the_key_and_number_of_what_it_answers() -> None:
    asked = half(7, BlockHash(b"p" * 32))
    answer = HalfBlock(BAKER.public_key, 1, asked.public_key, 7, GENESIS_HASH, b"test", b"yes", 0).signed_by(BAKER)
    assert answer.is_agreement
    assert (answer.link_public_key, answer.link_sequence_number) == (FARMER.public_key, 7)


def test_a_packed_block_unpacks_to_the_same_block_with_the_same_hash() -> None:
    block = half()
    again = unpack(block.pack())
    assert again == block
    assert again.hash == block.hash
    assert again.pack() == block.pack()
    assert again.pack(signature=False) == block.pack(signature=False)


def test_the_signature_covers_everything_but_itself() -> None:
    block = half()
    assert block.has_valid_signature()
    changes: list[dict[str, Any]] = [
        {"public_key": BAKER.public_key},
        {"sequence_number": 2},
        {"link_public_key": BAKER.public_key},
        {"link_sequence_number": 1},
        {"previous_hash": b"q" * 32},
        {"type": b"tesu"},
        {"transaction": b"breae"},
        {"timestamp": 1_001},
        {"signature": bytes(64)},
    ]
    for change in changes:
        changed = replace(block, **change)
        assert not changed.has_valid_signature(), change
        assert changed.hash != block.hash
    assert block.pack(signature=False)[188:252] == UNSIGNED


def test_a_changed_copy_has_a_hash_of_its_own() -> None:
    block = half()
    assert block.hash == unpack(block.pack()).hash
    assert replace(block, timestamp=5).hash != block.hash


def test_only_its_own_key_signs_a_block() -> None:
    with pytest.raises(ValueError, match="key that it names"):
        half().signed_by(BAKER)


@pytest.mark.parametrize(
    ("kind", "transaction"),
    [(b"", b""), (b"k" * MAX_TYPE_BYTES, b"t" * (MAX_CONTENT_BYTES - MAX_TYPE_BYTES)), (b"", b"t" * MAX_CONTENT_BYTES)],
)
def test_a_block_at_the_limit_is_taken(kind: bytes, transaction: bytes) -> None:
    block = half(transaction=transaction, kind=kind)
    assert unpack(block.pack()) == block


@pytest.mark.parametrize(
    ("kind", "transaction"),
    [
        (b"k" * (MAX_TYPE_BYTES + 1), b""),
        (b"k" * MAX_TYPE_BYTES, b"t" * (MAX_CONTENT_BYTES - MAX_TYPE_BYTES + 1)),
        (b"", b"t" * (MAX_CONTENT_BYTES + 1)),
    ],
)
def test_a_block_one_byte_over_the_limit_is_refused(kind: bytes, transaction: bytes) -> None:
    with pytest.raises(MalformedBlock):
        unpack(half(transaction=transaction, kind=kind).pack())


def test_numbers_and_times_at_the_limits_of_the_format_survive() -> None:
    block = HalfBlock(
        FARMER.public_key, 0xFFFFFFFF, BAKER.public_key, 0xFFFFFFFF, BlockHash(b"p" * 32), b"t", b"", (1 << 64) - 1
    ).signed_by(FARMER)
    assert unpack(block.pack()) == block


def test_a_block_ends_where_its_timestamp_ends() -> None:
    packed = half().pack()
    for wrong in (packed[:-1], packed + b"\x00", packed[: FIXED_BYTES - 1], b"", packed + bytes(MAX_BLOCK_BYTES)):
        with pytest.raises(MalformedBlock):
            unpack(wrong)


def test_keys_must_be_member_keys_and_the_link_may_be_nobody() -> None:
    packed = bytearray(half().pack())
    packed[0] ^= 1
    with pytest.raises(MalformedBlock, match="public key"):
        unpack(bytes(packed))
    packed = bytearray(half().pack())
    packed[78] ^= 1
    with pytest.raises(MalformedBlock, match="link key"):
        unpack(bytes(packed))


@settings(deadline=None)
@given(st.binary(max_size=MAX_BLOCK_BYTES + 8))
def test_random_bytes_are_no_block_or_one_that_packs_to_the_same(raw: bytes) -> None:
    try:
        block = unpack(raw)
    except MalformedBlock:
        return
    assert block.pack() == raw


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_a_damaged_block_is_refused_or_has_no_valid_signature(chance: random.Random, hits: int) -> None:
    good = half().pack()
    raw = bytearray(good)
    for _ in range(hits):
        match chance.randrange(3):
            case 0:
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            case 1:
                del raw[chance.randrange(len(raw))]
            case _:
                raw.insert(chance.randrange(len(raw)), chance.randrange(256))
    try:
        block = unpack(bytes(raw))
    except MalformedBlock:
        return
    assert block.pack() == bytes(raw)
    assert bytes(raw) == good or not block.has_valid_signature()


def test_a_block_that_was_kept_in_pieces_is_the_one_that_was_unpacked() -> None:
    for transaction in (b"", b"bread", b"x" * (MAX_CONTENT_BYTES - 4)):
        block = half(7, BlockHash(b"p" * 32), transaction=transaction)
        key, link = block.public_key, block.link_public_key

        kept = stored(key, block.sequence_number, link, block.link_sequence_number, block.pack()[2 * 78 :])

        assert kept == unpack(block.pack())
        assert (kept.pack(), kept.hash) == (block.pack(), block.hash)
        assert kept.has_valid_signature()
