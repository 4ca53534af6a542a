"""Moving all that a treasury holds to the treasury of another group, by a payment like any other.

A payment leaves change behind, which shows every member what was paid; here it is the least that nodes relay, and what
the fee falls short of its cap.
"""

from dataclasses import dataclass

from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin import scripts
from overlay.dao.bitcoin.payment import InsufficientFunds
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account
from overlay.dao.keyring.messages import MAX_INPUTS
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash

# The fee may double between the proposal and the payment.
FEE_ROOM = 2


@dataclass(frozen=True, slots=True)
class Move:
    """Satoshis: what is moved, at most for which fee; what stays behind at most, for which too many coins are one
    cause (`coins_left` of them wait for the next time)."""

    amount: int
    fee_cap: int
    left_at_most: int
    coins_left: int


def plan(account: Account, to: bytes, fee_rate: int) -> Move:
    """What one payment can move to a script, at a rate in satoshis per virtual byte. Raises InsufficientFunds."""
    oldest, rest = account.coins[:1], sorted(account.coins[1:], key=lambda coin: -coin.amount)
    chosen = (*oldest, *rest)[:MAX_INPUTS]
    held, everything = sum(coin.amount for coin in chosen), sum(coin.amount for coin in account.coins)
    fee_cap = FEE_ROOM * fee_rate * policy.vsize(max(len(chosen), 1), _to(to), account.script)
    least = scripts.dust_limit(account.script)
    amount = held - fee_cap - least
    if amount < scripts.dust_limit(to):
        raise InsufficientFunds(scripts.dust_limit(to) + least, fee_cap, held)
    return Move(amount, fee_cap, everything - amount, len(account.coins) - len(chosen))


def _to(script: bytes) -> Payment:
    """A payment of nothing yet, for its size."""
    nobody = PublicKey(bytes(74))
    return Payment(BlockHash(b""), BlockHash(b""), nobody, "", "", nobody, script, 0, 0, 0)
