"""A treasury as its members look at it: what it holds, what came and went, what a payment would cost.

For people only: what a node signs is judged by `policy`, from nothing in here.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.chronicle import Mined
from overlay.dao.assembly.limits import one_each
from overlay.dao.assembly.proposals import Payment, payees_of, payment
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.backend import ChainBackend
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.transaction import Transaction, Txid, parse
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import ProposePayment

Outpoint = tuple[Txid, int]
# Where a proposal's id belongs that does not exist.
NOT_PROPOSED = BlockHash(bytes(32))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a treasury's history; `amount` is what came, or what the payees got. Satoshis.

    `proposal` is what was paid; None for what was received. `fee` is None where a coin that was spent is unknown.
    """

    txid: Txid
    height: int
    amount: int
    fee: int | None = None
    proposal: BlockHash | None = None


def unconfirmed(coins: Sequence[Coin], waiting: Iterable[Transaction], script: bytes) -> int:
    """What a treasury will hold more when `waiting` is mined; less than nothing when more leaves it. Satoshis."""
    held = {(coin.txid, coin.vout): coin.amount for coin in coins}
    more = 0
    for each in waiting:
        more += sum(output.amount for output in each.outputs if output.script_pubkey == script)
        more -= sum(held.pop((spent.txid, spent.vout), 0) for spent in each.inputs)
    return more


async def history(db: sqlite3.Connection, group: Charter, account: Account, backend: ChainBackend) -> list[Entry]:
    """What a treasury received and paid, as far as this node's chain has shown it, the newest first.

    Raises BackendError.
    """
    paid = one_each(db, chronicle.above(db, group, -1))
    known = {(coin.txid, coin.vout): coin for coin in chronicle.coins(db, account.script)}
    known |= await _spent(paid, known, account.script, backend)
    ours = {each.txid for each in paid}
    there = {(coin.txid, coin.vout) for coin in account.coins}
    there |= {(spent.txid, spent.vout) for each in paid for spent in parse(each.raw).inputs}
    came = [coin for place, coin in known.items() if place in there and coin.txid not in ours]
    entries = [Entry(coin.txid, coin.height, coin.amount) for coin in came]
    entries += [_paid(db, each, known) for each in paid]
    return sorted(entries, key=lambda each: (-each.height, each.txid, each.amount))


async def _spent(
    paid: Sequence[Mined], known: dict[Outpoint, Coin], script: bytes, backend: ChainBackend
) -> dict[Outpoint, Coin]:
    """The coins that payments spent and this node never saw, as far as its backend finds them."""
    found: dict[Outpoint, Coin] = {}
    for spent in (each for mined in paid for each in parse(mined.raw).inputs):
        status = await backend.transaction(spent.txid) if (spent.txid, spent.vout) not in known else None
        outputs = parse(status.raw).outputs if status is not None else ()
        if status is not None and spent.vout < len(outputs):
            amount = outputs[spent.vout].amount
            found[spent.txid, spent.vout] = Coin(spent.txid, spent.vout, amount, script, status.height or 0)
    return found


def _paid(db: sqlite3.Connection, mined: Mined, known: dict[Outpoint, Coin]) -> Entry:
    asked, transaction = payment(db, mined.proposal), parse(mined.raw)
    held = [known.get((spent.txid, spent.vout)) for spent in transaction.inputs]
    coins = [coin.amount for coin in held if coin is not None]
    out = sum(output.amount for output in transaction.outputs)
    fee = sum(coins) - out if len(coins) == len(held) else None
    return Entry(mined.txid, mined.height, asked.total if asked else 0, fee, mined.proposal)


def draft(said: ProposePayment, proposer: PublicKey) -> Payment:
    """What would be paid for a proposal that is not made yet."""
    first, *more = payees_of(said)
    return Payment(
        id=NOT_PROPOSED,
        group=BlockHash(said.group),
        proposer=proposer,
        title=said.title,
        reason=said.reason,
        payee=first.key,
        script=first.script,
        amount=first.amount,
        fee_cap=said.fee_cap,
        deadline=said.deadline,
        more=tuple(more),
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a payment of one payee would cost now: satoshis per virtual byte, coins to spend, size, fee in satoshis."""

    fee_rate: int
    inputs: int
    vsize: int
    fee: int


def estimate(amount: int, account: Account, fee_rate: int) -> Estimate:
    """The cost of paying so much to one taproot address at `fee_rate`. Raises PaymentError when it cannot be paid."""
    unlimited, nobody = payments.MAX_FEE_RATE * payments.MAX_WEIGHT, PublicKey(b"")
    asked = Payment(NOT_PROPOSED, NOT_PROPOSED, nobody, "", "", nobody, account.script, amount, unlimited, 0)
    made = policy.build(asked, account, fee_rate)
    return Estimate(fee_rate, len(made.coins), made.vsize, made.fee)
