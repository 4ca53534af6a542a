"""Our own judgement of a payment agrees with that of the mempool, whose scripts Bitcoin Core's code checks."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from overlay.dao.bitcoin import acceptance, taproot
from overlay.dao.bitcoin.acceptance import Rival, Spent, Surroundings
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.backend import Rejected
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.regtest.chain import RegtestChain, open_chain
from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.taproot import SighashType
from overlay.dao.bitcoin.transaction import FINAL, Transaction, TxInput, TxOutput, parse
from tests.dao.bitcoin.helpers import Purse

NOW = 1_700_000_000
MINER, FARMER = Purse("miner"), Purse("farmer")
PAID = Sats(50 * 100_000_000 - 1_000)


@pytest.fixture
def chain(folder: Path) -> Iterator[RegtestChain]:
    opened = open_chain(folder, NOW)
    for _ in range(102):
        opened.mine(MINER.script, NOW)
    yield opened
    opened.close()


def coins_of(chain: RegtestChain, *heights: int) -> list[Coin]:
    mined = [chain.block(chain.kernel.block_hash(height)).transactions[0] for height in heights]
    return [
        Coin(each.txid, 0, each.outputs[0].amount, MINER.script, height)
        for each, height in zip(mined, heights, strict=True)
    ]


def judged(chain: RegtestChain, transaction: Transaction, coins: list[Coin], *rivals: Rival) -> str:
    """Our verdict: the reason, or nothing."""
    spent = [Spent(coin.output, coin.height, coinbase=True) for coin in coins]
    median_time = chain.index.median_time(chain.height)
    try:
        acceptance.check(transaction, Surroundings(spent, rivals, chain.height, median_time))
    except Rejected as refusal:
        return refusal.reason
    return ""


def of_the_mempool(chain: RegtestChain, transaction: Transaction) -> str:
    try:
        chain.mempool.test(transaction, NOW)
    except Refused as refusal:
        return refusal.reason
    return ""


def signed(coins: list[Coin], hash_type: SighashType, *outputs: TxOutput, named: bool = True) -> Transaction:
    inputs = tuple(TxInput(each.txid, each.vout, sequence=FINAL) for each in coins)
    unsigned = Transaction(inputs, outputs)
    spent = [each.output for each in coins]
    witnesses = [
        MINER.signature(taproot.signature_hash(unsigned, spent, index, hash_type)) + bytes([hash_type] * named)
        for index in range(len(coins))
    ]
    pairs = zip(inputs, witnesses, strict=True)
    return msgspec.structs.replace(
        unsigned, inputs=tuple(msgspec.structs.replace(each, witness=(witness,)) for each, witness in pairs)
    )


def with_witness(transaction: Transaction, *witness: bytes) -> Transaction:
    first = msgspec.structs.replace(transaction.inputs[0], witness=witness)
    return msgspec.structs.replace(transaction, inputs=(first, *transaction.inputs[1:]))


@pytest.mark.parametrize("hash_type", [each for each in SighashType if each])
def test_signatures_over_everything_or_less_are_judged_as_by_bitcoin_core(
    chain: RegtestChain, hash_type: SighashType
) -> None:
    coins = coins_of(chain, 1, 2)
    good = signed(coins, hash_type, TxOutput(PAID, FARMER.script), TxOutput(PAID, FARMER.script))
    assert judged(chain, good, coins) == of_the_mempool(chain, good) == ""
    (signature,) = good.inputs[0].witness
    for bad in (signature[:64], signature[:63] + b"\x00" + signature[64:], signature[:64] + b"\x00", signature[1:]):
        wrong = with_witness(good, bad)
        for verdict in (judged(chain, wrong, coins), of_the_mempool(chain, wrong)):
            assert "script-verify-flag-failed" in verdict


@pytest.mark.parametrize("witness", [(), (b"",), (bytes(64),), (bytes(64) + b"\x04",), (bytes(66),)], ids=len)
def test_what_is_no_signature_is_judged_as_by_bitcoin_core(chain: RegtestChain, witness: tuple[bytes, ...]) -> None:
    coins = coins_of(chain, 1)
    wrong = with_witness(signed(coins, SighashType.DEFAULT, TxOutput(PAID, FARMER.script), named=False), *witness)
    for verdict in (judged(chain, wrong, coins), of_the_mempool(chain, wrong)):
        assert "script-verify-flag-failed" in verdict


def test_the_default_kind_of_signature_has_no_name(chain: RegtestChain) -> None:
    coins = coins_of(chain, 1)
    unnamed, named = (
        signed(coins, SighashType.DEFAULT, TxOutput(PAID, FARMER.script), named=named) for named in (False, True)
    )
    assert judged(chain, unnamed, coins) == of_the_mempool(chain, unnamed) == ""
    for verdict in (judged(chain, named, coins), of_the_mempool(chain, named)):
        assert "script-verify-flag-failed" in verdict


@pytest.mark.parametrize(
    "wrong", ["premature", "twice", "nothing", "dust", "poor", "greedy", "height", "time", "last height", "last time"]
)
def test_forms_and_sums_are_judged_as_by_bitcoin_core(chain: RegtestChain, wrong: str) -> None:
    coins = coins_of(chain, 4 if wrong == "premature" else 1)
    coins *= 2 if wrong == "twice" else 1
    amount = {"greedy": PAID + 1_001, "poor": PAID + 1_000 - 110}.get(wrong, PAID)
    outputs = [] if wrong == "nothing" else [TxOutput(Sats(amount), FARMER.script)]
    outputs += [TxOutput(Sats(329), FARMER.script)] if wrong == "dust" else []
    locktimes = {
        "height": chain.height + 1,
        "last height": chain.height,
        "time": chain.index.median_time(chain.height),
        "last time": chain.index.median_time(chain.height) - 1,
    }
    transaction = parse(MINER.spend(coins, outputs, locktime=locktimes.get(wrong, 0), sequence=0))
    verdict = judged(chain, transaction, coins)
    assert verdict == of_the_mempool(chain, transaction)
    assert bool(verdict) is not wrong.startswith("last")


def test_a_rival_is_outbid_as_in_the_mempool(chain: RegtestChain) -> None:
    coins = coins_of(chain, 1)
    first = chain.send(parse(MINER.spend(coins, [TxOutput(PAID, FARMER.script)])), NOW)
    for fee in (1_000, 1_000 + first.vsize - 1, 1_000 + first.vsize):
        better = parse(MINER.spend(coins, [TxOutput(Sats(PAID + 1_000 - fee), FARMER.script)], sequence=1))
        assert judged(chain, better, coins, Rival(first.fee, first.vsize)) == of_the_mempool(chain, better)
    both = coins_of(chain, 1, 2)
    larger = parse(MINER.spend(both, [TxOutput(Sats(2 * PAID + 2_000 - 1_400), FARMER.script)]))
    assert judged(chain, larger, both, Rival(first.fee, first.vsize)) == of_the_mempool(chain, larger)
    assert of_the_mempool(chain, larger) == "insufficient fee"
