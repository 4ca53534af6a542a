"""A payment that waits too long, made anew with a higher fee (BIP125): the same coins, the same payees.

Because it spends the same coins, at most one of the two is ever mined. Nodes take it in the place of the first one
if it pays more than that, by at least what its own relay costs, and at a higher rate.
"""

from collections.abc import Iterable, Sequence

import msgspec

from overlay.dao.bitcoin import payment, scripts
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin, InsufficientFunds, UnsignedPayment
from overlay.dao.bitcoin.transaction import TxInput, TxOutput

INCREMENTAL_FEE_RATE = 1  # satoshis per virtual byte; Bitcoin Core's default


def bump(waiting: UnsignedPayment, fee_rate: int, change_script: bytes, more: Iterable[Coin] = ()) -> UnsignedPayment:
    """What replaces `waiting` at `fee_rate` satoshis per virtual byte, or at the least that nodes take for it.

    Payees, lock time and version stay. The fee grows out of the change, and where that does not suffice out of
    `more`, confirmed coins, largest first. The same arguments give the same bytes. Raises PaymentError, and
    InsufficientFunds with its figures.
    """
    payment.check_fee_rate(fee_rate)
    taken = {(coin.txid, coin.vout) for coin in waiting.coins}
    fresh = [coin for coin in payment.spendable(more, fee_rate) if (coin.txid, coin.vout) not in taken]
    for count in range(len(fresh) + 1):
        made = _replacement(waiting, (*waiting.coins, *fresh[:count]), fee_rate, change_script)
        if made is not None:
            return made
    coins, paid = (*waiting.coins, *fresh), _payees(waiting)
    fee = _least_fee(waiting, payment.signed_vsize(len(coins), paid), fee_rate)
    raise InsufficientFunds(_total(paid), fee, _total(coins))


def _replacement(
    waiting: UnsignedPayment, coins: tuple[Coin, ...], fee_rate: int, change_script: bytes
) -> UnsignedPayment | None:
    """The replacement out of exactly `coins`; None if they do not suffice."""
    paid = _payees(waiting)
    rest = _total(coins) - _total(paid)
    with_change = (*paid, TxOutput(Sats(0), change_script))
    change = rest - _least_fee(waiting, payment.signed_vsize(len(coins), with_change), fee_rate)
    if change >= scripts.dust_limit(change_script):
        return _laid_out(waiting, coins, (*paid, TxOutput(Sats(change), change_script)), Sats(change))
    if rest >= _least_fee(waiting, payment.signed_vsize(len(coins), paid), fee_rate):
        return _laid_out(waiting, coins, paid, Sats(0))
    return None


def _laid_out(
    waiting: UnsignedPayment, coins: tuple[Coin, ...], outputs: tuple[TxOutput, ...], change: Sats
) -> UnsignedPayment:
    inputs = waiting.transaction.inputs
    added = tuple(TxInput(coin.txid, coin.vout) for coin in coins[len(inputs) :])
    changed = msgspec.structs.replace(waiting.transaction, inputs=inputs + added, outputs=outputs)
    return payment.lay_out(changed, coins, change)


def _least_fee(waiting: UnsignedPayment, vsize: int, fee_rate: int) -> int:
    """The fee at `fee_rate`, unless nodes want more for a replacement of that size."""
    higher_rate = waiting.fee * vsize // waiting.vsize + 1
    return max(vsize * fee_rate, waiting.fee + vsize * INCREMENTAL_FEE_RATE, higher_rate)


def _payees(waiting: UnsignedPayment) -> tuple[TxOutput, ...]:
    outputs = waiting.transaction.outputs
    return outputs[:-1] if waiting.change else outputs


def _total(parts: Sequence[Coin | TxOutput]) -> int:
    return sum(part.amount for part in parts)
