"""Partially signed transactions: what is written is read, and nothing that was tampered with is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.bitcoin import payment, psbt, taproot
from overlay.dao.bitcoin.amounts import MAX_MONEY, Sats
from overlay.dao.bitcoin.payment import Payee, PaymentError
from overlay.dao.bitcoin.psbt import InvalidPsbt, from_psbt, signatures_for, to_psbt
from overlay.dao.bitcoin.psbt_maps import compact_size, write_map
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput, serialize
from tests.dao.bitcoin.helpers import Purse, coin

TREASURY, FARMER = Purse("treasury"), Purse("farmer")
COINS = [coin(number, 60_000, TREASURY.script) for number in (1, 2)]
UNSIGNED = payment.build(COINS, [Payee(FARMER.script, Sats(100_000))], 2, TREASURY.script)
SIGNATURES = [TREASURY.signature(each) for each in UNSIGNED.sighashes]
RAW = to_psbt(UNSIGNED, TREASURY.internal_key)
OUTPUT = taproot.serialize_output(COINS[0].output)
SOURCE = Transaction((TxInput(Txid("ab" * 32), 0, b"\x51"),), (COINS[0].output,))
SPENDING = Transaction((TxInput(SOURCE.txid, 0),), (TxOutput(Sats(59_000), FARMER.script),))


def written(*fields: tuple[int, bytes], transaction: Transaction = SPENDING) -> bytes:
    """A PSBT with one input of `fields`."""
    return psbt.MAGIC + write_map([(psbt.UNSIGNED_TX, serialize(transaction))]) + write_map(fields) + write_map([])


def test_a_payment_is_read_as_it_was_written() -> None:
    found = from_psbt(RAW)
    assert found.transaction == UNSIGNED.transaction
    assert [each.spent for each in found.inputs] == [each.output for each in UNSIGNED.coins]
    assert {each.internal_key for each in found.inputs} == {TREASURY.internal_key}
    assert {each.signature for each in found.inputs} == {None}
    with pytest.raises(InvalidPsbt, match="2 of 2 inputs are not signed"):
        signatures_for(found, UNSIGNED)


def test_signatures_travel_with_it() -> None:
    signed = from_psbt(to_psbt(UNSIGNED, TREASURY.internal_key, SIGNATURES))
    assert signatures_for(signed, UNSIGNED) == SIGNATURES
    assert payment.attach_signatures(UNSIGNED, signatures_for(signed, UNSIGNED)) == TREASURY.sign(UNSIGNED)


def test_a_forged_signature_is_found_when_it_is_attached() -> None:
    forged = from_psbt(to_psbt(UNSIGNED, TREASURY.internal_key, [SIGNATURES[0], bytes(64)]))
    with pytest.raises(PaymentError, match="input 1"):
        payment.attach_signatures(UNSIGNED, signatures_for(forged, UNSIGNED))


def test_another_transaction_or_other_coins_are_refused() -> None:
    other = payment.build(COINS, [Payee(FARMER.script, Sats(99_999))], 2, TREASURY.script)
    with pytest.raises(InvalidPsbt, match="another one"):
        signatures_for(from_psbt(to_psbt(other, TREASURY.internal_key, SIGNATURES)), UNSIGNED)
    richer = payment.read(UNSIGNED.raw, [coin(n, 70_000, TREASURY.script) for n in (1, 2)], TREASURY.script)
    with pytest.raises(InvalidPsbt, match="other amounts"):
        signatures_for(from_psbt(to_psbt(richer, TREASURY.internal_key, SIGNATURES)), UNSIGNED)


def test_only_the_key_of_the_coins_and_a_signature_for_each_are_written() -> None:
    with pytest.raises(InvalidPsbt, match="not that of the coins"):
        to_psbt(UNSIGNED, FARMER.internal_key)
    with pytest.raises(InvalidPsbt, match="as many signatures"):
        to_psbt(UNSIGNED, TREASURY.internal_key, SIGNATURES[:1])


def test_the_spent_output_may_be_told_once_or_twice_the_same() -> None:
    whole = (psbt.NON_WITNESS_UTXO, serialize(SOURCE))
    for fields in ([whole], [(psbt.WITNESS_UTXO, OUTPUT)], [whole, (psbt.WITNESS_UTXO, OUTPUT)]):
        assert from_psbt(written(*fields)).inputs[0].spent == COINS[0].output


OTHER_OUTPUT = taproot.serialize_output(TxOutput(Sats(60_001), TREASURY.script))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(psbt.WITNESS_UTXO, b"")],
        [(psbt.WITNESS_UTXO, OUTPUT[:-1])],
        [(psbt.WITNESS_UTXO, OUTPUT + b"\x00")],
        [(psbt.WITNESS_UTXO, (MAX_MONEY + 1).to_bytes(8, "little") + OUTPUT[8:])],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.WITNESS_UTXO, OUTPUT)],
        [(psbt.NON_WITNESS_UTXO, serialize(SPENDING))],
        [(psbt.NON_WITNESS_UTXO, b"")],
        [(psbt.NON_WITNESS_UTXO, serialize(SOURCE)), (psbt.WITNESS_UTXO, OTHER_OUTPUT)],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.TAP_KEY_SIG, bytes(63))],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.TAP_KEY_SIG, bytes(65))],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.TAP_INTERNAL_KEY, bytes(33))],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.TAP_MERKLE_ROOT, bytes(32))],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.SIGHASH_TYPE, bytes([3, 0, 0, 0]))],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.FINAL_WITNESS, b"\x02\x40" + bytes(64))],
        [(psbt.WITNESS_UTXO, OUTPUT), (psbt.FINAL_WITNESS, b"\x01\x40" + bytes(63))],
        [(psbt.WITNESS_UTXO, OUTPUT), (0x0E, bytes(32))],
        [(psbt.WITNESS_UTXO, OUTPUT), (0x7F, b"")],
    ],
    ids=range(18),
)
def test_an_input_that_misleads_is_refused(fields: list[tuple[int, bytes]]) -> None:
    with pytest.raises(InvalidPsbt):
        from_psbt(written(*fields))


def test_a_transaction_that_is_signed_or_spends_nothing_is_refused() -> None:
    for transaction in (
        SOURCE,
        Transaction((TxInput(SOURCE.txid, 0, witness=(bytes(64),)),), SPENDING.outputs),
    ):
        with pytest.raises(InvalidPsbt, match="signatures already"):
            from_psbt(written((psbt.WITNESS_UTXO, OUTPUT), transaction=transaction))
    for nothing in (b"", bytes(10)):
        with pytest.raises(InvalidPsbt):
            from_psbt(psbt.MAGIC + write_map([(psbt.UNSIGNED_TX, nothing)]))


@pytest.mark.parametrize("version", [bytes([2, 0, 0, 0]), b"", bytes(5)])
def test_another_version_is_refused(version: bytes) -> None:
    fields = [(psbt.UNSIGNED_TX, serialize(SPENDING)), (psbt.VERSION, version)]
    with pytest.raises(InvalidPsbt, match="version 0"):
        from_psbt(psbt.MAGIC + write_map(fields) + write_map([(psbt.WITNESS_UTXO, OUTPUT)]) + write_map([]))


@pytest.mark.parametrize("end", range(len(RAW)))
def test_what_is_cut_off_is_refused(end: int) -> None:
    with pytest.raises(InvalidPsbt):
        from_psbt(RAW[:end])


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidPsbt, match="something follows"):
        from_psbt(RAW + b"\x00")
    with pytest.raises(InvalidPsbt, match="no partially signed"):
        from_psbt(RAW.ljust(psbt.MAX_PSBT_BYTES + 1, b"\x00"))


def test_a_length_has_one_encoding() -> None:
    wasteful = psbt.MAGIC + b"\xfd\x01\x00" + RAW[len(psbt.MAGIC) + 1 :]
    with pytest.raises(InvalidPsbt, match="longer than it needs"):
        from_psbt(wasteful)
    with pytest.raises(InvalidPsbt, match="ends too early"):
        from_psbt(psbt.MAGIC + b"\xff" + b"\xff" * 8)


@given(st.integers(0, 2**64 - 1))
def test_a_compact_size_says_its_own_length(number: int) -> None:
    encoded = compact_size(number)
    width = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(encoded[0], 0)
    assert len(encoded) == 1 + width
    assert int.from_bytes(encoded[1:] or encoded, "little") == number


SIGNED = to_psbt(UNSIGNED, TREASURY.internal_key, SIGNATURES)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_a_changed_byte_never_changes_what_is_paid(position: int, change: int) -> None:
    damaged = bytearray(SIGNED)
    damaged[position] ^= change
    try:
        raw = payment.attach_signatures(UNSIGNED, signatures_for(from_psbt(bytes(damaged)), UNSIGNED))
    except (InvalidPsbt, PaymentError):
        return
    # Only a key that is told beside the coin has no part in the payment.
    assert raw == TREASURY.sign(UNSIGNED)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_one_way(content: bytes) -> None:
    for raw in (content, psbt.MAGIC + content, RAW[:60] + content):
        with pytest.raises(InvalidPsbt):
            from_psbt(raw)
