"""The service's own purse: the first coins of the chain are mined to it, and anybody may ask it for some.

A taproot key path with one plain key, kept in `faucet.key` of the data folder.
"""

from pathlib import Path

from coincurve import PrivateKey

from overlay.clock import Randomness
from overlay.dao.bitcoin import payment, taproot
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.payment import Coin, Payee
from overlay.dao.bitcoin.regtest.chain import RegtestChain
from overlay.dao.bitcoin.regtest.errors import RegtestError
from overlay.dao.bitcoin.regtest.mempool import COINBASE_MATURITY, MAX_ANCESTORS
from overlay.dao.bitcoin.transaction import Transaction, parse
from overlay.files import write_file

FEE_RATE = 2  # satoshis per virtual byte, twice the least that is relayed
SECRET_BYTES = 32


class Faucet:
    """Pays from coins to its own script, confirmed ones and its own waiting change."""

    def __init__(self, path: Path, random: Randomness) -> None:
        """The key of `path`, made there if it is new; raises RegtestError for a damaged one."""
        self._random = random
        if not path.exists():
            write_file(path, random.bytes(SECRET_BYTES))
        internal = _key(path)
        self._secret = taproot.tweak_secret(internal.secret)
        output_key = taproot.output_key(internal.public_key_xonly.format()).key
        self.script_pubkey = taproot.script_pubkey(output_key)

    def pay(self, chain: RegtestChain, script_pubkey: bytes, amount: Sats) -> Transaction:
        """A signed payment, not sent yet; raises PaymentError, InsufficientFunds among them."""
        coins = [*self._confirmed(chain), *self._waiting(chain)]
        unsigned = payment.build(coins, [Payee(script_pubkey, amount)], FEE_RATE, self.script_pubkey)
        key = PrivateKey(self._secret)
        signatures = [key.sign_schnorr(sighash, self._random.bytes(32)) for sighash in unsigned.sighashes]
        return parse(payment.attach_signatures(unsigned, signatures))

    def _confirmed(self, chain: RegtestChain) -> list[Coin]:
        """Mature coins in the chain that nothing waiting spends."""
        return [
            Coin(txid, vout, coin.output.amount, coin.output.script_pubkey, coin.height)
            for (txid, vout), coin in chain.index.coins()
            if coin.output.script_pubkey == self.script_pubkey
            and not (coin.coinbase and chain.height + 1 - coin.height < COINBASE_MATURITY)
            and chain.mempool.spender((txid, vout)) is None
        ]

    def _waiting(self, chain: RegtestChain) -> list[Coin]:
        """Unspent change of its own payments that wait, unless their chain is as long as policy allows."""
        return [
            Coin(entry.txid, vout, output.amount, output.script_pubkey, chain.height + 1)
            for entry in chain.mempool
            if len(chain.mempool.ancestors(entry.parents)) + 1 < MAX_ANCESTORS
            for vout, output in enumerate(entry.transaction.outputs)
            if output.script_pubkey == self.script_pubkey and chain.mempool.spender((entry.txid, vout)) is None
        ]


def _key(path: Path) -> PrivateKey:
    secret = path.read_bytes()
    # The library would pad a shorter secret, and make a key of it.
    if len(secret) != SECRET_BYTES:
        raise _damaged(path)
    try:
        return PrivateKey(secret)
    except ValueError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> RegtestError:
    return RegtestError(f"{path} does not hold a key; the coins of this chain can't be given out")
