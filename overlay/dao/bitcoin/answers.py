"""What a bitcoind answers: the shapes that are read, and the checks before anything of it is believed.

Fields that nobody here needs are ignored. Whatever is out of bounds raises BackendError.
"""

from decimal import Decimal

import msgspec

from overlay.dao.bitcoin.amounts import InvalidAmount, from_btc
from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.bitcoin.payment import MAX_FEE_RATE, Coin
from overlay.dao.bitcoin.transaction import InvalidTransaction, Transaction, Txid, parse, parse_txid

# A block every ten minutes for 2,000 years: no chain is higher.
MAX_HEIGHT = 2000 * 366 * 24 * 6
MAX_VOUT = 0xFFFFFFFF
COINBASE_MATURITY = 100
# A treasury with more coins than this takes hundreds of payments to spend; whoever dusted it may keep the rest.
MAX_COINS = 100_000


class Chain(msgspec.Struct, frozen=True):
    """getblockchaininfo."""

    chain: str


class Unspent(msgspec.Struct, frozen=True):
    """One coin of a scan."""

    txid: str
    vout: int
    script: str = msgspec.field(name="scriptPubKey")
    amount: Decimal = msgspec.field()
    height: int = msgspec.field()
    coinbase: bool = False


class Scan(msgspec.Struct, frozen=True):
    """scantxoutset."""

    success: bool
    height: int
    unspents: list[Unspent]


class Script(msgspec.Struct, frozen=True):
    """A scriptPubKey."""

    hex: str


class TxOut(msgspec.Struct, frozen=True):
    """gettxout."""

    bestblock: str
    confirmations: int
    value: Decimal
    script: Script = msgspec.field(name="scriptPubKey")
    coinbase: bool = False


class Header(msgspec.Struct, frozen=True):
    """getblockheader."""

    height: int
    confirmations: int


class Verbose(msgspec.Struct, frozen=True):
    """getrawtransaction."""

    hex: str
    blockhash: str | None = None


class Block(msgspec.Struct, frozen=True):
    """getblock."""

    tx: list[str]


class Mempool(msgspec.Struct, frozen=True):
    """getmempoolinfo; `size` is the number of waiting transactions."""

    size: int


class Acceptance(msgspec.Struct, frozen=True):
    """One verdict of testmempoolaccept."""

    txid: str
    allowed: bool = False
    reason: str = msgspec.field(name="reject-reason", default="")


class Fee(msgspec.Struct, frozen=True):
    """estimatesmartfee; the rate in bitcoin per 1,000 virtual bytes."""

    feerate: Decimal | None = None


def spendable_coins(scan: Scan, script_pubkey: bytes) -> list[Coin]:
    """The spendable ones among `scan`, oldest first; raises BackendError for any that is not what was asked for."""
    found = {}
    for each in scan.unspents:
        coin = read_coin(each.txid, each.vout, each.amount, each.script, each.height)
        if coin.script_pubkey != script_pubkey or each.height > scan.height or (coin.txid, coin.vout) in found:
            raise BackendError("the Bitcoin node reports coins that are not the treasury's")
        # Mined at height h, a coinbase may be spent from height h + 100 on, and the next block is scan.height + 1.
        mature = not each.coinbase or scan.height + 1 - each.height >= COINBASE_MATURITY
        found[coin.txid, coin.vout] = coin if mature else None
    return sorted((c for c in found.values() if c), key=lambda coin: (coin.height, coin.txid, coin.vout))


def read_coin(txid: str, vout: int, amount: Decimal, script: str, height: int) -> Coin:
    """A coin whose every figure is possible."""
    try:
        sats = from_btc(amount)
        return Coin(
            parse_txid(txid),
            bounded(vout, MAX_VOUT, "output number"),
            sats,
            read_hex(script),
            bounded(height, MAX_HEIGHT, "height"),
        )
    except (InvalidAmount, InvalidTransaction) as error:
        raise BackendError(f"the Bitcoin node reports an impossible coin: {error}") from error


def bounded(number: int, limit: int, what: str) -> int:
    """`number` if it lies between 0 and `limit`."""
    if not 0 <= number <= limit:
        raise BackendError(f"the Bitcoin node reports an impossible {what}")
    return number


def read_hex(text: str) -> bytes:
    """The bytes of hex text."""
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise BackendError("the Bitcoin node gave text where hexadecimal bytes belong") from error


def block_hash(text: str) -> str:
    """`text` if it is 32 bytes in hex."""
    if len(read_hex(text)) != 32:
        raise BackendError("the Bitcoin node gave something else than the hash of a block")
    return text


def read_txid(text: str) -> Txid:
    """`text` if it is the id of a transaction."""
    try:
        return parse_txid(text)
    except InvalidTransaction as error:
        raise BackendError(f"the Bitcoin node gave something else than the id of a transaction: {error}") from error


def read_transaction(raw: bytes, txid: Txid) -> Transaction:
    """The transaction of that id, from its bytes."""
    try:
        found = parse(raw)
    except InvalidTransaction as error:
        raise BackendError(f"the Bitcoin node gave no transaction: {error}") from error
    if found.txid != txid:
        raise BackendError("the Bitcoin node gave another transaction than the one asked for")
    return found


def check_identity(raw: bytes, txid: Txid) -> None:
    """That `raw` is the transaction of that id."""
    read_transaction(raw, txid)


def fee_rate(btc_per_kvb: Decimal) -> int:
    """Whole satoshis per virtual byte, rounded up."""
    try:
        rate = -(-from_btc(btc_per_kvb) // 1000)
    except InvalidAmount as error:
        raise BackendError("the Bitcoin node recommends an impossible fee") from error
    if not 1 <= rate <= MAX_FEE_RATE:
        raise BackendError(f"the Bitcoin node recommends a fee of {rate} sat/vB, which nobody should pay")
    return rate
