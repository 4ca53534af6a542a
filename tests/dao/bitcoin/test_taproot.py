"""BIP341's published vectors, and what lies beyond them."""

import json
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from overlay.dao.bitcoin import address, taproot
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.taproot import InvalidTaproot, SighashType
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput, parse

VECTORS = Path(__file__).parents[4] / "shared/vectors/bip341/wallet-test-vectors.json"
SPEND: dict[str, Any] = {}
OUTPUTS: list[dict[str, Any]] = []
if VECTORS.exists():
    LOADED = json.loads(VECTORS.read_text())
    SPEND, OUTPUTS = LOADED["keyPathSpending"][0], LOADED["scriptPubKey"]

needs_vectors = pytest.mark.skipif(not OUTPUTS, reason=f"the BIP341 vectors are not at {VECTORS}")


def raw(value: str | None) -> bytes:
    return bytes.fromhex(value or "")


def spent_outputs() -> list[TxOutput]:
    return [TxOutput(Sats(u["amountSats"]), raw(u["scriptPubKey"])) for u in SPEND["given"]["utxosSpent"]]


@needs_vectors
@pytest.mark.parametrize("case", OUTPUTS, ids=range(len(OUTPUTS)))
def test_an_internal_key_becomes_the_published_output(case: dict[str, Any]) -> None:
    internal, root = raw(case["given"]["internalPubkey"]), raw(case["intermediary"].get("merkleRoot"))
    assert taproot.tap_tweak(internal, root) == raw(case["intermediary"]["tweak"])
    key = taproot.output_key(internal, root)
    assert key.key == raw(case["intermediary"]["tweakedPubkey"])
    script = taproot.script_pubkey(key.key)
    assert script == raw(case["expected"]["scriptPubKey"])
    assert address.encode(script, Network.MAINNET) == case["expected"]["bip350Address"]
    assert address.decode(case["expected"]["bip350Address"], Network.MAINNET) == script
    # A control block begins with the leaf version and the parity of the output key.
    for block in case["expected"].get("scriptPathControlBlocks", []):
        assert raw(block)[0] & 1 == key.parity


@needs_vectors
@pytest.mark.parametrize("case", SPEND.get("inputSpending", []), ids=lambda case: f"input {case['given']['txinIndex']}")
def test_an_input_is_signed_as_published(case: dict[str, Any]) -> None:
    given, expected = case["given"], case["intermediary"]
    transaction = parse(raw(SPEND["given"]["rawUnsignedTx"]))
    secret, root = raw(given["internalPrivkey"]), raw(given["merkleRoot"])
    assert PrivateKey(secret).public_key_xonly.format() == raw(expected["internalPubkey"])
    tweaked = taproot.tweak_secret(secret, root)
    assert tweaked == raw(expected["tweakedPrivkey"])
    arguments = (transaction, spent_outputs(), given["txinIndex"], SighashType(given["hashType"]))
    assert taproot.signature_message(*arguments) == raw(expected["sigMsg"])
    sighash = taproot.signature_hash(*arguments)
    assert sighash == raw(expected["sigHash"])
    # The published signatures were made with 32 zero bytes of auxiliary randomness.
    signature = PrivateKey(tweaked).sign_schnorr(sighash, bytes(32))
    suffix = bytes([given["hashType"]] if given["hashType"] else [])
    assert [signature + suffix] == [raw(item) for item in case["expected"]["witness"]]
    key = taproot.output_key(raw(expected["internalPubkey"]), root)
    assert taproot.verify(key.key, sighash, signature)


@needs_vectors
def test_the_shared_hashes_are_the_published_ones() -> None:
    message = taproot.signature_message(
        parse(raw(SPEND["given"]["rawUnsignedTx"])), spent_outputs(), 0, SighashType.ALL
    )
    # Epoch, hash type, version and lock time take ten bytes; the five hashes follow.
    names = ("hashPrevouts", "hashAmounts", "hashScriptPubkeys", "hashSequences", "hashOutputs")
    assert message[10:170] == b"".join(raw(SPEND["intermediary"][name]) for name in names)


@needs_vectors
def test_the_signed_transaction_has_the_published_witnesses() -> None:
    signed = parse(raw(SPEND["auxiliary"]["fullySignedTx"]))
    for case in SPEND["inputSpending"]:
        witness = signed.inputs[case["given"]["txinIndex"]].witness
        assert list(witness) == [raw(item) for item in case["expected"]["witness"]]


def test_single_without_a_matching_output_is_refused() -> None:
    inputs = tuple(TxInput(Txid("11" * 32), n) for n in range(2))
    transaction = Transaction(inputs, (TxOutput(Sats(1), b"\x51"),))
    spent = [TxOutput(Sats(2), b"\x51")] * 2
    taproot.signature_message(transaction, spent, 0, SighashType.SINGLE)
    with pytest.raises(InvalidTaproot, match="input 1 has no output"):
        taproot.signature_message(transaction, spent, 1, SighashType.SINGLE)


def test_a_signature_hash_needs_every_spent_output() -> None:
    transaction = Transaction((TxInput(Txid("11" * 32), 0),), ())
    with pytest.raises(InvalidTaproot):
        taproot.signature_hash(transaction, [], 0)
    with pytest.raises(InvalidTaproot):
        taproot.signature_hash(transaction, [TxOutput(Sats(2), b"\x51")], 1)


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, bytes(31), bytes(33), b""])
def test_what_is_no_key_has_no_output(key: bytes) -> None:
    with pytest.raises(InvalidTaproot):
        taproot.output_key(key)


def test_verification_never_raises() -> None:
    assert not taproot.verify(b"\xff" * 32, bytes(32), bytes(64))
    assert not taproot.verify(bytes(31), bytes(32), bytes(64))
    assert not taproot.verify(PrivateKey.from_int(1).public_key_xonly.format(), bytes(32), bytes(63))
