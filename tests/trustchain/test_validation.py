"""Whether a block is stored depends on the block alone, and each refusal names the culprit and the fault."""

from dataclasses import replace

import pytest

from overlay.keys import PUBLIC_PREFIX, Identity, PublicKey
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.validation import Fault, Invalid, check

FARMER, BAKER = Identity.from_seed(b"f" * 64), Identity.from_seed(b"b" * 64)
BEFORE = BlockHash(b"p" * 32)


def block(
    number: int = 1,
    previous: BlockHash = GENESIS_HASH,
    link: PublicKey = ANYONE,
    link_number: int = 0,
    signer: Identity = FARMER,
) -> HalfBlock:
    return HalfBlock(signer.public_key, number, link, link_number, previous, b"test", b"", 0).signed_by(signer)


@pytest.mark.parametrize(
    "valid",
    [
        block(),
        block(2, BEFORE),
        block(2, BEFORE, BAKER.public_key),
        block(2, BEFORE, BAKER.public_key, 9),
        block(2, BEFORE, FARMER.public_key, 1),  # the kotlin apps answer their own blocks
        block(0xFFFFFFFF, BEFORE),
    ],
)
def test_a_well_made_block_is_valid_whatever_is_known_beside_it(valid: HalfBlock) -> None:
    assert check(valid) is None


@pytest.mark.parametrize(
    ("invalid", "fault"),
    [
        (block(0, BEFORE), Fault.SEQUENCE),
        (block(1, BEFORE), Fault.GENESIS),
        (block(2, GENESIS_HASH), Fault.GENESIS),
        (block(2, BEFORE, ANYONE, 3), Fault.LINK_TO_ANYONE),
        (replace(block(), transaction=b"more"), Fault.SIGNATURE),
        (replace(block(), signature=bytes(64)), Fault.SIGNATURE),
        (replace(block(signer=BAKER), public_key=FARMER.public_key), Fault.SIGNATURE),
    ],
)
def test_a_refusal_names_the_culprit_and_the_first_fault(invalid: HalfBlock, fault: Fault) -> None:
    verdict = check(invalid)
    assert verdict == Invalid(FARMER.public_key, invalid.sequence_number, fault)
    assert fault.value in str(verdict)


def test_a_key_of_small_order_signs_nothing() -> None:
    # The neutral element: (R = 0, S = 0) would verify for every message where small orders are not refused.
    weak = PublicKey(PUBLIC_PREFIX + bytes(32) + b"\x01" + bytes(31))
    forged = replace(block(), public_key=weak, signature=b"\x01" + bytes(63))
    assert check(forged) == Invalid(weak, 1, Fault.SIGNATURE)


def test_a_signature_with_a_larger_scalar_than_the_group_order_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    good = block()
    scalar = int.from_bytes(good.signature[32:], "little") + order
    assert check(replace(good, signature=good.signature[:32] + scalar.to_bytes(32, "little"))) is not None
