"""The chain under the kernel's eyes: restarts, kills, reorganisations, and blocks that are not valid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.headers import double_sha256
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.regtest import blocks
from overlay.dao.bitcoin.regtest.chain import RegtestChain, open_chain
from overlay.dao.bitcoin.regtest.errors import BlockRefused, Refused, RegtestError
from overlay.dao.bitcoin.regtest.index import Outpoint
from overlay.dao.bitcoin.regtest.kernel import SpentCoin
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxOutput, parse
from tests.dao.bitcoin.helpers import Purse, coin

NOW = 1_700_000_000
MINER, FARMER, BAKER = Purse("miner"), Purse("farmer"), Purse("baker")


class House:
    """A chain that can be closed and opened again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.chain = open_chain(folder, NOW)

    def reopen(self) -> RegtestChain:
        self.chain.close()
        self.chain = open_chain(self._folder, NOW)
        return self.chain


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    """101 blocks, so that the first coinbase can be spent."""
    house = House(folder)
    for _ in range(101):
        house.chain.mine(MINER.script, NOW)
    house.chain.sync()
    yield house
    house.chain.close()


@pytest.fixture
def chain(house: House) -> RegtestChain:
    return house.chain


def first_coin(chain: RegtestChain, height: int = 1) -> tuple[Txid, Sats]:
    coinbase = chain.block(chain.kernel.block_hash(height)).transactions[0]
    return coinbase.txid, coinbase.outputs[0].amount


def spend_first(chain: RegtestChain, to: Purse, fee: int = 1_000, height: int = 1) -> Transaction:
    txid, amount = first_coin(chain, height)
    source = msgspec.structs.replace(coin(1, amount, MINER.script), txid=txid)
    return parse(MINER.spend([source], [TxOutput(Sats(amount - fee), to.script)]))


def output_of(transaction: Transaction, vout: int = 0) -> Coin:
    each = transaction.outputs[vout]
    return Coin(transaction.txid, vout, each.amount, each.script_pubkey, 0)


def everything(chain: RegtestChain) -> tuple[str, dict[Outpoint, SpentCoin], dict[str, Any], list[Txid]]:
    """What must be the same again: the tip, the coins, the history of scripts, what waits."""
    return chain.tip, dict(chain.index.coins()), deepcopy(vars(chain.history)), [entry.txid for entry in chain.mempool]


def test_a_child_is_free_once_its_parent_is_mined_without_it(chain: RegtestChain) -> None:
    parent = spend_first(chain, FARMER)
    chain.send(parent, NOW)
    child = parse(FARMER.spend([output_of(parent)], [TxOutput(Sats(1_000_000), BAKER.script)]))
    assert chain.send(child, NOW).parents == {parent.txid}
    chain.submit(on_tip(chain, transactions=[parent], fees=1_000), NOW)
    assert [(entry.txid, entry.parents) for entry in chain.mempool] == [(child.txid, frozenset())]
    chain.mine(MINER.script, NOW)
    assert len(chain.mempool) == 0


def on_tip(chain: RegtestChain, **changes: object) -> bytes:
    """A mined block on the tip."""
    return block_on(chain, chain.tip, chain.height + 1, **changes)


def block_on(chain: RegtestChain, parent: str, height: int, **changes: object) -> bytes:
    """A mined block on `parent`."""
    given = {"time": NOW + height, "script_pubkey": BAKER.script, "transactions": [], "fees": 0} | changes
    return blocks.assemble(parent, height, **given)  # type: ignore[arg-type]


def test_a_block_carries_the_waiting_payments_and_their_fees(chain: RegtestChain) -> None:
    payment = spend_first(chain, FARMER, fee=7_000)
    chain.send(payment, NOW)
    chain.mine(BAKER.script, NOW)
    mined = chain.block(chain.tip)
    assert [each.txid for each in mined.transactions] == [mined.transactions[0].txid, payment.txid]
    assert mined.transactions[0].outputs[0].amount == 50 * 100_000_000 + 7_000
    assert len(chain.mempool) == 0
    assert chain.index.coin((payment.txid, 0)) is not None
    assert chain.index.coin((payment.inputs[0].txid, 0)) is None


def test_the_subsidy_halves_every_150_blocks(chain: RegtestChain) -> None:
    while chain.height < 151:
        chain.mine(MINER.script, NOW)
    amounts = [chain.block(chain.kernel.block_hash(h)).transactions[0].outputs[0].amount for h in (149, 150)]
    assert amounts == [50 * 100_000_000, 25 * 100_000_000]


def test_a_restart_gives_the_same_tip_coins_and_waiting_payments(house: House) -> None:
    house.chain.send(spend_first(house.chain, FARMER), NOW)
    before = everything(house.chain)
    again = house.reopen()
    assert everything(again) == before
    with pytest.raises(Refused, match="insufficient fee"):
        again.send(spend_first(again, BAKER), NOW)
    again.mine(MINER.script, NOW)
    assert len(again.mempool) == 0


KILLED = """
import sys, os, signal
from pathlib import Path
from overlay.dao.bitcoin.regtest.chain import open_chain
from tests.dao.bitcoin.regtest.test_chain import MINER, NOW, FARMER, spend_first
chain = open_chain(Path(sys.argv[1]), NOW)
for _ in range(101):
    chain.mine(MINER.script, NOW)
chain.sync()
chain.send(spend_first(chain, FARMER), NOW)
print(chain.tip, chain.height, len(chain.index), [entry.txid for entry in chain.mempool], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_that_was_told(folder: Path) -> None:
    root = Path(__file__).parents[4]
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    chain = open_chain(folder, NOW)
    told = f"{chain.tip} {chain.height} {len(chain.index)} {[entry.txid for entry in chain.mempool]}\n"
    chain.close()
    assert told == run.stdout


def test_a_longer_branch_wins_and_what_left_the_chain_waits_again(chain: RegtestChain) -> None:
    before = everything(chain)
    parent, height = chain.tip, chain.height
    payment = spend_first(chain, FARMER)
    chain.send(payment, NOW)
    chain.mine(MINER.script, NOW)
    with_payment = everything(chain)
    rival = block_on(chain, parent, height + 1)
    chain.submit(rival, NOW)
    assert everything(chain) == with_payment
    longer = block_on(chain, blocks.parse_block(rival).block_hash, height + 2)
    chain.submit(longer, NOW)
    assert chain.tip == blocks.parse_block(longer).block_hash
    assert chain.height == height + 2
    assert [entry.txid for entry in chain.mempool] == [payment.txid]
    assert chain.index.coin((payment.txid, 0)) is None
    assert chain.confirmations(with_payment[0]) == -1
    assert {outpoint: each for outpoint, each in chain.index.coins() if each.height <= height} == before[1]


def test_an_index_rebuilt_is_the_index_kept(house: House) -> None:
    chain = house.chain
    parent, height = chain.tip, chain.height
    chain.send(spend_first(chain, FARMER), NOW)
    chain.mine(MINER.script, NOW)
    for step in range(1, 4):
        raw = block_on(chain, parent, height + step)
        chain.submit(raw, NOW)
        parent = blocks.parse_block(raw).block_hash
    kept = everything(chain)
    assert everything(house.reopen()) == kept


def test_a_payment_that_the_new_branch_contradicts_is_dropped_with_its_children(chain: RegtestChain) -> None:
    parent, height = chain.tip, chain.height
    payment = spend_first(chain, FARMER)
    chain.send(payment, NOW)
    child = parse(FARMER.spend([output_of(payment)], [TxOutput(Sats(1_000_000), BAKER.script)]))
    chain.send(child, NOW)
    rival = spend_first(chain, BAKER, fee=2_000)
    raw = block_on(chain, parent, height + 1, transactions=[rival], fees=2_000)
    chain.submit(raw, NOW)
    assert len(chain.mempool) == 0
    assert chain.index.coin((rival.txid, 0)) is not None


def with_too_much_pay(chain: RegtestChain) -> bytes:
    return on_tip(chain, transactions=[spend_first(chain, FARMER)], fees=1_001)


def with_a_forged_signature(chain: RegtestChain) -> bytes:
    good = spend_first(chain, FARMER)
    forged = msgspec.structs.replace(good.inputs[0], witness=(bytes(64),))
    return on_tip(chain, transactions=[msgspec.structs.replace(good, inputs=(forged,))], fees=1_000)


def with_an_unknown_coin(chain: RegtestChain) -> bytes:
    unknown = MINER.spend([coin(5, 5_000, MINER.script)], [TxOutput(Sats(1), FARMER.script)])
    return on_tip(chain, transactions=[parse(unknown)])


def with_an_unripe_coin(chain: RegtestChain) -> bytes:
    return on_tip(chain, transactions=[spend_first(chain, FARMER, height=90)])


def from_the_past(chain: RegtestChain) -> bytes:
    return on_tip(chain, time=chain.index.median_time(chain.height))


def from_the_future(chain: RegtestChain) -> bytes:
    # The kernel compares with the machine's own clock.
    return on_tip(chain, time=int(time.time()) + 3 * 60 * 60)


def with_a_wrong_height(chain: RegtestChain) -> bytes:
    return block_on(chain, chain.tip, chain.height + 2)


def without_a_parent(chain: RegtestChain) -> bytes:
    return block_on(chain, "ab" * 32, chain.height + 1)


def with_another_witness(chain: RegtestChain) -> bytes:
    raw = bytearray(on_tip(chain, transactions=[spend_first(chain, FARMER)], fees=1_000))
    raw[-5] ^= 1  # the end of the last signature: only the lock time follows
    return bytes(raw)


def with_another_payment(chain: RegtestChain) -> bytes:
    raw = bytearray(on_tip(chain))
    raw[-1] ^= 1
    return bytes(raw)


def without_work(chain: RegtestChain) -> bytes:
    raw = bytearray(on_tip(chain))
    while int.from_bytes(double_sha256(bytes(raw[:80])), "little") <= blocks.EASIEST_TARGET:
        raw[76] = (raw[76] + 1) % 256
    return bytes(raw)


def cut_short(chain: RegtestChain) -> bytes:
    return on_tip(chain)[:-1]


FLAWS = [
    (with_too_much_pay, "bad-cb-amount"),
    (with_a_forged_signature, "block-script-verify-flag-failed"),
    (with_an_unknown_coin, "bad-txns-inputs-missingorspent"),
    (with_an_unripe_coin, "bad-txns-premature-spend-of-coinbase"),
    (from_the_past, "time-too-old"),
    (from_the_future, "time-too-new"),
    (with_a_wrong_height, "bad-cb-height"),
    (without_a_parent, "prev-blk-not-found"),
    (with_another_witness, "bad-witness-merkle-match"),
    (with_another_payment, "bad-txnmrklroot"),
    (without_work, "high-hash"),
    (cut_short, "Block decode failed"),
]


@pytest.mark.parametrize(("flawed", "reason"), FLAWS, ids=[flawed.__name__ for flawed, _ in FLAWS])
def test_the_kernel_refuses_a_bad_block_with_its_reason(
    chain: RegtestChain, flawed: Callable[[RegtestChain], bytes], reason: str
) -> None:
    before = everything(chain)
    with pytest.raises(BlockRefused, match=reason):
        chain.submit(flawed(chain), NOW)
    assert everything(chain) == before
    chain.mine(MINER.script, NOW)
    assert chain.confirmations(before[0]) == 2


def test_a_refused_block_is_not_in_the_journal(chain: RegtestChain, folder: Path) -> None:
    size = (folder / "blocks.journal").stat().st_size
    with pytest.raises(BlockRefused):
        chain.submit(with_too_much_pay(chain), NOW)
    chain.sync()
    assert (folder / "blocks.journal").stat().st_size == size


def test_more_payments_than_fit_wait_for_the_next_block(chain: RegtestChain) -> None:
    outputs = [TxOutput(Sats(1_000), MINER.script)] * 2_000
    for _ in range(14):
        chain.mine(BAKER.script, NOW)
    for height in range(1, 15):
        txid, amount = first_coin(chain, height)
        source = msgspec.structs.replace(coin(1, amount, MINER.script), txid=txid)
        rest = TxOutput(Sats(amount - 2_000 * 1_000 - 100_000), MINER.script)
        last = parse(MINER.spend([source], [*outputs, rest]))
        chain.send(last, NOW)
    # Small enough for the space that is left, but the payment it builds on does not fit.
    chain.send(parse(MINER.spend([output_of(last, 2_000)], [TxOutput(Sats(1_000), FARMER.script)])), NOW)
    waiting = chain.mempool.vsize
    assert waiting > 1_000_000
    raw_size = len(chain.kernel.raw_block(chain.mine(BAKER.script, NOW)))
    assert 900_000 < raw_size <= 1_000_000
    assert 0 < chain.mempool.vsize < waiting
    chain.mine(BAKER.script, NOW)
    assert chain.mempool.vsize == 0


def test_a_folder_with_something_else_in_it_is_refused_in_one_sentence(folder: Path) -> None:
    (folder / "kernel" / "chainstate").mkdir(parents=True)
    (folder / "kernel" / "chainstate" / "CURRENT").write_text("not a database\n")
    with pytest.raises(RegtestError, match="can't be opened") as refusal:
        open_chain(folder, NOW)
    assert "\n" not in str(refusal.value)
