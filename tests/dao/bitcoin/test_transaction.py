"""Raw transactions from peers."""

import msgspec
import pytest
from bitcoin.core import CTransaction
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.bitcoin.amounts import MAX_MONEY, Sats
from overlay.dao.bitcoin.transaction import (
    MAX_TRANSACTION_BYTES,
    InvalidTransaction,
    Transaction,
    Txid,
    TxInput,
    TxOutput,
    parse,
    parse_txid,
    serialize,
    strip,
)

# The first payment ever made, in block 170 of mainnet.
FIRST_PAYMENT = (
    "0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402204e45e16932b8af"
    "514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4acdd12909d831cc56cbbac46220822"
    "21a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28"
    "414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a01"
    "6b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b"
    "412a3ac00000000"
)
FIRST_TXID = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"

numbers = st.integers(0, 0xFFFFFFFF)
inputs = st.builds(
    TxInput,
    txid=st.binary(min_size=32, max_size=32).map(lambda raw: Txid(raw.hex())),
    vout=numbers,
    script_sig=st.binary(max_size=40),
    sequence=numbers,
    witness=st.lists(st.binary(max_size=40), max_size=3).map(tuple),
)
outputs = st.builds(TxOutput, amount=st.integers(0, MAX_MONEY).map(Sats), script_pubkey=st.binary(max_size=40))
transactions = st.builds(
    Transaction,
    inputs=st.lists(inputs, min_size=1, max_size=4).map(tuple),
    outputs=st.lists(outputs, max_size=4).map(tuple),
    version=st.integers(-(2**31), 2**31 - 1),
    locktime=numbers,
)


def paying(script_bytes: int) -> bytes:
    source = TxInput(Txid("11" * 32), 0)
    return serialize(Transaction((source,), (TxOutput(Sats(1), bytes(script_bytes)),)))


@given(transactions)
def test_a_transaction_survives(transaction: Transaction) -> None:
    raw = serialize(transaction)
    assert parse(raw) == transaction
    assert CTransaction.deserialize(raw).serialize() == raw
    bare = serialize(strip(transaction))
    assert transaction.txid == strip(transaction).txid == parse(bare).txid
    assert transaction.weight == len(bare) * 3 + len(raw)
    assert transaction.vsize * 4 - transaction.weight in range(4)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_transaction_or_refused(raw: bytes) -> None:
    try:
        transaction = parse(raw)
    except InvalidTransaction:
        return
    assert serialize(transaction) == raw


@given(transactions, st.data())
def test_a_damaged_transaction_is_another_one_or_refused(transaction: Transaction, data: st.DataObject) -> None:
    raw = bytearray(serialize(transaction))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    for damaged in (bytes(raw), cut):
        try:
            assert serialize(parse(damaged)) == damaged
        except InvalidTransaction:
            continue


def test_the_first_payment_ever_has_its_known_id() -> None:
    transaction = parse(bytes.fromhex(FIRST_PAYMENT))
    assert transaction.txid == transaction.wtxid == FIRST_TXID
    assert transaction.outputs[0].amount == 10 * 100_000_000


@pytest.mark.parametrize("amount", [-1, MAX_MONEY + 1, 2**63 - 1, -(2**63)])
def test_an_impossible_amount_is_refused(amount: int) -> None:
    raw = paying(0).replace((1).to_bytes(8, "little"), amount.to_bytes(8, "little", signed=True))
    with pytest.raises(InvalidTransaction, match=str(amount)):
        parse(raw)


def test_one_transaction_has_one_encoding() -> None:
    raw = paying(5)
    assert parse(raw)
    # The same count of one input, written in three bytes.
    with pytest.raises(InvalidTransaction, match="canonical"):
        parse(raw[:4] + b"\xfd\x01\x00" + raw[5:])
    # A witness marker with an empty witness.
    with pytest.raises(InvalidTransaction, match="canonical"):
        parse(raw[:4] + b"\x00\x01" + raw[4:-4] + b"\x00" + raw[-4:])
    with pytest.raises(InvalidTransaction):
        parse(raw + b"\x00")


def test_the_longest_is_taken_and_one_byte_more_is_not() -> None:
    script = MAX_TRANSACTION_BYTES - len(paying(0)) - 4  # a length of five bytes instead of one
    assert len(paying(script)) == MAX_TRANSACTION_BYTES
    assert parse(paying(script))
    with pytest.raises(InvalidTransaction, match="longer than"):
        parse(paying(script + 1))


def test_a_claim_of_a_billion_inputs_is_refused_at_once() -> None:
    for count in (b"\xfe\x00\xca\x9a\x3b", b"\xff" + b"\xff" * 8):
        with pytest.raises(InvalidTransaction):
            parse(b"\x02\x00\x00\x00" + count + bytes(100))


@pytest.mark.parametrize("text", ["", "ab" * 31, "AB" * 32, "zz" * 32, "ab" * 33, "ab" * 32 + "\n"])
def test_what_is_no_transaction_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidTransaction):
        parse_txid(text)


def test_wire_types_are_frozen() -> None:
    with pytest.raises(AttributeError):
        parse(paying(0)).version = 1  # type: ignore[misc]
    assert msgspec.structs.replace(parse(paying(0)), version=1).version == 1
