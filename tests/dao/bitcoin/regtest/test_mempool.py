"""What the mempool takes, and with which of Bitcoin Core's words it refuses."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from bitcoin.core import Hash160
from bitcoin.core.script import OP_0, OP_CHECKMULTISIG, OP_CHECKSIG, OP_ENDIF, OP_IF, OP_NOP, OP_TRUE, CScript

from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.amounts import MAX_MONEY, Sats
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.regtest.blocks import NULL_TXID, NULL_VOUT
from overlay.dao.bitcoin.regtest.chain import RegtestChain, open_chain
from overlay.dao.bitcoin.regtest.errors import Refused
from overlay.dao.bitcoin.regtest.mempool import MAX_ANCESTORS
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput, parse
from tests.dao.bitcoin.helpers import Purse

NOW = 1_700_000_000
MINER, FARMER = Purse("miner"), Purse("farmer")
COINS = 3
GIVEN = 50 * 100_000_000


@pytest.fixture
def chain(folder: Path) -> Iterator[RegtestChain]:
    """A chain in which the miner has three coins that can be spent."""
    opened = open_chain(folder, NOW)
    for _ in range(100 + COINS - 1):
        opened.mine(MINER.script, NOW)
    yield opened
    opened.close()


def coin_at(chain: RegtestChain, height: int) -> Coin:
    coinbase = chain.block(chain.kernel.block_hash(height)).transactions[0]
    return Coin(coinbase.txid, 0, coinbase.outputs[0].amount, MINER.script, height)


def output_of(transaction: Transaction, vout: int = 0) -> Coin:
    each = transaction.outputs[vout]
    return Coin(transaction.txid, vout, each.amount, each.script_pubkey, 0)


def paying(amount: int, script: bytes = FARMER.script) -> TxOutput:
    return TxOutput(Sats(amount), script)


def pay(chain: RegtestChain, *outputs: TxOutput, height: int = 1, **changes: int) -> Transaction:
    return parse(MINER.spend([coin_at(chain, height)], list(outputs), **changes))


def refused(chain: RegtestChain, transaction: Transaction) -> str:
    """The whole reason; and that nothing has changed."""
    before = list(chain.mempool)
    with pytest.raises(Refused) as refusal:
        chain.send(transaction, NOW)
    assert list(chain.mempool) == before
    return str(refusal.value)


def p2wsh(script: bytes) -> bytes:
    return scripts.witness_program(0, hashlib.sha256(script).digest())


def fund(chain: RegtestChain, script: bytes, height: int = 1) -> Coin:
    """A confirmed coin under `script`, out of that of block `height`."""
    funding = pay(chain, paying(1_000_000, script), paying(GIVEN - 1_010_000, MINER.script), height=height)
    chain.send(funding, NOW)
    chain.mine(FARMER.script, NOW)
    return output_of(funding)


def unlock(coin: Coin, *witness: bytes, script_sig: bytes = b"", fee: int = 10_000) -> Transaction:
    source = TxInput(coin.txid, coin.vout, script_sig, witness=witness)
    return Transaction((source,), (paying(coin.amount - fee),))


def test_a_payment_is_taken_with_its_figures(chain: RegtestChain) -> None:
    entry = chain.send(pay(chain, paying(GIVEN - 111)), NOW)
    assert (entry.fee, entry.vsize, entry.sigops_cost, entry.parents) == (111, 111, 0, frozenset())
    assert chain.mempool.vsize == 111


def test_the_relay_fee_is_kept_to_the_satoshi(chain: RegtestChain) -> None:
    assert refused(chain, pay(chain, paying(GIVEN - 110))) == "min relay fee not met, 110 < 111"
    assert refused(chain, pay(chain, paying(GIVEN))) == "min relay fee not met, 0 < 111"


def test_what_is_known_already_is_told_apart(chain: RegtestChain) -> None:
    payment = pay(chain, paying(GIVEN - 1_000))
    chain.send(payment, NOW)
    assert refused(chain, payment) == "txn-already-in-mempool"
    other_witness = msgspec.structs.replace(payment.inputs[0], witness=(bytes(64),))
    malleated = msgspec.structs.replace(payment, inputs=(other_witness,))
    assert refused(chain, malleated) == "txn-same-nonwitness-data-in-mempool"
    chain.mine(MINER.script, NOW)
    assert refused(chain, payment) == "txn-already-known"


def test_a_double_spend_of_what_is_mined_is_refused(chain: RegtestChain) -> None:
    chain.send(pay(chain, paying(GIVEN - 1_000)), NOW)
    rival = pay(chain, paying(GIVEN - 100_000, MINER.script))
    chain.mine(MINER.script, NOW)
    assert refused(chain, rival) == "bad-txns-inputs-missingorspent"


def test_an_unknown_coin_is_refused(chain: RegtestChain) -> None:
    unknown = Coin(Txid("ab" * 32), 0, Sats(GIVEN), MINER.script, 1)
    assert refused(chain, parse(MINER.spend([unknown], [paying(1_000)]))) == "bad-txns-inputs-missingorspent"
    beyond = msgspec.structs.replace(coin_at(chain, 1), vout=7)
    assert refused(chain, parse(MINER.spend([beyond], [paying(1_000)]))) == "bad-txns-inputs-missingorspent"


def test_a_wrong_signature_is_refused_naming_its_input(chain: RegtestChain) -> None:
    coins = [coin_at(chain, 1), coin_at(chain, 2)]
    good = parse(MINER.spend(coins, [paying(2 * GIVEN - 1_000)]))
    for witness in ((bytes(64),), (), (good.inputs[0].witness[0],), (good.inputs[1].witness[0] + b"\x00",)):
        second = msgspec.structs.replace(good.inputs[1], witness=witness)
        forged = msgspec.structs.replace(good, inputs=(good.inputs[0], second))
        reason = refused(chain, forged)
        assert reason.startswith("mandatory-script-verify-flag-failed")
        assert f"input 1 of {good.txid}, spending {coins[1].txid}:0" in reason
    chain.send(good, NOW)


def test_a_signature_under_a_lie_about_the_amount_does_not_verify(chain: RegtestChain) -> None:
    lie = msgspec.structs.replace(coin_at(chain, 1), amount=Sats(GIVEN + 1))
    reason = refused(chain, parse(MINER.spend([lie], [paying(GIVEN - 1_000)])))
    assert reason.startswith("mandatory-script-verify-flag-failed")


def test_more_cannot_go_out_than_came_in(chain: RegtestChain) -> None:
    reason = refused(chain, pay(chain, paying(GIVEN + 1)))
    assert reason == f"bad-txns-in-belowout, value in ({GIVEN} sat) < value out ({GIVEN + 1} sat)"
    assert refused(chain, pay(chain, paying(MAX_MONEY), paying(1))) == "bad-txns-txouttotal-toolarge"


def test_a_coinbase_ripens_for_a_hundred_blocks(chain: RegtestChain) -> None:
    early = pay(chain, paying(GIVEN - 1_000), height=COINS + 1)
    assert refused(chain, early).startswith("bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 99")
    chain.mine(FARMER.script, NOW)
    chain.send(early, NOW)


@pytest.mark.parametrize(
    ("script", "limit"),
    [
        (FARMER.script, 330),
        (scripts.witness_program(0, bytes(20)), 294),
        (scripts.pubkey_hash(bytes(20)), 546),
    ],
)
def test_dust_is_refused_from_its_limit_down(chain: RegtestChain, script: bytes, limit: int) -> None:
    assert refused(chain, pay(chain, paying(limit - 1, script), paying(GIVEN - 10_000))) == "dust"
    chain.send(pay(chain, paying(limit, script), paying(GIVEN - 10_000)), NOW)


def test_what_no_wallet_makes_is_refused(chain: RegtestChain) -> None:
    rest = paying(GIVEN - 10_000)
    data = b"\x6a" + bytes([0x4C, 80]) + bytes(80)
    assert refused(chain, pay(chain, paying(1_000, b"\x51"), rest)) == "scriptpubkey"
    assert refused(chain, pay(chain, paying(0, data + b"\x00"), rest)) == "datacarrier"
    assert refused(chain, pay(chain, paying(0, data), paying(0, b"\x6a"), rest)) == "multi-op-return"
    assert refused(chain, pay(chain, rest, version=3)) == "version"
    assert refused(chain, pay(chain, rest, version=0)) == "version"
    chain.send(pay(chain, paying(0, data), rest), NOW)


def test_what_is_no_transaction_for_consensus_is_refused(chain: RegtestChain) -> None:
    source = TxInput(coin_at(chain, 1).txid, 0)
    nowhere = TxInput(NULL_TXID, NULL_VOUT, b"\x01\x01")
    out = (paying(1_000),)
    assert refused(chain, Transaction((source,), ())) == "bad-txns-vout-empty"
    assert refused(chain, Transaction((), out)) == "bad-txns-vin-empty"
    assert refused(chain, Transaction((source, source), out)) == "bad-txns-inputs-duplicate"
    assert refused(chain, Transaction((nowhere,), out)) == "coinbase"
    assert refused(chain, Transaction((source, nowhere), out)) == "bad-txns-prevout-null"
    assert refused(chain, Transaction((source,), (TxOutput(Sats(0), b"\x6a"),))) == "tx-size-small"


def test_script_signatures_only_push_and_are_short(chain: RegtestChain) -> None:
    for script_sig, reason in ((b"\x76", "scriptsig-not-pushonly"), (b"\x00" * 1_651, "scriptsig-size")):
        source = TxInput(coin_at(chain, 1).txid, 0, script_sig)
        assert refused(chain, Transaction((source,), (paying(1_000),))) == reason


def test_a_transaction_over_400_000_weight_units_is_refused(chain: RegtestChain) -> None:
    outputs = [paying(1_000)] * 2_322
    # Frame 8, counts 1 and 3, input 41, outputs 2,322 * 43: 99,899 bytes of four units; witness and marker 68.
    fits = pay(chain, *outputs)
    assert fits.weight == 399_664
    chain.send(fits, NOW)
    assert refused(chain, pay(chain, *outputs, paying(1_000), paying(1_000), height=2)) == "tx-size"


def test_a_lock_time_holds_until_its_block_and_second(chain: RegtestChain) -> None:
    following = chain.height + 1
    late = pay(chain, paying(GIVEN - 1_000), locktime=following, sequence=0)
    assert refused(chain, late) == "non-final"
    chain.send(pay(chain, paying(GIVEN - 1_000), locktime=following, height=2), NOW)
    chain.mine(FARMER.script, NOW)
    chain.send(late, NOW)
    median = chain.index.median_time(chain.height)
    by_time = pay(chain, paying(GIVEN - 1_000), locktime=median, sequence=0, height=3)
    assert refused(chain, by_time) == "non-final"
    chain.send(pay(chain, paying(GIVEN - 1_000), locktime=median - 1, sequence=0, height=3), NOW)


def test_a_relative_lock_holds_until_the_coin_is_old_enough(chain: RegtestChain) -> None:
    depth = chain.height + 1 - 2  # of the coin of block 2, in the next block
    young = pay(chain, paying(GIVEN - 1_000), sequence=depth + 1, height=2)
    assert refused(chain, young) == "non-BIP68-final"
    # The rule is for version 2 and for sequences without the highest bit.
    chain.send(pay(chain, paying(GIVEN - 1_000), sequence=0xFFFF, version=1), NOW)
    chain.send(pay(chain, paying(GIVEN - 1_000), sequence=(1 << 31) | 0xFFFF, height=3), NOW)
    chain.mine(FARMER.script, NOW)
    chain.send(young, NOW)


def test_a_relative_lock_by_time_counts_median_time(chain: RegtestChain) -> None:
    # Block 1 is the first with a time of ours, and so the median before block 2.
    locked = pay(chain, paying(GIVEN - 1_000), sequence=(1 << 22) | 1, height=2)
    for _ in range(6):
        assert refused(chain, locked) == "non-BIP68-final"
        chain.mine(FARMER.script, NOW + 512)
    # Six of the last eleven blocks are 512 seconds younger: so is their median.
    chain.send(locked, NOW)


def test_children_wait_with_their_parents_up_to_a_limit(chain: RegtestChain) -> None:
    payment = pay(chain, paying(GIVEN - 1_000, MINER.script))
    for count in range(1, MAX_ANCESTORS + 1):
        entry = chain.send(payment, NOW)
        assert len(chain.mempool.ancestors(entry.parents)) == count - 1
        source = output_of(payment)
        payment = parse(MINER.spend([source], [paying(source.amount - 1_000, MINER.script)]))
    assert refused(chain, payment).startswith("too-long-mempool-chain")
    assert len(chain.mempool.descendants(next(iter(chain.mempool)).txid)) == MAX_ANCESTORS
    chain.mine(FARMER.script, NOW)
    assert len(chain.mempool) == 0
    chain.send(payment, NOW)


def test_a_child_forgets_its_parent_once_that_is_mined(chain: RegtestChain) -> None:
    parent = pay(chain, paying(GIVEN - 1_000, MINER.script))
    chain.send(parent, NOW)
    chain.mine(FARMER.script, NOW)
    child = parse(MINER.spend([output_of(parent)], [paying(1_000_000)]))
    assert chain.send(child, NOW).parents == frozenset()


def test_the_older_kinds_of_coin_are_spent_by_their_rules(chain: RegtestChain) -> None:
    witness_script = bytes([OP_TRUE])
    by_witness = fund(chain, p2wsh(witness_script))
    assert refused(chain, unlock(by_witness, b"\x52")).startswith("mandatory-script-verify-flag-failed")
    assert chain.send(unlock(by_witness, witness_script), NOW).sigops_cost == 0


def test_a_script_behind_a_hash_may_check_fifteen_signatures(chain: RegtestChain) -> None:
    for checks, taken in ((15, True), (16, False)):
        # The signatures are never looked at: the branch is not taken.
        redeem = bytes(CScript([OP_0, OP_IF, *[OP_CHECKSIG] * checks, OP_ENDIF, OP_TRUE]))
        coin = fund(chain, scripts.script_hash(Hash160(redeem)), height=1 if taken else 2)
        spend = unlock(coin, script_sig=bytes(CScript([redeem])))
        if taken:
            # Four units each in a redeem script, and four for the signature operation in nothing else.
            assert chain.send(spend, NOW).sigops_cost == 4 * checks
        else:
            assert refused(chain, spend) == "bad-txns-nonstandard-inputs"


def test_signature_operations_are_counted_and_limited(chain: RegtestChain) -> None:
    # 201 * 20 + 3,000 = 7,020 in a witness script, one unit each.
    script = bytes(CScript([OP_CHECKMULTISIG] * 201 + [OP_CHECKSIG] * 3_000))
    outputs = [paying(100_000, p2wsh(script))] * 3
    funding = pay(chain, *outputs, paying(GIVEN - 400_000))
    chain.send(funding, NOW)
    inputs = tuple(TxInput(funding.txid, vout, witness=(script,)) for vout in range(3))
    two = Transaction(inputs[:2], (paying(10_000),))
    three = Transaction(inputs, (paying(10_000),))
    assert refused(chain, two).startswith("mandatory-script-verify-flag-failed")
    assert refused(chain, three) == "bad-txns-too-many-sigops, 21060"


def test_a_witness_script_has_at_most_3600_bytes(chain: RegtestChain) -> None:
    for length, reason in ((3_600, "mandatory-script-verify-flag-failed"), (3_601, "bad-witness-nonstandard")):
        script = bytes([OP_NOP]) * length
        coin = fund(chain, p2wsh(script), height=1 if length == 3_600 else 2)
        assert refused(chain, unlock(coin, script)).startswith(reason)
