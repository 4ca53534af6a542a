"""BIP340 signatures: the published rows, and agreement with libsecp256k1's own implementation."""

import coincurve
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.frost import bip340
from overlay.dao.frost.scalars import ORDER
from tests.dao.frost.published import Vector, rows

ROWS = rows("bip340", "test-vectors", lambda row: f"{row['index']}-{row['comment'] or 'plain'}")
SECKEY = bytes(31) + b"\x07"


@pytest.mark.parametrize("row", ROWS)
def test_a_published_signature_is_judged_as_published(row: Vector) -> None:
    pubkey, msg, signature = (bytes.fromhex(row[name]) for name in ("public key", "message", "signature"))
    assert bip340.schnorr_verify(msg, pubkey, signature) is (row["verification result"] == "TRUE")


@pytest.mark.parametrize("row", ROWS)
def test_a_published_secret_key_makes_the_published_signature(row: Vector) -> None:
    if not row["secret key"]:
        return
    seckey, msg, aux = (bytes.fromhex(row[name]) for name in ("secret key", "message", "aux_rand"))
    assert bip340.pubkey_gen(seckey).hex().upper() == row["public key"]
    assert bip340.schnorr_sign(msg, seckey, aux).hex().upper() == row["signature"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_signature_is_the_one_that_libsecp256k1_makes(secret: int, msg: bytes, aux: bytes) -> None:
    seckey = secret.to_bytes(32, "big")
    signature = bip340.schnorr_sign(msg, seckey, aux)
    assert signature == coincurve.PrivateKey(seckey).sign_schnorr(msg, aux)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 511))
def test_a_signature_with_one_bit_flipped_is_refused(msg: bytes, bit: int) -> None:
    signature = bip340.schnorr_sign(msg, SECKEY, bytes(32))
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert bip340.schnorr_verify(msg, bip340.pubkey_gen(SECKEY), signature)
    assert not bip340.schnorr_verify(msg, bip340.pubkey_gen(SECKEY), bytes(flipped))


def test_a_proof_under_another_tag_is_no_signature() -> None:
    proof = bip340.schnorr_sign(b"m", SECKEY, bytes(32), tag_prefix="BIP DKG/pop message")
    assert not bip340.schnorr_verify(b"m", bip340.pubkey_gen(SECKEY), proof)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    assert not bip340.schnorr_verify(b"m", bip340.pubkey_gen(SECKEY), bytes(size))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_public_key_of_another_length_is_refused(size: int) -> None:
    assert not bip340.schnorr_verify(b"m", bytes(size), bytes(64))


@pytest.mark.parametrize("seckey", [bytes(32), ORDER.to_bytes(32, "big"), bytes(31)])
def test_an_invalid_secret_key_signs_nothing(seckey: bytes) -> None:
    with pytest.raises(ValueError, match="secret scalar"):
        bip340.schnorr_sign(b"m", seckey, bytes(32))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_auxiliary_randomness_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, not {size}"):
        bip340.schnorr_sign(b"m", SECKEY, bytes(size))
